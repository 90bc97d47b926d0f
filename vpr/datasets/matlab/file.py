"""MATLAB files: one variable out of one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from vpr.datasets.matlab.arrays import read_array
from vpr.datasets.matlab.elements import MAX_BYTES, find_byte_order, find_variable

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
HDF5_OFFSETS = (0, 512)  # MATLAB writes 512 bytes of its own before it


def read_variable(path: Path, name: str) -> NDArray[Any]:
    """Read one variable of a .mat file of MATLAB 5 to 7.

    Memory stays within a few times the variable's size, whatever the file claims.

    Args:
        path: The file.
        name: The variable.

    Returns:
        As `read_array` gives it.

    Raises:
        ValueError: If the file is a MATLAB 7.3 one, is damaged, or has no such variable.
        FileNotFoundError: If there is no such file.
    """
    with path.open("rb") as file:
        start = file.read(HDF5_OFFSETS[-1] + len(HDF5_MAGIC))
    if any(start[offset:].startswith(HDF5_MAGIC) for offset in HDF5_OFFSETS):
        raise ValueError(
            f"{path}: this is a MATLAB 7.3 (HDF5) file; in MATLAB, save it again: "
            f"load('{path.name}'); save('{path.name}', '{name}', '-v7')"
        )
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path}: expected a .mat file of at most {MAX_BYTES:,} bytes")
    content = path.read_bytes()
    try:
        order = find_byte_order(content)
        data = find_variable(content, name, order)
        array = None if data is None else read_array(data, order)
    except ValueError as error:
        raise ValueError(f"{path}: not a readable .mat file (truncated?): {error}") from None
    if array is None:
        raise ValueError(f"{path}: expected a variable {name}, but the file has none")
    return array
