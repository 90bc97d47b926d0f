"""The ground truth of a data set, in any format."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vpr.places.index import ImageIndex


@dataclass(frozen=True)
class GroundTruth:
    """Both sides of a data set, and how near counts as the same place.

    Args:
        database: Images whose positions are known.
        query: Images whose positions are to be found.
        radius_m: A database image this near to a query is a positive, in metres (or frames); None
            if the format does not say.
        form: The format it came in, in words.
        notes: Things found next to it and not used, a sentence each.
        utm_zones: UTM zones of the coordinates, where the format names them: number and hemisphere,
            as 33N; several if they are so far apart that no image of one is near one of another.
    """

    database: ImageIndex
    query: ImageIndex
    radius_m: float | None
    form: str
    notes: tuple[str, ...] = ()
    utm_zones: tuple[str, ...] = ()

    def sides(self) -> tuple[tuple[str, ImageIndex], tuple[str, ImageIndex]]:
        """Name and images of each side."""
        return ("database", self.database), ("query", self.query)

    @property
    def has_labels(self) -> bool:
        """Whether positions of both sides are known, so that recall can be measured."""
        return self.database.has_places and self.query.has_places


def as_number(value: NDArray[Any], part: str) -> float:
    """Return an array as one number; `part` names it in the message, as `set.mat: numQ`.

    Raises:
        ValueError: If it is not one number.
    """
    if value.size != 1 or value.dtype.kind not in "iuf":
        raise ValueError(f"{part}: expected one number, found {value.shape} of {value.dtype}")
    return float(value.item())


def as_coordinates(values: NDArray[Any], num_names: int, part: str) -> NDArray[np.float64]:
    """Return an array as easting and northing of each name.

    Raises:
        ValueError: If it does not have two numbers per name; `part` names it.
    """
    if values.shape != (num_names, 2) or values.dtype.kind not in "iuf":
        raise ValueError(
            f"{part}: expected two numbers for each of {num_names} names, found shape "
            f"{values.shape} of {values.dtype}"
        )
    return values.astype(np.float64)


def check_ground_truth(truth: GroundTruth, *, source: object) -> None:
    """Check what every format must hold.

    Args:
        truth: Ground truth to check.
        source: The file, named in the messages.

    Raises:
        ValueError: If a side is empty, a name is empty, a coordinate is not finite, or the radius
            is not a positive number.
    """
    radius_m = truth.radius_m
    if radius_m is not None and not (math.isfinite(radius_m) and radius_m > 0):
        raise ValueError(f"{source}: expected a radius above 0 m, found {radius_m}")
    for side, index in truth.sides():
        if not index.paths:
            raise ValueError(f"{source}: the {side} side has no images")
        are_unknown = np.isnan(index.coordinates).all()
        for number, (name, place) in enumerate(zip(index.paths, index.coordinates, strict=True)):
            if not name:
                raise ValueError(f"{source}: {side} image {number} has an empty name")
            if not (np.isfinite(place).all() or are_unknown):
                raise ValueError(
                    f"{source}: {side} image {number} ({name!r}): coordinates {place.tolist()} "
                    "are not finite"
                )
