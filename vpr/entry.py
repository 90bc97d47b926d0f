"""How a stage starts and ends: its command line, its environment and its words on failure."""

from __future__ import annotations

import argparse
import ctypes
import inspect
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from vpr.environment import check_versions

PR_SET_PDEATHSIG = 1  # linux/prctl.h

HOW_BACK = "Outs of the last complete run come back with: git checkout metrics && dvc checkout"


def run_stage(stage: Callable[..., None]) -> None:
    """Run a stage with paths from the command line, and end the process with its exit code.

    Each keyword-only argument of the stage is a path and a required option of the same name. An
    error that data, parameters or the disk can cause is told in one message without a traceback
    (`VPR_TRACEBACK=1` shows it), Ctrl-C in one line.

    Args:
        stage: A function whose arguments are all keyword-only paths.
    """
    parser = argparse.ArgumentParser(description=(inspect.getdoc(stage) or "").split("\n")[0])
    for name in inspect.signature(stage).parameters:
        parser.add_argument(f"--{name.replace('_', '-')}", type=Path, required=True)
    paths = vars(parser.parse_args())
    _end_with_parent()
    try:
        check_versions()
        stage(**paths)
    except KeyboardInterrupt:
        print(f"{stage.__name__}: interrupted. {HOW_BACK}", file=sys.stderr)
        sys.exit(130)
    except (ValueError, OSError) as error:
        if os.environ.get("VPR_TRACEBACK") == "1":
            raise
        print(f"{stage.__name__}: error: {error}\n{HOW_BACK}", file=sys.stderr)
        sys.exit(1)


def _end_with_parent() -> None:
    """Ask Linux to end this process when its parent dies, so that no orphan writes outs later."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
