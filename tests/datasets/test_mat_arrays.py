"""Arrays of .mat files are those that scipy reads, and those that MATLAB writes."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from tests.datasets.test_dbstruct import cells
from tests.datasets.test_mat_damage import CHAR, DOUBLE, HEADER, NUMBERS, array, element, named
from vpr.datasets.matlab.file import read_variable

UTF8, UTF16, UINT8, UINT16 = 16, 17, 2, 4


def assert_same(ours: Any, theirs: Any) -> None:  # noqa: ANN401
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.dtype.names == theirs.dtype.names
    assert ours.shape == theirs.shape or ours.size == theirs.size == 0
    for name in ours.dtype.names or ():
        assert_same(ours[name], theirs[name])
    if ours.dtype == object:
        for a, b in zip(ours.ravel(), theirs.ravel(), strict=True):
            assert_same(a, b)
    elif ours.dtype.names is None:
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("content", [cells(), named()], ids=["cells", "named"])
def test_arrays_are_those_of_scipy(
    tmp_path: Path, content: dict[str, Any], compressed: bool
) -> None:
    savemat(tmp_path / "a.mat", content, do_compression=compressed)
    ours = read_variable(tmp_path / "a.mat", "dbStruct")
    assert_same(ours, loadmat(tmp_path / "a.mat")["dbStruct"])


@pytest.mark.parametrize("name", ["berlin", "oxford", "nordland"])
def test_real_files_read_as_by_scipy(real_data: Path, name: str) -> None:
    file = real_data / name / f"{name}.mat"
    assert_same(read_variable(file, "dbStruct"), loadmat(file)["dbStruct"])


@pytest.mark.parametrize("order", ["<", ">"])
def test_numbers_are_read_in_both_byte_orders(tmp_path: Path, order: str) -> None:
    values = element(DOUBLE, struct.pack(order + "2d", 1.5, -2.0), order=order)
    content = array(NUMBERS, (1, 2), values, name=b"dbStruct", order=order)
    (tmp_path / "a.mat").write_bytes(HEADER[order] + content)
    assert read_variable(tmp_path / "a.mat", "dbStruct").tolist() == [[1.5, -2.0]]


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (UINT8, b"a\xe9b "),
        (UINT16, "aéb ".encode("utf-16-le")),
        (UTF8, "aéb ".encode()),
        (UTF16, "aéb ".encode("utf-16-le")),
    ],
)
def test_text_is_read_by_rows_in_every_form_that_matlab_writes(
    tmp_path: Path, kind: int, data: bytes
) -> None:
    content = array(CHAR, (2, 2), element(kind, data), name=b"dbStruct")  # column after column
    (tmp_path / "a.mat").write_bytes(HEADER["<"] + content)
    assert read_variable(tmp_path / "a.mat", "dbStruct").tolist() == ["ab", "é "]
