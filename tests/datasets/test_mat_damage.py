"""Damaged and hostile .mat files are read right or refused in one line; memory stays bounded."""

from __future__ import annotations

import os
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
from vpr.datasets.matlab.file import read_variable

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


LIMIT = 2**20  # in place of MAX_BYTES, so that a bomb is small
ZEROS = array(NUMBERS, (1, LIMIT), element(DOUBLE, bytes(8 * LIMIT)), name=b"dbStruct")
HOSTILE = {
    "claims 4611686014132420609 values, with 8 bytes": huge(NUMBERS, 2**31 - 1, 2**31 - 1),
    "ends before its values": array(
        CELL, (1, 2**31 - 1), array(CHAR, (0, 0), element(INT8, b"")), name=b"dbStruct"
    ),
    "a text of size (1, 268435456), with 0 characters": array(
        CHAR, (1, 2**28), element(INT8, b""), name=b"dbStruct"
    ),
    "an array of size (-1, 5)": huge(NUMBERS, -1, 5),
    "an array of class 5": huge(SPARSE, 1, 1),
    "more than 4 deep": nested(2000),
    f"more than {LIMIT:,} bytes": packed(ZEROS),
    "claims 4294967295 bytes": element(MATRIX, b"12345678", claim=2**32 - 1),
}


@pytest.mark.parametrize("words", HOSTILE)
def test_claims_that_the_bytes_do_not_bear_out_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    monkeypatch.setattr("vpr.datasets.matlab.elements.MAX_BYTES", LIMIT)
    file = tmp_path / "a.mat"
    file.write_bytes(HEADER["<"] + HOSTILE[words])
    with pytest.raises(ValueError, match=r"a\.mat: not a readable .mat file") as caught:
        read_variable(file, "dbStruct")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_bomb_in_another_variable_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vpr.datasets.matlab.elements.MAX_BYTES", LIMIT)
    file = tmp_path / "a.mat"
    other = packed(ZEROS.replace(b"dbStruct", b"anything"))
    one = array(NUMBERS, (1, 1), element(DOUBLE, struct.pack("<d", 7)), name=b"dbStruct")
    file.write_bytes(HEADER["<"] + other * 50 + packed(one))
    assert read_variable(file, "dbStruct").tolist() == [[7.0]]


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
    read_mutations(tmp_path, first=0, count=150)


@pytest.mark.soak
def test_two_thousand_mutated_files(tmp_path: Path) -> None:
    read_mutations(tmp_path, first=1000, count=2000)
