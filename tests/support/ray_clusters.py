"""Ray clusters on loopback, in namespaces of their own that end with one process."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import psutil

from tests.support.repositories import ROOT, dvc_environment, require

ADDRESS = "127.0.0.1:6379"  # of its own loopback, which nothing else is on
SPACES = ("--mount", "--net", "--pid")
FIRST = "ip link set lo up && echo up && { sleep infinity & wait; }"  # init of the namespaces
RAY = (sys.executable, "-m", "ray.scripts.scripts", "start", "--node-ip-address=127.0.0.1")
STORE_BYTES = 80_000_000  # of each node's object store; Ray takes no less than 75 MB


class RayCluster:
    """A head that computes nothing; nodes are added.

    What runs in it sees no other network and no other process. Nodes see neither `vpr` nor
    `stages` of this checkout.
    """

    def __init__(self) -> None:
        """Start the head, or skip the test where namespaces or Ray are missing."""
        require(find_spec("ray"), "ray (requirements-ray.txt)")
        require(shutil.which("unshare") and shutil.which("ip"), "unshare and ip, for namespaces")
        self._first = psutil.Popen(
            ["unshare", *SPACES, "--fork", "--kill-child", "--mount-proc", "sh", "-c", FIRST],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        is_up = self._first.stdout.readline() == "up\n"
        require(is_up, "rights to make namespaces: root, or a container that is allowed to")
        self._init = self._first.children()[0].pid
        self.folder = Path(tempfile.mkdtemp(prefix="vpr", dir="/tmp"))  # short, for sockets
        self._token = secrets.token_hex(32)
        self.nodes: list[psutil.Popen] = []
        head = ("--head", "--port=6379", f"--temp-dir={self.folder}", "--include-dashboard=false")
        self._start_node(*RAY, *head, "--num-cpus=0")

    def add_node(
        self, num_cpus: int, *, before: str = "true", environment: Mapping[str, str] | None = None
    ) -> None:
        """Start a node that computes.

        Args:
            num_cpus: That Ray counts there.
            before: A shell command that is run first, in its mounts.
            environment: Variables of its own.
        """
        hide = " && ".join(f"mount -t tmpfs tmpfs '{ROOT / name}'" for name in ("vpr", "stages"))
        words = (*RAY, f"--address={ADDRESS}", f"--num-cpus={num_cpus}")
        script = ("sh", "-c", f'{hide} && {before} && exec "$0" "$@"')
        self._start_node("unshare", "--mount", *script, *words, environment=environment)

    def _start_node(self, *words: str, environment: Mapping[str, str] | None = None) -> None:
        log = self.folder / f"node{len(self.nodes)}.log"
        options = ("--block", f"--object-store-memory={STORE_BYTES}", "--disable-usage-stats")
        with log.open("w") as file:
            started = psutil.Popen(
                self.inside(*words, *options, folder=Path("/")),
                env={**self.environment(), **(environment or {})}, stdout=file, stderr=file,
            )  # fmt: skip
        while "Ray runtime started" not in log.read_text():  # one after the other: two may collide
            assert started.poll() is None, log.read_text()
            time.sleep(0.1)
        self.nodes.append(started)

    def inside(self, *words: str, folder: Path) -> list[str]:
        """Extend a command so that it runs in the cluster's namespaces."""
        return ["nsenter", f"--target={self._init}", *SPACES, f"--wd={folder}", *words]

    def environment(self) -> dict[str, str]:
        """Environment of a process that uses the cluster."""
        own = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self._token, "VPR_RAY_ADDRESS": ADDRESS}
        return {**dvc_environment(), **own}

    def run(self, folder: Path, *words: str, code: int = 0, **settings: str) -> str:
        """Run a command in a folder with the cluster, and give all that it printed."""
        done = subprocess.run(
            self.inside(*words, folder=folder), env={**self.environment(), **settings},
            capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def raylet(self, node: int) -> psutil.Process:
        """Find the raylet of a node."""
        (found,) = (p for p in self.nodes[node].children(recursive=True) if p.name() == "raylet")
        return found

    def workers(self) -> list[psutil.Process]:
        """Find the processes that run tasks, or wait for some."""
        below = psutil.Process(self._init).children(recursive=True)
        return [p for node in (*self.nodes, *below) for p in _workers_of(node)]

    def spilled(self) -> bool:
        """Whether a node has written objects to the disk."""
        logs = self.folder.glob("session_2*/logs/raylet*")
        return any("Spilled" in log.read_text(errors="replace") for log in logs)

    def end(self) -> None:
        """End all of it."""
        os.kill(self._first.pid, signal.SIGKILL)
        for process in (self._first, *self.nodes):
            process.wait()
        self._first.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def _workers_of(node: psutil.Process) -> list[psutil.Process]:
    if not node.is_running():
        return []
    return [p for p in node.children(recursive=True) if _is_worker(p)]


def _is_worker(process: psutil.Process) -> bool:
    try:
        line = process.cmdline()
    except psutil.Error:
        return False
    return bool(line) and line[0].startswith(("ray::IDLE", "ray::_work_on"))
