"""What one client, and all together, may take of the service."""

from __future__ import annotations

from dataclasses import dataclass

NAME_LETTERS = 120  # kept of a photo's name


@dataclass(frozen=True)
class Limits:
    """Bounds that hold before a photo is decoded.

    Args:
        num_bytes: Of a request's body.
        num_pixels: Of a photo.
        num_photos: Of a sequence.
        seconds: For the head of a request to arrive, for its body, and for a photo to be decoded.
        queue: Requests that are read, decoded or waiting at once; further ones are sent away.
        batch: Photos described together, at most.
        wait_seconds: That a photo waits for others to be described with.
    """

    num_bytes: int
    num_pixels: int
    num_photos: int
    seconds: float
    queue: int
    batch: int
    wait_seconds: float
