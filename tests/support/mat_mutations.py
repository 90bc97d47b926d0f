"""A process of its own that reads damaged .mat files, in bounded memory and time.

`python mat_mutations.py FOLDER FIRST COUNT`: FOLDER holds `valid/*.mat` and `set/`, a data set
whose `set.mat` is replaced again and again. One line for each file: its number and `parsed`, or
`refused:` and why. Anything else ends the process.
"""

from __future__ import annotations

import os
import resource
import signal
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from vpr.datasets.formats import parse_set
from vpr.places.gathering import gather_images

MEMORY_BYTES = 2**30  # on top of what the process has when it starts
CPU_S = 20  # for one file
HEADER_BYTES = 128
COMPRESSED = 15
NUMBERS = (0, 1, 2, 8, 14, 15, 0xFF, 0x7FFF, 0x10000, 2**27, 2**31 - 1, 2**31, 2**32 - 1)


def mutate(content: bytes, rng: np.random.Generator) -> bytes:
    """One to three changes; where an element is compressed, mostly to what is inside it."""
    if struct.unpack_from("<I", content, HEADER_BYTES)[0] == COMPRESSED and rng.random() < 0.8:
        inside = zlib.decompress(content[HEADER_BYTES + 8 :])
        packed = zlib.compress(change_bytes(inside, rng))
        return content[:HEADER_BYTES] + struct.pack("<II", COMPRESSED, len(packed)) + packed
    return change_bytes(content, rng)


def change_bytes(content: bytes, rng: np.random.Generator) -> bytes:
    """One to three changes at random places."""
    changed = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        place = int(rng.integers(0, max(1, len(changed))))
        size = int(rng.integers(1, 64))
        kind = rng.integers(0, 6)
        if kind == 0 and changed:  # one bit
            changed[place % len(changed)] ^= 1 << int(rng.integers(0, 8))
        elif kind in (1, 2):  # a size, a class or a type
            place -= place % 4
            changed[place : place + 4] = struct.pack("<I", NUMBERS[rng.integers(0, len(NUMBERS))])
        elif kind == 3:
            del changed[place : place + (size if rng.random() < 0.7 else len(changed))]
        elif kind == 4:
            changed[place:place] = changed[max(0, place - size) : place]
        else:
            changed[place : place + size] = rng.bytes(size)
    return bytes(changed)


def forbid_other_files(home: Path) -> None:
    """Let opening a file fail that is neither in a folder nor Python's own."""
    allowed = (str(home), sys.prefix, sys.base_prefix, os.devnull)

    def watch(event: str, args: tuple[Any, ...]) -> None:
        is_path = event == "open" and not isinstance(args[0], int)  # an int is an open pipe
        if is_path and not os.fsdecode(args[0]).startswith(allowed):
            raise RuntimeError(f"opened {args[0]!r}")

    sys.addaudithook(watch)


def empty(folder: Path) -> None:
    """Remove a folder's files by their whole paths."""
    for file in folder.rglob("*.*"):
        file.unlink()
    for side in folder.glob("*"):
        side.rmdir()


def read(folder: Path, aside: Path) -> str:
    """What comes of a data set: stage prepare's way to it, and its checks made again."""
    try:
        truth = parse_set(folder, "set.mat")
        for side, index in (("database", truth.database), ("query", truth.query)):
            gather_images(folder, index.paths, aside / side, side=side)
    except (ValueError, OSError) as error:
        assert str(error).isprintable(), error  # one line, and nothing for a terminal to obey
        return f"refused: {error}"
    for side, index in (("database", truth.database), ("query", truth.query)):
        assert len(index.paths) == len(index.coordinates) == len(list((aside / side).iterdir())) > 0
        assert np.isfinite(index.coordinates).all() and index.coordinates.shape[1] == 2
    assert truth.radius_m is not None and 0 < truth.radius_m < np.inf
    return "parsed"


def main(home: Path, first: int, count: int) -> None:
    """Read the valid files as they are, then mutations of them."""
    valid = [file.read_bytes() for file in sorted((home / "valid").glob("*.mat"))]
    for content in valid:  # also brings in what is imported late
        (home / "set/set.mat").write_bytes(content)
        assert read(home / "set", home / "aside") == "parsed"
        empty(home / "aside")
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + MEMORY_BYTES, held + MEMORY_BYTES))
    forbid_other_files(home)
    for number in range(first, first + count):
        rng = np.random.default_rng(number)
        (home / "set/set.mat").write_bytes(mutate(valid[number % len(valid)], rng))
        signal.setitimer(signal.ITIMER_PROF, CPU_S)  # ends the process when it fires
        print(number, read(home / "set", home / "aside"), flush=True)
        empty(home / "aside")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
