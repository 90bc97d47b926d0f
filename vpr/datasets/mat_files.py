"""The dbStruct of a MATLAB file, read by scipy in a process of its own.

scipy's reader is compiled code that believes the sizes that a file claims: damaged and hostile
files make it take all memory, hang, or end its process. Here that process has limits, and what it
reads comes back as plain arrays of numpy, which hold no code.

`python mat_files.py FILE` is that process.
"""

from __future__ import annotations

import io
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

VARIABLE = "dbStruct"
HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
HDF5_OFFSETS = (0, 512)  # MATLAB writes 512 bytes of its own before it
HEADER_BYTES = 128
CODECS = {b"\x00\x01IM": "utf-16-le", b"\x01\x00MI": "utf-16-be"}  # by the header's end
MAX_BYTES = 2**28  # a name and its place take less than 300: a set of nearly a million images
MEMORY_BYTES = 2**29  # address space of the process; Python, numpy and scipy take a quarter
MEMORY_FACTOR = 200  # and this many times the file: names shrink to a twentieth, and are copied
MOST_MEMORY_BYTES = 3 * 2**30
CPU_S = 60
MOST_READ_BYTES = 2**30  # a letter of a name takes 4
MISSING = 3  # exit code: there is no such variable
LOST = "\ufffd"  # what scipy writes for a character that it cannot read


def read_dbstruct(path: Path) -> tuple[tuple[str, ...], list[NDArray[Any]]]:
    """Read the variable dbStruct of a .mat file of MATLAB 5 to 7.

    Returns:
        Names of its fields (empty if it is an array of cells), and the value of each field or cell:
        numbers, a string for each row or cell of a text, shape (rows,), or bytes that describe any
        other type.

    Raises:
        ValueError: If the file is a MATLAB 7.3 one, is damaged, or has no such variable.
        FileNotFoundError: If there is no such file.
    """
    with path.open("rb") as file:
        start = file.read(HDF5_OFFSETS[-1] + len(HDF5_MAGIC))
    if any(start[offset:].startswith(HDF5_MAGIC) for offset in HDF5_OFFSETS):
        raise ValueError(
            f"{path}: this is a MATLAB 7.3 (HDF5) file; in MATLAB, save it again: "
            f"load('{path.name}'); save('{path.name}', '{VARIABLE}', '-v7')"
        )
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path}: expected a .mat file of at most {MAX_BYTES:,} bytes")
    codec = CODECS.get(start[HEADER_BYTES - 4 : HEADER_BYTES])
    if codec is None:
        raise _unreadable(path, "it does not start like a file of MATLAB 5 to 7")
    done = subprocess.run(
        [sys.executable, "-I", __file__, path.resolve(), codec], capture_output=True, check=False,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # each thread claims memory
    )  # fmt: skip
    if done.returncode == MISSING:
        raise ValueError(f"{path}: expected a variable {VARIABLE}, but the file has none")
    if done.returncode < 0:
        raise _unreadable(
            path,
            f"reading it ended with {signal.Signals(-done.returncode).name}, as damaged files do",
        )
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise _unreadable(path, "".join(sign if sign.isprintable() else "?" for sign in reason))
    return _unpack(path, done.stdout)


def _unreadable(path: Path, reason: str) -> ValueError:
    return ValueError(f"{path}: not a readable .mat file (truncated?): {reason}")


def _unpack(path: Path, content: bytes) -> tuple[tuple[str, ...], list[NDArray[Any]]]:
    stream = io.BytesIO(content)
    fields: NDArray[np.str_] = np.load(stream, allow_pickle=False)
    parts: list[NDArray[Any]] = []
    while stream.tell() < len(content):
        parts.append(np.load(stream, allow_pickle=False))
    for part in parts:
        lost = [text for text in part.ravel() if LOST in text] if part.dtype.kind == "U" else []
        if lost:
            raise ValueError(
                f"{path}: {lost[0]!r} has characters in an unknown encoding: in MATLAB 7 or later, "
                f"save it again: load('{path.name}'); save('{path.name}', '{VARIABLE}', '-v7')"
            )
    return tuple(map(str, fields)), parts


def _read(file: str, codec: str, out: IO[bytes]) -> None:
    """Read the variable, and write its fields and parts as arrays, one after another."""
    content = io.BytesIO()  # numpy cannot write arrays to a pipe
    from scipy.io import loadmat

    memory = min(MEMORY_BYTES + MEMORY_FACTOR * Path(file).stat().st_size, MOST_MEMORY_BYTES)
    for kind, limit in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CPU, CPU_S)):
        hard = resource.getrlimit(kind)[1]
        resource.setrlimit(kind, (limit if hard < 0 else min(limit, hard), hard))
    options: dict[str, Any] = {"variable_names": [VARIABLE], "uint16_codec": codec}
    found = loadmat(file, **options).get(VARIABLE)
    if found is None:
        sys.exit(MISSING)
    fields = found.dtype.names or () if found.size == 1 else ()
    parts = [found.reshape(-1)[0][name] for name in fields] if fields else found.reshape(-1)
    np.save(content, np.array(fields, dtype=str))
    for part in parts if fields or found.dtype == object else [found]:
        np.save(content, _plain(np.asarray(part)))
    if content.tell() > MOST_READ_BYTES:
        sys.exit(f"{VARIABLE} takes more than {MOST_READ_BYTES:,} bytes")
    out.write(content.getbuffer())


def _plain(part: NDArray[Any]) -> NDArray[Any]:
    """Make an array without objects: of cells that each hold a text, those texts."""
    if part.dtype.kind in "biufcU":
        return part
    cells = [np.asarray(cell) for cell in part.reshape(-1)] if part.dtype == object else []
    if part.dtype == object and all(cell.dtype.kind == "U" and cell.size < 2 for cell in cells):
        return np.array([str(cell.item()) if cell.size else "" for cell in cells], dtype=str)
    return np.array(f"{part.shape} of {part.dtype}".encode())


if __name__ == "__main__":
    try:
        _read(sys.argv[1], sys.argv[2], sys.stdout.buffer)
    except MemoryError:
        sys.exit("it takes more memory than a file of its size needs")
    except Exception as error:  # damaged bytes raise many kinds in scipy
        sys.exit(f"{type(error).__name__}: {error}")
