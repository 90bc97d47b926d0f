"""Damaged and hostile .mat files are read right or refused in one line; the reader has limits."""

from __future__ import annotations

import os
import resource
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from tests.datasets.test_dbstruct import cells
from tests.support.repositories import ROOT
from vpr.datasets import mat_files
from vpr.datasets.dbstruct import parse_dbstruct

HEADER = {"<": b"".ljust(124) + b"\x00\x01IM", ">": b"".ljust(124) + b"\x01\x00MI"}
MATRIX, COMPRESSED, INT8, INT32, UINT32, DOUBLE = 14, 15, 1, 5, 6, 9
CELL, CHAR, NUMBERS, SPARSE = 1, 4, 6, 5


def named() -> dict[str, Any]:
    """The same set as `cells()`, as a struct with named fields."""
    names = ("dbImageFns", "utmDb", "qImageFns", "utmQ", "numImages", "numQueries")
    names += ("posDistThr", "posDistSqThr")
    values = list(cells()["dbStruct"][0])
    for number in (0, 2):
        texts = np.empty((len(values[number]), 1), dtype=object)
        texts[:, 0] = [str(text).rstrip() for text in values[number]]
        values[number] = texts
    for number in (1, 3):
        values[number] = values[number].T
    return {"dbStruct": {"whichSet": "test", **dict(zip(names, values, strict=True))}}


def element(kind: int, data: bytes, *, order: str = "<", claim: int | None = None) -> bytes:
    size = len(data) if claim is None else claim
    return struct.pack(order + "II", kind, size) + data + bytes(-len(data) % 8)


def array(
    kind: int, dims: tuple[int, ...], values: bytes, *, name: bytes = b"", order: str = "<"
) -> bytes:
    """An array as the format has it, written out by hand."""
    head = element(UINT32, struct.pack(order + "II", kind, 0), order=order)
    head += element(INT32, struct.pack(f"{order}{len(dims)}i", *dims), order=order)
    return element(MATRIX, head + element(INT8, name, order=order) + values, order=order)


def packed(content: bytes) -> bytes:
    data = zlib.compress(content, 9)
    return struct.pack("<II", COMPRESSED, len(data)) + data


def nested(depth: int) -> bytes:
    """Cells in cells in cells, built from the inside without recursion."""
    inside = array(NUMBERS, (1, 1), element(DOUBLE, bytes(8)))
    for level in range(depth):
        name = b"dbStruct" if level == depth - 1 else b""
        inside = array(CELL, (1, 1), inside, name=name)
    return inside


def huge(kind: int, *dims: int) -> bytes:
    return array(kind, dims, element(DOUBLE, bytes(8)), name=b"dbStruct")


ZEROS = element(DOUBLE, bytes(2**28))  # compressed to a quarter of a megabyte
BOMB = packed(array(NUMBERS, (1, 2**25), ZEROS, name=b"dbStruct"))
HOSTILE = {
    "more numbers than there are": huge(NUMBERS, 2**31 - 1, 2**31 - 1),
    "more cells than there are": array(
        CELL, (1, 2**31 - 1), array(CHAR, (0, 0), element(INT8, b"")), name=b"dbStruct"
    ),
    "text without characters": array(CHAR, (1, 2**30), element(INT8, b""), name=b"dbStruct"),
    "a negative size": huge(NUMBERS, -1, 5),
    "sparse": huge(SPARSE, 1, 1),
    "nested": nested(2000),
    "nested deeper than a stack": nested(8_000),
    "a bomb": BOMB,
    "an element larger than the file": element(MATRIX, b"12345678", claim=2**32 - 1),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_file_is_refused_in_one_line_and_harms_nobody(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "a.mat"
    file.write_bytes(HEADER["<"] + HOSTILE[kind])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match=r"a\.mat: ") as caught:
        parse_dbstruct(file)
    assert str(caught.value).isprintable()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**20  # 1 GB, in kB


def test_reading_that_takes_too_long_or_crashes_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.mat"
    savemat(file, cells())
    for name in ("SIGXCPU", "SIGSEGV"):
        (tmp_path / "dies.py").write_text(f"import os, signal\nos.kill(os.getpid(), signal.{name})")
        monkeypatch.setattr(mat_files, "__file__", str(tmp_path / "dies.py"))
        with pytest.raises(ValueError, match=rf"not a readable .mat file .*ended with {name}"):
            parse_dbstruct(file)


def read_mutations(home: Path, *, first: int, count: int) -> list[str]:
    """Let a process of its own read mutated files; the outcome of each."""
    (home / "valid").mkdir()
    (home / "set").mkdir()
    for number, content in enumerate((cells(), named())):
        for compressed in (False, True):
            savemat(home / f"valid/{number}{compressed}.mat", content, do_compression=compressed)
    for name in ("a.jpg", "bcd.jpg", "q.jpg"):
        Image.new("RGB", (8, 8)).save(home / "set" / name)
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.mat_mutations", str(home), str(first), str(count)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONFAULTHANDLER": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    outcomes = [line.partition(" ")[2] for line in done.stdout.splitlines()]
    assert len(outcomes) == count
    assert {outcome.split(":")[0] for outcome in outcomes} == {"parsed", "refused"}
    return outcomes


def test_mutated_files_are_parsed_with_all_checks_or_refused(tmp_path: Path) -> None:
    read_mutations(tmp_path, first=0, count=15)  # which end in eleven different ways


@pytest.mark.soak
def test_two_thousand_mutated_files(tmp_path: Path) -> None:
    read_mutations(tmp_path, first=1000, count=2000)
