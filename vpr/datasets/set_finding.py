"""What one check of a data set found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Level(IntEnum):
    """How much a finding matters."""

    FINE = 0
    NOTE = 1  # worth a look
    LOUD = 2  # results may mean nothing: said wherever the set is used
    REFUSED = 3  # results would be wrong


@dataclass(frozen=True)
class SetFinding:
    """What one check found.

    Args:
        subject: What was looked at.
        words: What is there, or what to do.
        level: How much it matters.
    """

    subject: str
    words: str
    level: Level
