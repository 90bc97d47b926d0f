"""Findings of checks of a data set, for prepare, doctor and score, kept next to the metrics."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any


class Level(IntEnum):
    """How much a finding matters."""

    FINE = 0
    NOTE = 1  # worth a look
    LOUD = 2  # results may mean nothing: said wherever the set is used
    REFUSED = 3  # results would be wrong


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Args:
        key: Subject of the check, as a JSON key.
        words: Its state, or what to do.
        level: Importance of the finding.
        numbers: Numbers in the words, by name; and `query_rows`, the queries that they count.
    """

    key: str
    words: str
    level: Level = Level.FINE
    numbers: Mapping[str, float | list[int]] = field(default_factory=dict)

    @property
    def subject(self) -> str:
        """The key as a person reads it."""
        return self.key.replace("_", " ")

    def __str__(self) -> str:
        """Write one line for a terminal."""
        return f"NOTE {self.subject}: {self.words}"


def require_usable(findings: Sequence[Finding]) -> None:
    """Refuse a set that cannot be right.

    Raises:
        ValueError: If a finding is refused; the message has them all.
    """
    refused = [found.words for found in findings if found.level is Level.REFUSED]
    if refused:
        raise ValueError("; ".join(refused))


def list_notes(findings: Iterable[Finding]) -> list[str]:
    """Write a line for each finding that is not fine."""
    return [str(found) for found in findings if found.level > Level.FINE]


def save_notes(path: Path, findings: Iterable[Finding]) -> None:
    """Write the findings that are not fine as JSON, a list of key, words and numbers."""
    notes = [
        {"key": found.key, "words": found.words, "numbers": dict(found.numbers)}
        for found in findings
        if found.level > Level.FINE
    ]
    path.write_text(json.dumps(notes, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def list_copies(notes: Iterable[Mapping[str, Any]]) -> list[int]:
    """List the queries that copy a database photo, or nearly, as notes have them."""
    rows = {row for note in notes for row in note["numbers"].get("query_rows", ())}
    return sorted(rows)


def load_notes(path: Path) -> list[dict[str, Any]]:
    """Read what `save_notes` wrote.

    Raises:
        ValueError: If the file is damaged.
    """
    try:
        notes: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: not readable as JSON: {error}") from None
    return notes
