"""Record of an epoch: a row of loss.csv, and a line for the terminal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class EpochRecord:
    """Record of one epoch of triplets.

    Args:
        loss: Mean over its triplets.
        num_skipped: Anchors without a negative that violates the margin.
        active_share: Fraction of the triplets whose loss was above zero.
        positive_distance: Mean Euclidean distance of anchor and positive.
        negative_distance: Mean Euclidean distance of anchor and negative.
        gradient_norm: Mean Euclidean norm of a step's gradient, before clipping.
    """

    loss: float
    num_triplets: int
    num_skipped: int
    active_share: float
    positive_distance: float
    negative_distance: float
    gradient_norm: float

    def in_words(self) -> str:
        """Describe the epoch for the terminal."""
        return (
            f"loss {self.loss:.4f}, {self.num_triplets} triplets "
            f"({self.active_share:.0%} active), {self.num_skipped} anchors skipped, "
            f"distances {self.positive_distance:.3f} and {self.negative_distance:.3f}, "
            f"gradient {self.gradient_norm:.3f}"
        )


@dataclass(frozen=True)
class PlacesRecord:
    """Record of one epoch of batches of places.

    Args:
        loss: Mean over its batches.
        num_batches: Batches, one per step.
        active_share: Fraction of the images whose descriptor the loss had a gradient for.
        positive_distance: Mean Euclidean distance of two images of one place.
        negative_distance: Mean Euclidean distance of an image to the nearest one of another place
            in its batch.
        gradient_norm: Mean Euclidean norm of a step's gradient, before clipping.
    """

    loss: float
    num_batches: int
    num_places: int
    num_images: int
    active_share: float
    positive_distance: float
    negative_distance: float
    gradient_norm: float

    def in_words(self) -> str:
        """Describe the epoch for the terminal."""
        return (
            f"loss {self.loss:.4f}, {self.num_images} images of {self.num_places} places in "
            f"{self.num_batches} batches ({self.active_share:.0%} active), "
            f"distances {self.positive_distance:.3f} and {self.negative_distance:.3f}, "
            f"gradient {self.gradient_norm:.3f}"
        )


Record = EpochRecord | PlacesRecord


def make_record(values: dict[str, Any]) -> Record:
    """Make the record whose `dataclasses.asdict` gave these values."""
    return PlacesRecord(**values) if "num_batches" in values else EpochRecord(**values)
