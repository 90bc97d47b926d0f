"""Files of arrays are the same bytes from every Python, and numpy, scipy and zipfile read them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from scipy.sparse import csr_array

from vpr.places.positives import save_positives
from vpr.runtime.npz import load_arrays, save_arrays, write_arrays

ARRAYS = {
    "matrix": np.arange(6, dtype=np.float32).reshape(2, 3),
    "columns_first": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "every_second": np.arange(10, dtype=np.int16)[::2],
    "number": np.int64(7),
    "flags": np.array([True, False]),
    "text": np.array(b"csr"),
    "names": np.array(["a", "Köln"]),
    "no_rows": np.empty((0, 3), np.float32),
    "big_endian": np.array([1, 2], ">u4"),
}

# Field by field from PKWARE's APPNOTE; the checksum is gzip's.
NPY = (
    b"\x93NUMPY\x01\x00v\x00{'descr': '<u2', 'fortran_order': False, 'shape': (2,), }"
    + b" " * 60
    + b"\n\x01\x00\x00\x02"
)
LOCAL_HEADER = (
    b"PK\x03\x04"  # signature
    b"\x14\x00"  # needs version 2.0
    b"\x00\x00\x00\x00"  # no flags, stored
    b"\x00\x00\x21\x00"  # 00:00, 1 January 1980
    b"\x20\x8e\x05\x41"  # checksum
    b"\x84\x00\x00\x00\x84\x00\x00\x00"  # 132 bytes, as many before compression
    b"\x05\x00\x00\x00"  # a name of five bytes, no extra field
    b"a.npy"
)
DIRECTORY = (
    b"PK\x01\x02"
    b"\x14\x03"  # made by version 2.0 on Unix
    b"\x14\x00"
    b"\x00\x00\x00\x00"
    b"\x00\x00\x21\x00"
    b"\x20\x8e\x05\x41"
    b"\x84\x00\x00\x00\x84\x00\x00\x00"
    b"\x05\x00\x00\x00"
    b"\x00\x00\x00\x00\x00\x00"  # no comment, first disk, binary
    b"\x00\x00\x80\x01"  # mode 0600
    b"\x00\x00\x00\x00"  # from the file's first byte
    b"a.npy"
)
END = (
    b"PK\x05\x06"
    b"\x00\x00\x00\x00"  # one disk
    b"\x01\x00\x01\x00"  # one member
    b"\x33\x00\x00\x00"  # 51 bytes of directory
    b"\xa7\x00\x00\x00"  # from byte 35 + 132
    b"\x00\x00"  # no comment
)


def members(file: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def test_every_byte_of_a_file_is_as_the_formats_say(tmp_path: Path) -> None:
    save_arrays(tmp_path / "a.npz", {"a": np.array([1, 512], np.uint16)})
    assert (tmp_path / "a.npz").read_bytes() == LOCAL_HEADER + NPY + DIRECTORY + END


def test_arrays_are_those_of_numpys_own_file(tmp_path: Path) -> None:
    save_arrays(tmp_path / "ours.npz", ARRAYS)
    np.savez(tmp_path / "numpy.npz", **ARRAYS)  # type: ignore[arg-type]
    assert members(tmp_path / "ours.npz") == members(tmp_path / "numpy.npz")


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_files_that_numpy_wrote_still_load(tmp_path: Path, write: Callable[..., None]) -> None:
    write(tmp_path / "earlier.npz", **ARRAYS)
    loaded = load_arrays(tmp_path / "earlier.npz", list(ARRAYS), what="a file")
    for array, expected in zip(loaded, ARRAYS.values(), strict=True):
        np.testing.assert_array_equal(array, expected, strict=True)


def test_numpy_loads_the_same_values_types_and_layout(tmp_path: Path) -> None:
    save_arrays(tmp_path / "ours.npz", ARRAYS)
    with np.load(tmp_path / "ours.npz") as loaded:
        assert list(loaded) == list(ARRAYS)
        for name, expected in ARRAYS.items():
            np.testing.assert_array_equal(loaded[name], expected, strict=True)
        assert loaded["columns_first"].flags.f_contiguous


def test_scipy_loads_positives(tmp_path: Path) -> None:
    positives = csr_array(np.array([[3.0, 0, 4], [0, 5, 0]]))
    save_positives(tmp_path / "positives.npz", positives)
    loaded = scipy.sparse.load_npz(tmp_path / "positives.npz")
    np.testing.assert_array_equal(loaded.toarray(), positives.toarray())


def test_python_objects_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="broken: expected numbers or text, found Python objects"):
        save_arrays(tmp_path / "a.npz", {"broken": np.array([None])})


class SparseFile(io.FileIO):
    """Leaves out the zeros of a large array, so that they take no disk."""

    def write(self, content: Any, /) -> int:  # noqa: ANN401, D102 # as FileIO has it
        if len(content) < 2**20:
            return super().write(content)
        self.seek(len(content), io.SEEK_CUR)
        return len(content)


def test_an_array_beyond_two_gibibytes_and_one_after_it_are_found(tmp_path: Path) -> None:
    large = np.zeros(2**31 + 2, np.uint8)  # memory that is never written takes none
    with SparseFile(tmp_path / "large.npz", "w") as file:
        write_arrays(file, {"first": np.int64(1), "large": large, "last": np.int64(9)})
    with zipfile.ZipFile(tmp_path / "large.npz") as archive:
        sizes = [member.file_size for member in archive.infolist()]
    assert sizes == [128 + 8, 128 + 2**31 + 2, 128 + 8]
    assert load_arrays(tmp_path / "large.npz", ["first", "last"], what="a file") == [1, 9]
