"""Files of one array (.npy), checked when they are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def load_array(path: Path, *, what: str, mapped: bool = False) -> NDArray[Any]:
    """Read the array of a file without unpickling anything.

    `what` describes the file in the message. A mapped array stays in the file and is read on
    access.

    Raises:
        ValueError: If the file is damaged or is not a numpy file.
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
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path}: not {what}: {reason}") from None
