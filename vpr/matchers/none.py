"""No matcher: nothing is verified, and the retrieval stays as it is."""

from __future__ import annotations


def make_matcher() -> None:
    """Return None: there is no matcher."""
