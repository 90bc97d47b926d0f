"""One line of the doctor."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Args:
        subject: Thing that was checked.
        words: Its state, or what to do.
        ok: Whether a run can start with it.
        is_note: Whether somebody should look at it although a run can start.
        is_loud: Whether the quick part says it too, as results may mean nothing.
    """

    subject: str
    words: str
    ok: bool
    is_note: bool = False
    is_loud: bool = False

    def __str__(self) -> str:
        """Write one line for a terminal."""
        level = "FAIL" if not self.ok else "NOTE" if self.is_note else "OK  "
        return f"{level} {self.subject}: {self.words}"
