"""Services that run on this machine, found by their command line: they write no file."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

PROCESSES = Path("/proc")  # of Linux, which the service needs


def find_services(folder: Path) -> list[int]:
    """Find the process ids of services that answer from the run in a folder."""
    found = []
    for process in PROCESSES.glob("[0-9]*"):
        with suppress(OSError):  # it ended, or is another user's
            words = (process / "cmdline").read_bytes().split(b"\0")
            is_ours = (process / "cwd").resolve(strict=True) == folder.resolve()
            if is_ours and _is_service(words):
                found.append(int(process.name))
    return sorted(found)


def _is_service(words: list[bytes]) -> bool:
    """Whether a command line is `python -m vpr serve` or the script's `vpr serve`."""
    if not words[0].rpartition(b"/")[2].startswith(b"python"):
        return False
    script = [words[1].rpartition(b"/")[2], *words[2:3]] if words[1:] else []
    return words[1:4] == [b"-m", b"vpr", b"serve"] or script == [b"vpr", b"serve"]
