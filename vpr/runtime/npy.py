"""Files of one array (.npy), checked as they are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def load_array(path: Path, *, what: str, mapped: bool = False) -> NDArray[Any]:
    """Read the array of a file without unpickling anything.

    Args:
        path: The file.
        what: What the file should be, for the message.
        mapped: Whether the array stays in the file, and is read where it is looked at.

    Raises:
        ValueError: If the file is damaged or none of numpy's.
        FileNotFoundError: If there is no such file.
    """
    try:
        if mapped:
            return np.lib.format.open_memmap(path, mode="r")
        with path.open("rb") as file:
            return np.lib.format.read_array(file, allow_pickle=False)
    except FileNotFoundError:
        raise
    except Exception as error:  # numpy raises many kinds on damaged bytes
        words = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path}: not {what}: {words}") from None
