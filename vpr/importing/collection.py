"""What an import found: photos with where and when they were taken, and what was left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Side = Literal["database", "query"]

DEGREES = "EPSG:4326"
NO_POSITION = "without a position"
INSTALL = "pip install -r requirements-import.txt"
JPEG_QUALITY = 95


class Made(Protocol):
    """An image that no file holds as it is: a frame, a crop, a converted HEIC.

    A frozen dataclass whose repr tells what it makes; images are made once each, in the order of
    the collection.
    """

    @property
    def file(self) -> Path:
        """The file that it is made from."""
        ...

    def __call__(self) -> bytes:
        """Make the bytes of an image file.

        Raises:
            ValueError: If it cannot be made: the photo is left out, with these words as the reason.
        """
        ...


@dataclass(frozen=True, slots=True)
class Shot:
    """One photo of a collection.

    Args:
        name: Path that it gets in the set, with slashes; it ends in a suffix of a read format.
        content: An image file, whose bytes are taken as they are, or what makes one.
        at: Latitude and longitude, or easting and northing, as the collection's crs says; None:
            unknown.
        time: Seconds since 1970 in UTC.
        heading: Direction of view in degrees clockwise from true north.
        accuracy_m: Standard error of the position, in metres.
        sequence: Name of the recording.
        side: The side that the source assigns it to; None: to be split.
    """

    name: str
    content: Path | Made
    at: tuple[float, float] | None = None
    time: float | None = None
    heading: float | None = None
    accuracy_m: float | None = None
    sequence: str | None = None
    side: Side | None = None

    @property
    def file(self) -> Path:
        """The file that the photo is, or is made from."""
        return self.content if isinstance(self.content, Path) else self.content.file


@dataclass
class LeftOut:
    """What is not imported, counted by reason.

    Args:
        counts: By reason, as `without a position`.
        first: The first of each reason.
    """

    counts: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)

    def add(self, reason: str, name: object, *, count: int = 1) -> None:
        """Count a photo, or several of which the first is named."""
        if count:
            self.counts[reason] += count
            self.first.setdefault(reason, str(name))

    def update(self, other: LeftOut) -> None:
        """Add what another part of the import left out."""
        for reason, count in other.counts.items():
            self.add(reason, other.first[reason], count=count)

    def lines(self) -> list[str]:
        """Write a line for each reason, the most frequent first."""
        return [
            f"{count} {reason} ({'first ' if count > 1 else ''}{self.first[reason]})"
            for reason, count in self.counts.most_common()
        ]


@dataclass
class Collection:
    """The photos of one source.

    Args:
        form: What the source is, in words: `a folder of photos`.
        shots: Photos, neighbours on a route one after another where the source has an order.
        left_out: What else was there.
        notes: What a user has to know, a sentence each.
        crs: Reference system of the positions, for pyproj. `DEGREES`: latitude and longitude on
            WGS 84. None: metres, or frames, that are of no place on Earth.
        radius_m: The radius of the set's own protocol, if it has one.
    """

    form: str
    shots: list[Shot] = field(default_factory=list)
    left_out: LeftOut = field(default_factory=LeftOut)
    notes: list[str] = field(default_factory=list)
    crs: str | None = DEGREES
    radius_m: float | None = None

    def add(self, shot: Shot) -> None:
        """Add a photo, or leave it out if its file is not there."""
        if shot.file.is_file():
            self.shots.append(shot)
        else:
            self.left_out.add("without an image", shot.file)


@dataclass(frozen=True)
class Asked:
    """What the command line says about how sources are to be read.

    Args:
        track: A track that gives the positions, as a .gpx file or a log of NMEA sentences.
        clock_offset_s: Seconds to add to the source's clock to get that of the track; None:
            estimated.
        spacing_m: Metres between two frames of a video.
        crs: Reference system of easting and northing in a table.
        columns: Which column of a table is meant: by `latitude`, `path`, ... its name there.
        images: Folder that a table's paths are relative to; None: that of the table.
        topic: Name of a bag's image topic; None: its only one.
        declination_deg: Degrees by which magnetic north lies east of true north; None: unknown.
        crops: Number of crops of a 360-degree photo; 0: it stays as it is.
        subset: Part of a published set, as a city.
        labels: Whether photos need positions.
    """

    track: Path | None = None
    clock_offset_s: float | None = None
    spacing_m: float = 5.0
    crs: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    images: Path | None = None
    topic: str | None = None
    declination_deg: float | None = None
    crops: int = 4
    subset: str | None = None
    labels: bool = True

    def choose_part(self, source: Path, names: Iterable[str], *, kind: str) -> str:
        """Choose the part of a published set that `subset` names, or its only one.

        Args:
            source: The set.
            names: Its parts.
            kind: What these are, as `cities`.

        Raises:
            ValueError: If there is no such part, or it is not clear which is meant.
        """
        known = sorted(names)
        chosen = [name for name in known if self.subset in (None, name)]
        if len(chosen) != 1:
            raise ValueError(
                f"{source}: name one of its {kind} by --subset: {', '.join(known) or 'it has none'}"
            )
        return chosen[0]


def load_package(name: str, source: object, *, reads: str) -> Any:  # noqa: ANN401 - optional packages
    """Import a package, or a module of one, that only some sources need.

    Raises:
        ValueError: If it is not installed.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError:
        package = name.partition(".")[0]
        raise ValueError(
            f"{source}: {package} reads {reads}, and is not installed: {INSTALL}"
        ) from None


def encode_jpeg(pixels: NDArray[np.uint8]) -> bytes:
    """Encode an image, RGB of shape (H, W, 3), or grey of shape (H, W, 1)."""
    import cv2  # here, since few forms make images

    settings = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    return cv2.imencode(".jpg", pixels[..., ::-1], settings)[1].tobytes()
