"""Killing stages in a real DVC repository, and looking at what is left: `make soak`.

Each kill: force one stage to run, wait a moment that is uniform over its measured duration, send
a signal to the stage, to dvc or to their process group; see that they end; `dvc repro`; compare
every file with the undisturbed run.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import random
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.support.repositories import dvc_environment, make_pipeline, run
from vpr.runtime.parameters import read_yaml

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
TARGETS = ("stage", "dvc", "group")
NOT_COMPARED = {".git", "tmp", "__pycache__", "runs"}  # .dvc/tmp and .dvc/cache/runs
SECONDS_TO_END = 15.0  # of a stage whose dvc was killed; a loaded machine is slow


@dataclass(frozen=True)
class Blow:
    """A kill, and what was seen.

    Args:
        stage: The stage that ran.
        signal: What was sent.
        target: To whom: stage, dvc or group.
        moment: Seconds after the stage's process was there.
        hit: Whether the stage was alive when it was sent.
        seconds_to_end: From the signal until dvc and the stage had ended.
        output: What the killed run printed.
    """

    stage: str
    signal: signal.Signals
    target: str
    moment: float
    hit: bool
    seconds_to_end: float
    output: str


def snapshot(repo: Path) -> dict[str, str]:
    """SHA-256 of every file of a repository, temporary ones included, by path."""
    files = [
        file
        for file in repo.rglob("*")
        if file.is_file() and not NOT_COMPARED & set(file.relative_to(repo).parts)
    ]
    return {
        str(file.relative_to(repo)): hashlib.md5(
            file.read_bytes(), usedforsecurity=False
        ).hexdigest()
        for file in files
    }


def strike(repo: Path, stage: str, number: signal.Signals, target: str, moment: float) -> Blow:
    """Force a stage to run and kill it; return when nothing of it is alive any more."""
    forget(repo, stage)
    log = repo / ".dvc/tmp/killed.log"
    with log.open("w") as file:
        dvc = start(repo, file, "--single-item", stage)
        process, _ = find_stage(dvc)
        time.sleep(moment)
        sent = time.monotonic()
        victim = {"stage": process, "dvc": dvc.pid}.get(target)
        hit = is_alive(process)
        if hit and victim is None:
            os.killpg(dvc.pid, number)
        elif hit:
            os.kill(victim, number)
        dvc.wait(timeout=600)
        while is_alive(process) and time.monotonic() - sent < SECONDS_TO_END:
            time.sleep(0.02)
    assert not is_alive(process), f"{stage} outlived {target} by {SECONDS_TO_END} s"
    return Blow(stage, number, target, moment, hit, time.monotonic() - sent, log.read_text())


def forget(repo: Path, stage: str) -> None:
    """Take a stage's outs out of the cache, or DVC would get them there and not run it again."""
    folder, _, name = stage.rpartition("dvc.yaml:")
    outs = read_yaml(repo / folder / "dvc.lock")["stages"][name]["outs"]
    objects = repo / ".dvc/cache/files/md5"
    for digest in [out["md5"] for out in outs]:
        file = objects / digest[:2] / digest[2:]
        inside = json.loads(file.read_text()) if digest.endswith(".dir") else []
        for each in [digest, *(entry["md5"] for entry in inside)]:
            (objects / each[:2] / each[2:]).unlink(missing_ok=True)
    shutil.rmtree(repo / ".dvc/cache/runs", ignore_errors=True)


def start(repo: Path, log: IO[str], *options: str) -> subprocess.Popen[bytes]:
    """`dvc repro --force` in a session of its own, with SIGINT as a terminal would have it."""
    return subprocess.Popen(
        ["dvc", "repro", "--force", *options],
        cwd=repo, env=dvc_environment(), stdout=log, stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip


def find_stage(dvc: subprocess.Popen[bytes]) -> tuple[int, str]:
    """Process and name of the stage, once there is one; a shell may stand between it and dvc."""
    while dvc.poll() is None:
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                is_ours = os.getsid(int(folder.name)) == dvc.pid
                words = (folder / "cmdline").read_bytes().split(b"\0") if is_ours else []
                if words[1:2] == [b"-m"]:
                    found = re.search(r"DVC_STAGE=([^\0]*)", (folder / "environ").read_text())
                    return int(folder.name), found[1] if found else ""
            except OSError:  # it ended while we looked
                continue
        time.sleep(0.02)
    raise RuntimeError(f"dvc ended with {dvc.returncode} before a stage was seen")


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be counted as dead does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] not in "ZX"
    except OSError:
        return False


def measure_stages(repo: Path) -> dict[str, float]:
    """Seconds from the start of each stage's process to its end."""
    seconds = {}
    with (repo / ".dvc/tmp/killed.log").open("w") as log:
        dvc = start(repo, log)
        with suppress(RuntimeError):  # no further stage
            while True:
                process, name = find_stage(dvc)
                seen = time.monotonic()
                while is_alive(process):
                    time.sleep(0.02)
                seconds[name] = time.monotonic() - seen
        assert dvc.returncode == 0
    return seconds


def losses(repo: Path, undisturbed: dict[str, str]) -> list[str]:
    """What differs after `dvc repro` from the undisturbed run: paths, temporary files too."""
    run(repo, "dvc", "repro")
    assert run(repo, "git", "status", "--porcelain") == ""
    found = snapshot(repo)
    return sorted(dict(found.items() ^ undisturbed.items()))


def plan_kills(
    stages: dict[str, float], *, seed: int
) -> Iterator[tuple[str, signal.Signals, str, float]]:
    """Endless kills: every stage, signal and target in turn, at a random moment."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    kinds = list(itertools.product(SIGNALS, TARGETS))
    for turn in itertools.count():
        for place, (stage, seconds) in enumerate(stages.items()):
            kind = kinds[(turn + place) % len(kinds)]
            yield stage, *kind, rng.uniform(0, seconds)


def soak(num_kills: int, *, seed: int) -> None:
    """Kill until so many have hit a live stage, and print what happened."""
    repo = make_pipeline(Path(tempfile.mkdtemp(prefix="vpr-soak-")) / "repo")
    undisturbed = snapshot(repo)
    durations = measure_stages(repo)
    print("seconds of each stage:", {name: round(s, 1) for name, s in durations.items()})
    assert losses(repo, undisturbed) == []
    done: list[Blow] = []
    for kill in plan_kills(durations, seed=seed):
        blow = strike(repo, *kill)
        lost = losses(repo, undisturbed)
        done += [blow] if blow.hit else []
        print(
            f"{len(done):3d} {blow.stage:14} {blow.signal.name:8} to {blow.target:6} at "
            f"{blow.moment:5.2f} s: {'hit' if blow.hit else 'missed'}, ended in "
            f"{blow.seconds_to_end:.2f} s, lost: {lost or 'nothing'}", flush=True,
        )  # fmt: skip
        assert lost == []
        if len(done) == num_kills:
            break
    print("kills that hit:", dict(Counter((b.signal.name, b.target) for b in done)))
    print("with a traceback:", [b for b in done if "Traceback" in b.output])
    print(f"{len(done)} kills, dvc.lock and all files as in the undisturbed run after each")
    shutil.rmtree(repo.parent)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Kill stages, run again, compare.")
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    soak(options.kills, seed=options.seed)
