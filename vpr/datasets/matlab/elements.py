"""The elements that a MATLAB 5 to 7 file is made of.

A file says itself how large its parts are. Nothing is set aside for a claim: an element is as
large as its bytes, and compressed ones are unpacked up to a limit. Format: MathWorks, MAT-File
Format, chapter 1.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

HEADER_BYTES = 128
VERSION = 0x0100
MATRIX, COMPRESSED = 14, 15  # types of elements
HEAD_BYTES = 1024  # of an array: more than its class, sizes and name take
MAX_BYTES = 2**28  # a name and its place take less than 300: a set of nearly a million images


class Element(NamedTuple):
    """A type, as the format numbers them, and the bytes."""

    kind: int
    data: memoryview


class Head(NamedTuple):
    """What an array says of itself: flags and class, its sizes, and its name or nothing."""

    flags: int
    sizes: tuple[int, ...]
    name: str


def find_variable(content: bytes, name: str, order: str) -> memoryview | None:
    """Find the bytes of one variable.

    Args:
        content: The file.
        name: The variable; others are not unpacked.
        order: As `find_byte_order` gives it.

    Returns:
        Those of its array, or None if there is no such variable.

    Raises:
        ValueError: If an element claims more than there is, or unpacks to more than `MAX_BYTES`.
    """
    for element in read_elements(memoryview(content)[HEADER_BYTES:], order, padded=False):
        packed = element.kind == COMPRESSED
        if not (packed or element.kind == MATRIX):
            continue
        start = _inflate(element.data, HEAD_BYTES)[8:] if packed else element.data
        if read_head(read_elements(start, order), order).name == name:
            return _unpack(element.data, order) if packed else element.data
    return None


def find_byte_order(content: bytes) -> str:
    """Find the order in which a file writes numbers, as the module struct calls it.

    Raises:
        ValueError: If this is no MATLAB 5 to 7 file.
    """
    for mark, order in ((b"IM", "<"), (b"MI", ">")):
        if content[HEADER_BYTES - 2 : HEADER_BYTES] == mark:
            (version,) = struct.unpack_from(order + "H", content, HEADER_BYTES - 4)
            if version == VERSION:
                return order
    raise ValueError("it does not start like a file of MATLAB 5 to 7")


def read_elements(data: memoryview, order: str, *, padded: bool = True) -> Iterator[Element]:
    """Read the elements that stand one after another.

    Args:
        data: Their bytes.
        order: As `find_byte_order` gives it.
        padded: Whether each is followed by zeros up to a multiple of 8 bytes, as inside an array.

    Yields:
        One after another.

    Raises:
        ValueError: If one is larger than what is left.
    """
    start = 0
    while start < len(data):
        if len(data) - start < 8:
            raise ValueError(f"{len(data) - start} bytes stand where an element should start")
        kind, size = struct.unpack_from(order + "II", data, start)
        is_small = kind >> 16 > 0  # up to 4 bytes, in the tag itself
        if is_small:
            kind, size = kind & 0xFFFF, kind >> 16
        begin = start + (4 if is_small else 8)
        left = 4 if is_small else len(data) - begin
        if size > left:
            raise ValueError(f"an element claims {size} bytes where {left} are left")
        yield Element(kind, data[begin : begin + size])
        start = start + 8 if is_small else begin + size + (-size % 8 if padded else 0)


def next_element(parts: Iterator[Element]) -> Element:
    """Read the next one, which must be there.

    Raises:
        ValueError: If it is not.
    """
    for part in parts:
        return part
    raise ValueError("an array ends before its values")


def read_head(parts: Iterator[Element], order: str) -> Head:
    """Read the first three elements of an array.

    Raises:
        ValueError: If there are no such three.
    """
    flags, sizes, name = (next_element(parts).data for _ in Head._fields)
    if len(flags) != 8 or len(sizes) % 4 or len(sizes) < 8:
        raise ValueError(f"an array starts with {len(flags)} bytes of flags, {len(sizes)} of sizes")
    (words,) = struct.unpack_from(order + "I", flags)
    numbers = struct.unpack(f"{order}{len(sizes) // 4}i", sizes)
    if min(numbers) < 0:
        raise ValueError(f"an array of size {numbers}")
    return Head(words, numbers, bytes(name).decode("latin-1"))


def _unpack(data: memoryview, order: str) -> memoryview:
    """Unpack the bytes of the array in a compressed element."""
    content = _inflate(data, MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"a compressed array takes more than {MAX_BYTES:,} bytes")
    return next_element(read_elements(content, order, padded=False)).data


def _inflate(data: memoryview, limit: int) -> memoryview:
    try:
        return memoryview(zlib.decompressobj().decompress(data, limit))
    except zlib.error as error:
        raise ValueError(f"a compressed element is damaged: {error}") from None
