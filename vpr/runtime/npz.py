"""Files of several arrays (.npz), checked as they are read."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_BYTES = 2**28  # of a compressed array: ours are not, and positions take 16 for each image


def load_arrays(path: Path, names: Sequence[str], *, what: str) -> list[NDArray[Any]]:
    """Read arrays of a file without unpickling anything.

    Args:
        path: The file.
        names: The arrays that it must hold.
        what: What the file should be, for the message.

    Returns:
        The arrays, in the order of their names.

    Raises:
        ValueError: If the file is damaged, lacks one, or is compressed far beyond what it holds.
        FileNotFoundError: If there is no such file.
    """
    with path.open("rb") as file:
        try:
            found = np.load(file, allow_pickle=False)
            if not isinstance(found, np.lib.npyio.NpzFile):
                raise ValueError("this is a single array")
            for member in found.zip.infolist() if found.zip else ():
                if member.compress_type != zipfile.ZIP_STORED and member.file_size > MAX_BYTES:
                    raise ValueError(f"{member.filename!r} unpacks to {member.file_size:,} bytes")
            return [found[name] for name in names]
        except Exception as error:  # damaged bytes raise many kinds in zipfile and numpy
            words = " ".join(str(error).split()) or type(error).__name__
            if "pickle" in words:  # numpy's words for anything else, with advice that is unsafe
                words = "this is no such archive"
            raise ValueError(
                f"{path}: not {what}, an .npz of {', '.join(names)}: {words}"
            ) from None
