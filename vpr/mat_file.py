"""MATLAB files: one variable out of one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
HDF5_OFFSETS = (0, 512)  # MATLAB writes 512 bytes of its own before it


def read_variable(path: Path, name: str) -> NDArray[Any]:
    """Read one variable of a .mat file of MATLAB 4 to 7.

    Args:
        path: The file.
        name: The variable.

    Returns:
        As scipy gives it: cells are an object array, a struct is a structured one.

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
    try:
        content = loadmat(path, variable_names=[name])
    except Exception as error:  # scipy raises many kinds on damaged bytes
        raise ValueError(f"{path}: not a readable .mat file (truncated?): {error}") from None
    if name not in content:
        raise ValueError(f"{path}: expected a variable {name}, which this file does not hold")
    return np.asarray(content[name])
