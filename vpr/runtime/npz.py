"""Files of several arrays (.npz): written as the same bytes everywhere, checked when read.

`numpy.savez` asks for zip64 headers, which Python's zipfile writes differently from one patch
release to the next (3.11.2 and 3.11.7): equal arrays got other hashes, and DVC finds files by their
hash. Here only an array of about 2 GiB or more gets such a header; all others are the same bytes
from every Python, field by field as PKWARE's APPNOTE has them.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import ArrayLike, NDArray

MAX_BYTES = 2**28  # of a compressed array; ours are not, and positions take 16 for each image


def load_arrays(path: Path, names: Sequence[str], *, what: str) -> list[NDArray[Any]]:
    """Read the arrays of these names without unpickling anything; `what` is for the message.

    Returns:
        The arrays, in the order of their names.

    Raises:
        ValueError: If the file is damaged, lacks one, or is compressed far beyond what it holds.
        FileNotFoundError: If there is no such file.
    """
    with path.open("rb") as file:
        try:
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise ValueError("this is a single array")
            for member in archive.zip.infolist() if archive.zip else ():
                if member.compress_type != zipfile.ZIP_STORED and member.file_size > MAX_BYTES:
                    raise ValueError(f"{member.filename!r} unpacks to {member.file_size:,} bytes")
            return [archive[name] for name in names]
        except Exception as error:  # damaged bytes raise many kinds in zipfile and numpy
            reason = " ".join(str(error).split()) or type(error).__name__
            if "pickle" in reason:  # numpy's message for any other file, with unsafe advice
                reason = "this is not an .npz archive"
            raise ValueError(
                f"{path}: not {what}, an .npz of {', '.join(names)}: {reason}"
            ) from None


def save_arrays(path: Path, arrays: Mapping[str, ArrayLike]) -> None:
    """Write arrays by name; equal ones in the same order give equal bytes."""
    with path.open("wb") as file:
        write_arrays(file, arrays)


def write_arrays(file: IO[bytes], arrays: Mapping[str, ArrayLike]) -> None:
    """Write arrays like `save_arrays`, into a file that is open and empty.

    Raises:
        ValueError: If an array holds Python objects.
    """
    with zipfile.ZipFile(file, "w") as archive:
        for name, values in arrays.items():
            array = np.asarray(values)
            if array.dtype.hasobject:
                raise ValueError(f"{name}: expected numbers or text, found Python objects")
            member = zipfile.ZipInfo(f"{name}.npy")  # stored, of 1 January 1980
            member.file_size = array.nbytes  # decides between a plain header and zip64's
            with archive.open(member, "w") as stream:
                npy.write_array(stream, array, allow_pickle=False)


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
            return npy.open_memmap(path, mode="r")
        with path.open("rb") as file:
            return npy.read_array(file, allow_pickle=False)
    except FileNotFoundError:
        raise
    except Exception as error:  # numpy raises many kinds on damaged bytes
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{path}: not {what}: {reason}") from None


def pack_arrays(*arrays: NDArray[Any]) -> bytes:
    """Pack arrays of any shapes and types into one value."""
    stream = io.BytesIO()
    for array in arrays:
        np.save(stream, array)
    return stream.getvalue()


def unpack_arrays(value: bytes) -> list[NDArray[Any]]:
    """Give the arrays that `pack_arrays` packed."""
    stream, arrays = io.BytesIO(value), []
    while stream.tell() < len(value):
        arrays.append(np.load(stream))
    return arrays
