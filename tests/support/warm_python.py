"""Python and DVC that start by a fork of a process that has imported what they import.

Of a stage on a dozen small images the imports are nearly all: 1.5 s for torch, 0.8 s for DVC. So
`python -m ...` and `dvc` in tests of whole runs are a client that asks this server for a process:
the command's own module, folder, environment, input and outputs, and no module of the repository
imported before. Kills, clusters and servers are tested with processes that start from nothing, as
`make run` does and as every test does with VPR_COLD_TESTS=1.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
IMPORTED = (
    "PIL.Image", "cv2", "dvc.cli", "dvc.commands.experiments", "dvc.repo", "faiss", "networkx",
    "numpy", "pandas", "pydantic.main", "pyparsing", "pyproj", "ruamel.yaml", "scipy.io",
    "scipy.sparse", "scipy.spatial", "scipy.stats", "scmrepo.git", "sklearn.cluster",
    "sklearn.decomposition", "torch", "torch._dynamo", "torchvision",
)  # fmt: skip
# Read when a process starts or a library is loaded, so another value needs a new process.
AT_START = ("PYTHON", "OMP_", "MKL_", "OPENBLAS_", "LC_", "LANG", "LD_", "CUDA_", "TORCH_", "TZ")
UTF8 = ("PYTHONIOENCODING", "utf-8")  # as the server has it anyway
COLD = b"cold"
CLIENT = """#!{python} -IS
import json, os, socket, sys
name, words, real = os.path.basename(sys.argv[0]), sys.argv[1:], "{folder}"
if name == "dvc" or words[:1] == ["-m"]:
    with socket.socket(socket.AF_UNIX) as server:
        server.connect("{address}")
        words = ["dvc", *words] if name == "dvc" else words[1:]
        asked = json.dumps([words, os.getcwd(), dict(os.environ)]).encode()  # ASCII alone
        socket.send_fds(server, [len(asked).to_bytes(8, "big")], [0, 1, 2])
        server.sendall(asked)
        answer = server.recv(16)
    if answer != b"cold":
        os._exit(int(answer or 1))
real = os.path.join(real, name)
os.execv(real, [real, *sys.argv[1:]])
"""


@cache
def warm_path() -> str:
    """Start the server, once in a process of pytest, and give the folder of its commands."""
    folder = TemporaryDirectory(prefix="vpr-warm-")
    home = Path(folder.name)
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.support.warm_python", str(home / "server")],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert server.stdin and server.stdout and server.stdout.readline() == b"ready\n"

    def end() -> None:
        with server:  # it ends at the end of its input
            pass
        folder.cleanup()

    atexit.register(end)
    bin_folder = Path(sys.executable).parent
    words = CLIENT.format(python=sys.executable, folder=bin_folder, address=home / "server")
    for name in ("python", "python3", "dvc"):
        (home / name).write_text(words)
        (home / name).chmod(0o700)
    return str(home)


def main(address: str) -> None:
    """Import, and start a process for each client until standard input ends."""
    started_with = of_start(os.environ)  # cv2 adds to it
    for name in IMPORTED:
        importlib.import_module(name)
    gc.freeze()
    assert threading.active_count() == 1 and sys.stdout.encoding == UTF8[1]
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the processes
    watcher = os.fork()
    if watcher == 0:  # ends the server with the process of pytest
        sys.stdin.buffer.read()
        os.kill(os.getppid(), signal.SIGTERM)
        os._exit(0)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address)
        server.listen(64)
        print("ready", flush=True)
        while True:
            client, _ = server.accept()
            with client:
                if os.fork() == 0:
                    server.close()
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    serve(client, started_with)


def of_start(environment: Mapping[str, str]) -> dict[str, str]:
    """Select the variables that are read when a process starts."""
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(AT_START) and (name, value) != UTF8
    }


def serve(client: socket.socket, started_with: dict[str, str]) -> None:
    """Become the process that a client asked for; never returns."""
    size, files, _, _ = socket.recv_fds(client, 8, 3)
    with client.makefile("rb") as sent:
        words, folder, environment = json.loads(sent.read(int.from_bytes(size, "big")))
    if of_start(environment) != started_with:
        client.sendall(COLD)
        os._exit(0)
    for target, file in enumerate(files):
        os.dup2(file, target)
        os.close(file)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.path[0] = folder
    for name in [name for name in sys.modules if name.partition(".")[0] == "tests"]:
        del sys.modules[name]
    code = run_module(words)
    client.sendall(str(code).encode())
    os._exit(0)


def run_module(words: list[str]) -> int:
    """Run a module as `python -m` does, to the end of its threads and exit functions."""
    module, *arguments = words
    sys.argv = ["-m", *arguments]
    code: Any = 0
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 1
    if isinstance(code, str):
        print(code, file=sys.stderr)
        code = 1
    threading._shutdown()  # type: ignore[attr-defined] # what an interpreter's end does
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    return int(code or 0)


if __name__ == "__main__":
    main(sys.argv[1])
