"""Numbers that numpy pickled, read without numpy.

Checkpoints keep recalls and scores as numpy scalars or arrays beside the tensors. Their pickles
name numpy's own constructors, which are written in C and trust what they are given. In their place
the unpickler gets these stand-ins: they know numbers of fixed width, and nothing else.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

FORMATS = {  # numpy's code of a type: struct's
    "f8": "d", "f4": "f", "f2": "e", "b1": "?", "i8": "q", "i4": "i", "i2": "h", "i1": "b",
    "u8": "Q", "u4": "I", "u2": "H", "u1": "B",
}  # fmt: skip


class NumberType:
    """Stands in for `numpy.dtype`: the type of a number and its byte order."""

    def __init__(self, code: str, align: bool = False, copy: bool = True) -> None:
        """Accept the code of a number of fixed width, such as `f8`.

        Raises:
            ValueError: If it is another type.
        """
        if code not in FORMATS:
            raise ValueError(f"numpy type {code!r}: expected a number, {', '.join(FORMATS)}")
        self.code = code
        self.order = "<"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Take the byte order from numpy's state (version, order, ...)."""
        self.order = ">" if state[1] == ">" else "<"

    def decode(self, data: bytes) -> list[float]:
        """Decode numbers that lie one after another."""
        if not isinstance(data, bytes):
            raise ValueError(f"numpy numbers: expected bytes, found {type(data).__name__}")
        count = len(data) // int(self.code[1])
        return list(struct.unpack(f"{self.order}{count}{FORMATS[self.code]}", data))


class NumberArray:
    """Stands in for `numpy.ndarray`: an array's numbers in a flat list."""

    def __init__(self) -> None:
        """Make it empty; the state follows."""
        self.values: list[float] = []

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Take the numbers from numpy's state (version, shape, type, Fortran order, data)."""
        self.values = state[2].decode(state[4])


def make_scalar(number_type: NumberType, data: bytes) -> float:
    """Stand in for `numpy.core.multiarray.scalar`: one number."""
    (value,) = number_type.decode(data)
    return value


def make_array(kind: type, shape: tuple[int, ...], code: bytes) -> NumberArray:
    """Stand in for `numpy.core.multiarray._reconstruct`: an array without its numbers yet."""
    return NumberArray()


# Every name that a pickle may use beside those of tensors; numpy 2 moved `core` to `_core`.
STAND_INS: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    (NumberType, "numpy.dtype"),
    (NumberArray, "numpy.ndarray"),
    (make_scalar, "numpy.core.multiarray.scalar"),
    (make_scalar, "numpy._core.multiarray.scalar"),
    (make_array, "numpy.core.multiarray._reconstruct"),
    (make_array, "numpy._core.multiarray._reconstruct"),
]
