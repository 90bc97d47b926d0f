"""Arrays of a MATLAB 5 to 7 file: text, numbers, cells and structs.

scipy's reader, compiled code, ends the process on some damaged files; here everything is read by
numpy from bytes that are there.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpr.datasets.matlab.elements import (
    MATRIX,
    Element,
    Head,
    next_element,
    read_elements,
    read_head,
)

CELL, STRUCT, TEXT = 1, 2, 4  # classes of arrays
NUMBERS = {
    6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"
}  # fmt: skip
STORED = {  # types of elements that hold numbers; a class may be stored in a smaller type
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"
}  # fmt: skip
UTF8, UTF16, UTF32, UINT16 = 16, 17, 18, 4  # types of elements that hold text, beside bytes
COMPLEX = 0x0800  # flag
MAX_DEPTH = 4  # a dbStruct has 3: struct, cell, text
MAX_FIELDS = 100  # Tokyo 24/7 has 12


def read_array(data: memoryview, order: str, *, depth: int = 1) -> NDArray[Any]:
    """Make an array of its bytes.

    Args:
        data: The bytes; none are an empty array.
        order: As `find_byte_order` gives it.
        depth: How many arrays it is inside of, itself included.

    Returns:
        Numbers in their class's type; text as a string for each row, shape (rows,); cells as
        objects; a struct as objects in named fields.

    Raises:
        ValueError: If it claims other values than it has, or is of a kind that no dbStruct has.
    """
    if not len(data):
        return np.empty((0, 0))
    if depth > MAX_DEPTH:
        raise ValueError(f"arrays inside arrays, more than {MAX_DEPTH} deep")
    parts = read_elements(data, order)
    head = read_head(parts, order)
    kind = head.flags & 0xFF
    if kind in NUMBERS and not head.flags & COMPLEX:
        values = _read_numbers(next_element(parts), order, math.prod(head.sizes), NUMBERS[kind])
        return values.reshape(head.sizes, order="F")
    if kind == TEXT:
        return _read_rows(next_element(parts), order, head.sizes)
    if kind == CELL:
        return _read_cells(parts, order, math.prod(head.sizes), depth).reshape(
            head.sizes, order="F"
        )
    if kind == STRUCT:
        return _read_struct(parts, order, head, depth)
    raise ValueError(
        f"an array of class {kind}: expected text, real numbers, cells or structs (in MATLAB, "
        "make strings with single quotes)"
    )


def _read_numbers(part: Element, order: str, count: int, form: str) -> NDArray[Any]:
    """Read the numbers of one element, shape (count,)."""
    if not np.can_cast(STORED.get(part.kind, "O"), form):
        raise ValueError(f"an element of type {part.kind} where {form} numbers should be")
    stored = np.dtype(order + STORED[part.kind])
    if len(part.data) != count * stored.itemsize:
        raise ValueError(f"an array claims {count} values, with {len(part.data)} bytes after it")
    return np.frombuffer(part.data, stored).astype(form)


def _read_rows(part: Element, order: str, sizes: tuple[int, ...]) -> NDArray[Any]:
    """Read the rows of a text, each character of which is a number."""
    if part.kind in (UTF16, UINT16):
        codec, width = f"utf-16-{'be' if order == '>' else 'le'}", 2
        content = bytes(part.data)
    else:
        known = {UTF8: "utf-8", UTF32: f"utf-32-{'be' if order == '>' else 'le'}"}
        text = bytes(part.data).decode(known.get(part.kind, "latin-1"))
        codec, width, content = "utf-32-le", 4, text.encode("utf-32-le")
    count = math.prod(sizes)
    if len(sizes) != 2 or len(content) != count * width:
        raise ValueError(f"a text of size {sizes}, with {len(content) // width} characters")
    if not count:
        return np.array([], dtype=str)
    rows = np.frombuffer(content, f"V{width}").reshape(sizes, order="F")
    return np.array([row.tobytes().decode(codec) for row in rows])


def _read_cells(
    parts: Iterator[Element], order: str, count: int, depth: int
) -> NDArray[np.object_]:
    """Read the next arrays inside an array, shape (count,)."""
    found: list[NDArray[Any]] = []
    while len(found) < count:
        part = next_element(parts)
        if part.kind != MATRIX:
            raise ValueError(f"an element of type {part.kind} where an array should be")
        found.append(read_array(part.data, order, depth=depth + 1))
    cells = np.empty(count, dtype=object)
    for number, array in enumerate(found):
        cells[number] = array
    return cells


def _read_struct(parts: Iterator[Element], order: str, head: Head, depth: int) -> NDArray[np.void]:
    """Read the fields of each struct, one struct after another."""
    names = _read_fields(next_element(parts), next_element(parts), order)
    count = math.prod(head.sizes)
    if not names:
        raise ValueError("a struct without fields")
    cells = _read_cells(parts, order, count * len(names), depth).reshape(count, len(names))
    structs = np.empty(count, dtype=[(name, object) for name in names])
    for number, name in enumerate(names):
        structs[name] = cells[:, number]
    return structs.reshape(head.sizes, order="F")


def _read_fields(width: Element, names: Element, order: str) -> list[str]:
    is_number = len(width.data) == 4
    step: int = struct.unpack(order + "i", width.data)[0] if is_number else 0
    text = bytes(names.data).decode("latin-1")
    if step < 1 or len(text) % step or len(text) > step * MAX_FIELDS:
        raise ValueError(f"a struct with {len(text)} bytes of fields, {step} for each")
    return [text[at : at + step].split("\0")[0] for at in range(0, len(text), step)]
