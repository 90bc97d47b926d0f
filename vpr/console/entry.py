"""How a stage starts and ends: its command line, its environment, its parent and its messages."""

from __future__ import annotations

import argparse
import ctypes
import errno
import inspect
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

PR_SET_PDEATHSIG = 1  # linux/prctl.h
SHELLS = ("sh", "dash", "ash", "bash", "zsh", "ksh", "mksh", "fish")  # that DVC runs a command by

HOW_TO_MAKE_ROOM = "make room (`dvc gc --help`), then run again"
HOW_BACK = "Outs of the last complete run come back with: git checkout metrics && dvc checkout"


def _begin() -> None:
    """Prepare a stage before the seconds in which it imports torch and others."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not ignored, as by nohup
        signal.signal(signal.SIGINT, _stop_importing)
    if sys.platform == "linux":
        _end_with_parent()


def _stop_importing(number: int, frame: FrameType | None) -> None:
    os.write(2, b"interrupted while starting\n")
    os._exit(130)


def _end_with_parent() -> None:
    """End this process when its parent dies, so that no orphan writes outs later.

    Linux tells when the parent ends. DVC is not always the parent: dash stays in between where
    bash hands its process over, and outlives DVC. Then a thread looks for DVC now and then.
    """
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if "DVC_STAGE" not in os.environ:  # started by hand
        return
    parent = os.getppid()
    name, above = _name_and_parent(parent)
    dvc = above if name in SHELLS else parent
    if _takes_in_orphans(dvc):
        sys.exit("the dvc that started this stage has died: ending")
    if dvc != parent:
        threading.Thread(target=_end_with, args=(dvc, parent), daemon=True).start()


def _name_and_parent(pid: int) -> tuple[str, int]:
    """Find the name and parent of a process; init's where it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().split("\n")
    except OSError:
        return "init", 1
    fields = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    return fields["Name"], int(fields["PPid"])


def _takes_in_orphans(pid: int) -> bool:
    """Return whether a process is not this stage's dvc: init, or one of another session."""
    if pid == 1:  # in a container that may be dvc itself
        return b"dvc" not in Path("/proc/1/cmdline").read_bytes()
    return os.getsid(pid) != os.getsid(0)


def _end_with(dvc: int, shell: int) -> None:
    while _name_and_parent(shell)[1] == dvc:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)


if str(getattr(sys.modules["__main__"].__spec__, "name", "")).startswith("stages."):
    _begin()

from vpr.runtime.environment import check_versions  # noqa: E402 - slow to import, so after the above


def run_stage(stage: Callable[..., None]) -> None:
    """Run a stage with paths from the command line, and end the process with its exit code.

    Each keyword-only argument of the stage is a path and a required option of the same name. An
    error that data, parameters or the disk can cause becomes one message without a traceback
    (`VPR_TRACEBACK=1` shows it), Ctrl-C in one line.

    Args:
        stage: A function whose arguments are all keyword-only paths.
    """
    parser = argparse.ArgumentParser(description=(inspect.getdoc(stage) or "").split("\n")[0])
    for name in inspect.signature(stage).parameters:
        parser.add_argument(f"--{name.replace('_', '-')}", type=Path, required=True)
    paths = vars(parser.parse_args())
    if signal.getsignal(signal.SIGINT) is _stop_importing:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        check_versions()
        stage(**paths)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        print(f"{stage.__name__}: interrupted. {HOW_BACK}", file=sys.stderr)
        sys.exit(130)
    except (ValueError, OSError, MemoryError) as error:
        if os.environ.get("VPR_TRACEBACK") == "1":
            raise
        is_full = isinstance(error, OSError) and error.errno == errno.ENOSPC
        advice = f" below {Path.cwd()}: {HOW_TO_MAKE_ROOM}" if is_full else ""
        print(f"{stage.__name__}: error: {error}{advice}\n{HOW_BACK}", file=sys.stderr)
        sys.exit(1)
