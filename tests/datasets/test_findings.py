"""Findings are kept as they were said."""

from __future__ import annotations

from pathlib import Path

import pytest

from vpr.datasets.findings import Finding, Level, list_notes, load_notes, save_notes

FOUND = [
    Finding("copies", "2 queries are copies: '길.jpg'", Level.LOUD, {"queries": 2}),
    Finding("order", "neighbouring rows are neighbours"),
    Finding("near_copies", "1 query", Level.NOTE),
]


def test_what_is_not_fine_is_said_and_kept_in_the_same_words(tmp_path: Path) -> None:
    save_notes(tmp_path / "notes.json", FOUND)
    assert load_notes(tmp_path / "notes.json") == [
        {"key": "copies", "words": "2 queries are copies: '길.jpg'", "numbers": {"queries": 2}},
        {"key": "near_copies", "words": "1 query", "numbers": {}},
    ]
    assert list_notes(FOUND) == [
        "NOTE copies: 2 queries are copies: '길.jpg'", "NOTE near copies: 1 query",
    ]  # fmt: skip
    save_notes(tmp_path / "none.json", FOUND[1:2])
    assert load_notes(tmp_path / "none.json") == []


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.json").write_text("{")
    with pytest.raises(ValueError, match=r"notes\.json: not readable as JSON"):
        load_notes(tmp_path / "notes.json")
