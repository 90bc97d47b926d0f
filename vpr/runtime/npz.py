"""Files of several arrays (.npz): written as the same bytes everywhere, checked when read.

`numpy.savez` leaves the zip to Python's zipfile, whose headers differ between patch releases
(3.11.2 and 3.11.7): equal arrays got other hashes, and DVC finds files by their hash. So the few
headers that an .npz needs are written here, field by field as PKWARE's APPNOTE 6.3 has them.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import ArrayLike, NDArray

LOCAL_HEADER = struct.Struct("<4s5H3I2H")
DIRECTORY_ENTRY = struct.Struct("<4s2B5H3I5H2I")
END = struct.Struct("<4s4H2IH")
END_ZIP64 = struct.Struct("<4sQ2H2I4Q")
LOCATOR_ZIP64 = struct.Struct("<4sIQI")
VERSION, VERSION_ZIP64 = 20, 45  # the least that a reader must support
UNIX, MODE = 3, 0o600 << 16
STORED = 0  # zlib's builds compress to different bytes
DATE = 1 << 5 | 1  # 1 January 1980, the earliest that a zip can hold
MAX_16, MAX_32 = 2**16 - 1, 2**32 - 1  # "see the zip64 field" where a value is this or more

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
    directory, offset = [], 0
    for name, array in arrays.items():
        header, values = _npy_parts(name, np.asarray(array))
        member = f"{name}.npy".encode("ascii")
        size = len(header) + values.nbytes
        checksum = zlib.crc32(values, zlib.crc32(header))
        local = _local_header(member, checksum, size)
        for part in (local, header, values):
            file.write(part)
        directory.append(_directory_entry(member, checksum, size, offset))
        offset += len(local) + size
    file.writelines(directory)
    file.write(_end(len(directory), sum(map(len, directory)), offset))


def _npy_parts(name: str, array: NDArray[Any]) -> tuple[bytes, memoryview]:
    """Return an array's .npy header, and the array's bytes."""
    if array.dtype.hasobject:
        raise ValueError(f"{name}: expected numbers or text, found Python objects")
    header = io.BytesIO()
    fields = npy.header_data_from_array_1_0(array)
    npy.write_array_header_1_0(header, fields)
    rows = np.ascontiguousarray(array.T if fields["fortran_order"] else array)
    return header.getvalue(), rows.reshape(-1).view(np.uint8).data


def _local_header(member: bytes, checksum: int, size: int) -> bytes:
    extra = _zip64_field([size, size] if size >= MAX_32 else [])
    shown = min(size, MAX_32)
    header = LOCAL_HEADER.pack(
        b"PK\3\4", _version(extra), 0, STORED, 0, DATE, checksum, shown, shown,
        len(member), len(extra),
    )  # fmt: skip
    return header + member + extra


def _directory_entry(member: bytes, checksum: int, size: int, offset: int) -> bytes:
    extra = _zip64_field([value for value in (size, size, offset) if value >= MAX_32])
    version, shown = _version(extra), min(size, MAX_32)
    entry = DIRECTORY_ENTRY.pack(
        b"PK\1\2", version, UNIX, version, 0, STORED, 0, DATE, checksum, shown, shown,
        len(member), len(extra), 0, 0, 0, MODE, min(offset, MAX_32),
    )  # fmt: skip
    return entry + member + extra


def _zip64_field(values: Sequence[int]) -> bytes:
    return struct.pack(f"<2H{len(values)}Q", 1, 8 * len(values), *values) if values else b""


def _version(zip64: bytes) -> int:
    return VERSION_ZIP64 if zip64 else VERSION


def _end(count: int, size: int, offset: int) -> bytes:
    """Return the records after the directory: its position and its number of entries."""
    end = END.pack(
        b"PK\5\6", 0, 0, min(count, MAX_16), min(count, MAX_16), min(size, MAX_32),
        min(offset, MAX_32), 0,
    )  # fmt: skip
    if count < MAX_16 and max(size, offset) < MAX_32:
        return end
    large = END_ZIP64.pack(
        b"PK\6\6", END_ZIP64.size - 12, VERSION_ZIP64, VERSION_ZIP64, 0, 0, count, count, size,
        offset,
    )  # fmt: skip
    return large + LOCATOR_ZIP64.pack(b"PK\6\7", 0, offset + size, 1) + end


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
