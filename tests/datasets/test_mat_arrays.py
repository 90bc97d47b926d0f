"""dbStructs of .mat files are those that scipy reads, and those that MATLAB writes."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from tests.datasets.test_dbstruct import cells
from tests.datasets.test_mat_damage import (
    CELL,
    CHAR,
    DOUBLE,
    HEADER,
    NUMBERS,
    array,
    element,
    named,
)
from vpr.datasets.mat_files import read_dbstruct

UTF8, UTF16, UINT8, UINT16 = 16, 17, 2, 4


@pytest.mark.parametrize("compressed", [False, True])
def test_cells_and_fields_are_read_as_they_were_written(tmp_path: Path, compressed: bool) -> None:
    savemat(tmp_path / "a.mat", cells(), do_compression=compressed)
    fields, parts = read_dbstruct(tmp_path / "a.mat")
    assert fields == ()
    for part, expected in zip(parts, cells()["dbStruct"][0], strict=True):
        np.testing.assert_array_equal(part.squeeze(), np.squeeze(expected))
    savemat(tmp_path / "b.mat", named(), do_compression=compressed)
    fields, parts = read_dbstruct(tmp_path / "b.mat")
    found = dict(zip(fields, parts, strict=True))
    assert list(fields) == list(named()["dbStruct"])
    assert found["dbImageFns"].tolist() == ["a.jpg", "bcd.jpg"]
    np.testing.assert_array_equal(found["utmDb"], named()["dbStruct"]["utmDb"])


@pytest.mark.parametrize("name", ["berlin", "oxford", "nordland"])
def test_real_files_read_as_by_scipy(real_data: Path, name: str) -> None:
    file = real_data / name / f"{name}.mat"
    _, parts = read_dbstruct(file)
    for ours, theirs in zip(parts, loadmat(file)["dbStruct"].ravel(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def write(file: Path, content: bytes, order: str = "<") -> None:
    """A file whose dbStruct is one cell."""
    file.write_bytes(HEADER[order] + array(CELL, (1, 1), content, name=b"dbStruct", order=order))


@pytest.mark.parametrize("order", ["<", ">"])
def test_numbers_and_text_are_read_in_both_byte_orders(tmp_path: Path, order: str) -> None:
    values = element(DOUBLE, struct.pack(order + "2d", 1.5, -2.0), order=order)
    write(tmp_path / "a.mat", array(NUMBERS, (1, 2), values, order=order), order)
    assert read_dbstruct(tmp_path / "a.mat")[1][0].tolist() == [[1.5, -2.0]]
    data = "길x".encode("utf-16-be" if order == ">" else "utf-16-le")
    write(
        tmp_path / "b.mat",
        array(CHAR, (1, 2), element(UINT16, data, order=order), order=order),
        order,
    )
    assert read_dbstruct(tmp_path / "b.mat")[1][0].tolist() == ["길x"]


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (UINT8, b"aeb "),
        (UINT16, "a길b ".encode("utf-16-le")),
        (UTF8, "a길b ".encode()),
        (UTF16, "a길b ".encode("utf-16-le")),
    ],
)
def test_text_is_read_by_rows_in_every_form_that_matlab_writes(
    tmp_path: Path, kind: int, data: bytes
) -> None:
    write(tmp_path / "a.mat", array(CHAR, (2, 2), element(kind, data)))  # column after column
    expected = ["ab", "e "] if kind == UINT8 else ["ab", "길 "]
    assert read_dbstruct(tmp_path / "a.mat")[1][0].tolist() == expected


def test_text_of_an_unknown_encoding_is_refused_and_never_half_read(tmp_path: Path) -> None:
    write(tmp_path / "a.mat", array(CHAR, (1, 4), element(UINT8, b"a\xe9b ")))
    with pytest.raises(ValueError, match=r"unknown encoding: in MATLAB 7 or later, save it again"):
        read_dbstruct(tmp_path / "a.mat")
