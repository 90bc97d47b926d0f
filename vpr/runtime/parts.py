"""Arrays of photos in files of some photos each, so that one more photo changes one file.

Files are named by their first photo: `features/000000.npy`, `features/000071.npy`, ... The writer
decides which photos share a file, see `vpr.images.known_parts`.
"""

from __future__ import annotations

import resource
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from vpr.runtime.artefacts import replaced_whole
from vpr.runtime.npz import load_array

Arrays = Sequence[NDArray[Any]]  # of one photo, in the order of their names


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of photos, photo after photo, in one array or several.

    Args:
        arrays: Shape (num_rows, ...) each, usually mapped; no photo is in two of them.
        starts: First row of each photo, and the end, shape (num_photos + 1,).
    """

    arrays: Sequence[NDArray[Any]]
    starts: NDArray[np.int64]

    @cached_property
    def _firsts(self) -> NDArray[np.int64]:
        """First row of each array, and the end."""
        return np.cumsum([0, *map(len, self.arrays)])

    def of(self, photo: int) -> NDArray[Any]:
        """Select the rows of one photo, without a copy."""
        start, end = self.starts[photo : photo + 2].tolist()
        # A photo without rows at the very end begins after the last array.
        number = min(int(np.searchsorted(self._firsts, start, "right")), len(self.arrays)) - 1
        first = int(self._firsts[number])
        return self.arrays[number][start - first : end - first]

    def first(self, num_photos: int) -> Rows:
        """Select the first photos."""
        return Rows(self.arrays, self.starts[: num_photos + 1])


def part_file(folder: Path, name: str, first: int) -> Path:
    """Name the file of an array, by the first photo in it."""
    return folder / name / f"{first:06d}.npy"


def save_part(
    folder: Path, names: Sequence[str], photos: Iterable[Arrays], *, first: int = 0
) -> list[Path]:
    """Write the arrays of neighbouring photos; the last file appears when all are complete.

    Args:
        folder: Folder to write to.
        names: The arrays.
        photos: Rows of each photo in each array, one photo at least.
        first: Number of the first photo.

    Returns:
        The files, in the order of the names.
    """
    files = []
    for name, rows in zip(names, zip(*photos, strict=True), strict=True):
        file = part_file(folder, name, first)
        file.parent.mkdir(parents=True, exist_ok=True)
        with replaced_whole(file) as stream:
            _write_rows(stream, rows)
        files.append(file)
    return files


def _write_rows(stream: IO[bytes], rows: Sequence[NDArray[Any]]) -> None:
    """Write arrays as `np.save` writes them concatenated, without a second copy in memory."""
    (kind,) = {(array.dtype, array.shape[1:]) for array in rows}
    header = {
        "descr": npy.dtype_to_descr(kind[0]), "fortran_order": False,
        "shape": (sum(map(len, rows)), *kind[1]),
    }  # fmt: skip
    npy.write_array_header_1_0(stream, header)
    for array in rows:
        stream.write(array.tobytes())


def load_parts(folder: Path, names: Sequence[str], *, what: str) -> list[list[NDArray[Any]]]:
    """Map the arrays of a folder.

    Args:
        folder: The folder.
        names: The arrays; the last has one row for each photo.
        what: What the folder holds, for messages.

    Returns:
        The arrays of each name, part after part.

    Raises:
        ValueError: If a file is missing, or is not an array.
    """
    firsts = sorted(int(file.stem) for file in (folder / names[-1]).glob("[0-9]*.npy"))
    if not firsts:
        raise ValueError(f"{folder / names[-1]}: there is no {part_file(folder, names[-1], 0).name}"
                         f": expected a folder of {what}: make it by `dvc repro`")  # fmt: skip
    _allow_open_files(len(firsts) * (len(names) - 1))
    loaded = [
        [
            load_array(part_file(folder, name, first), what=f"a file of {what}", mapped=mapped)
            for first in firsts
        ]
        for name, mapped in zip(names, [*[True] * (len(names) - 1), False], strict=True)
    ]
    ends = np.cumsum([0, *(len(array) if array.ndim else 0 for array in loaded[-1])])
    for first, expected in zip(firsts, ends.tolist(), strict=False):
        if first != expected:
            missing = part_file(folder, names[-1], expected)
            raise ValueError(f"{missing}: missing: the next file of {what} is {first:06d}.npy")
    return loaded


def _allow_open_files(count: int) -> None:
    """Raise this process's limit of open files, usually 1,024: each array that is mapped is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY:
        most = soft + count if hard == resource.RLIM_INFINITY else min(soft + count, hard)
        with suppress(ValueError, OSError):  # macOS has another limit yet
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
