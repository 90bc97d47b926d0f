"""How a stage starts and ends: its command line, its environment, its parent and its messages."""

from __future__ import annotations

import argparse
import ctypes
import errno
import gc
import inspect
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

PR_SET_PDEATHSIG = 1  # linux/prctl.h

HOW_TO_MAKE_ROOM = "make room (`dvc gc --help`), then run again"
HOW_BACK = "Outs of the last complete run come back with: git checkout metrics && dvc checkout"


def _begin() -> None:
    """Prepare for the seconds in which a stage imports torch and others.

    Imported objects stay, so the garbage collector is off during imports, and `run_stage` excludes
    those objects from it. That saves a quarter to a third of the processor time of a stage that
    imports torch and computes little.
    """
    gc.disable()
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not ignored, as by nohup
        signal.signal(signal.SIGINT, _stop_importing)
    if sys.platform == "linux":
        _end_with_parent()


def _stop_importing(number: int, frame: FrameType | None) -> None:
    os.write(2, b"interrupted while starting\n")
    os._exit(130)


def _end_with_parent() -> None:
    """End this process when its parent dies, so that no orphan goes on computing.

    A shell that stays between DVC and the stage, as dash does, outlives DVC; then the lock of the
    outs (`vpr.runtime.artefacts`) refuses a second run until the orphan has ended.
    """
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


if str(getattr(sys.modules["__main__"].__spec__, "name", "")).startswith("stages."):
    _begin()

# Slow to import, so after the above.
from vpr.runtime.environment import check_versions  # noqa: E402
from vpr.sections import require_sections  # noqa: E402


def run_stage(stage: Callable[..., None]) -> None:
    """Run a stage with paths from the command line, and end the process with its exit code.

    Each keyword-only argument of the stage is a path and a required option of the same name. An
    error that data, parameters or the disk can cause becomes one message without a traceback
    (`VPR_TRACEBACK=1` shows it), and Ctrl-C one line.
    """
    parser = argparse.ArgumentParser(description=(inspect.getdoc(stage) or "").split("\n")[0])
    for name in inspect.signature(stage).parameters:
        parser.add_argument(f"--{name.replace('_', '-')}", type=Path, required=True)
    paths = vars(parser.parse_args())
    gc.freeze()
    gc.enable()
    if signal.getsignal(signal.SIGINT) is _stop_importing:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        check_versions()
        require_sections()
        stage(**paths)
        gc.freeze()
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
