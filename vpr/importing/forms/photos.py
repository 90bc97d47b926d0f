"""A folder of photos with positions in their EXIF data, or in files beside them."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image

from vpr.images.file_kinds import READ_SUFFIXES, UNREAD_SUFFIXES, is_junk
from vpr.images.image_files import open_photo
from vpr.importing.collection import Asked, Collection, Made, Shot
from vpr.importing.exif import Taken, merge, read_exif, to_utc
from vpr.importing.films import SUFFIXES as FILM_SUFFIXES
from vpr.importing.heic import SUFFIXES as HEIC_SUFFIXES
from vpr.importing.heic import HeicPhoto, content_of, describe_missing, read_heic_exif
from vpr.importing.panoramas import crop_shots, find_pose
from vpr.importing.placing import safe_name
from vpr.importing.sidecars import Names, load_overrides, read_beside
from vpr.importing.track_files import SUFFIXES as TRACK_SUFFIXES
from vpr.importing.track_files import load_track
from vpr.importing.tracks import Track

WORDS = "a folder of photos"
GIVES_WAY = True

SILENT = {".json", ".xmp", ".aae", *TRACK_SUFFIXES}  # beside photos
STALE_S = 60.0  # photos at the very same place for longer: did the camera or only the fix stay?


@dataclass
class _Reading:
    """A folder that is being read.

    Args:
        asked: What the command line says.
        found: What was found up to now.
        track: Positions by time, for photos that have none.
        overrides: Positions by name, that go first.
        magnetic: Photos whose direction is from magnetic north, in degrees unknown.
        zoneless: Photos whose clock has no zone.
    """

    asked: Asked
    found: Collection
    track: Track | None
    overrides: dict[str, Taken]
    magnetic: list[str] = field(default_factory=list)
    zoneless: list[str] = field(default_factory=list)


def recognises(source: Path) -> bool:
    """Return whether a source is a photo, or a folder with one."""
    suffixes = READ_SUFFIXES | HEIC_SUFFIXES
    return any(
        file.suffix.lower() in suffixes
        for _, names in _folders(source) for file in names.values()
    )  # fmt: skip


def read(source: Path, asked: Asked) -> Collection:
    """Read photos with their EXIF data or sidecars, from the headers alone."""
    reading = _Reading(
        asked, Collection(WORDS), load_track(asked.track) if asked.track else None,
        load_overrides(source),
    )  # fmt: skip
    left_out, missing = reading.found.left_out, describe_missing()
    for folder, names in _folders(source):
        for file in sorted(names.values(), key=lambda file: _counted(file.name)):
            name = safe_name([*folder, file.name])
            suffix = file.suffix.lower()
            if suffix in HEIC_SUFFIXES and missing:
                left_out.add(missing, name)
            elif suffix in READ_SUFFIXES | HEIC_SUFFIXES:
                try:
                    with warnings.catch_warnings(action="ignore"):  # of damaged EXIF data
                        _read_photo(reading, file, name, names)
                except (ValueError, OSError) as error:
                    left_out.add(_reason(error, file), name)
            elif suffix in FILM_SUFFIXES:
                left_out.add("films: import each by itself", name)
            elif suffix in UNREAD_SUFFIXES:
                left_out.add(f"in a format that is not read, {suffix}", name)
            elif suffix not in SILENT:
                left_out.add("not photos", name)
    reading.found.notes += _describe(reading)
    return reading.found


def _counted(name: str) -> tuple[str | int, ...]:
    """A name to sort by as people count: 2.jpg before 10.jpg, which photos without a time need."""
    return *(int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)), name


def _folders(source: Path) -> Iterator[tuple[tuple[str, ...], Names]]:
    """Yield each folder's path below the source's parent, and its files by name."""
    if source.is_file():
        yield (), {source.name: source}
        return
    root = source.resolve().name
    for path, folders, files in os.walk(source):
        folders.sort(key=_counted)
        below = Path(path).relative_to(source)
        if not is_junk(below):
            names = {name: Path(path, name) for name in files if not is_junk(Path(name))}
            yield (root, *below.parts), names


def _read_photo(reading: _Reading, file: Path, name: str, names: Names) -> None:
    content, name = content_of(file, name)
    if isinstance(content, HeicPhoto):
        exif, pose = read_heic_exif(file), None
    else:
        with open_photo(file) as image:
            exif, pose = _exif_of(image), find_pose(image)
    taken = read_exif(exif)
    beside = None if taken.at and taken.has_zone else read_beside(file, names)
    taken = taken if beside is None else merge(taken, beside)
    override = reading.overrides.get(file.name)
    if override is not None and override.at is not None:
        taken = replace(taken, at=override.at, accuracy_m=override.accuracy_m)
    shot = _to_shot(reading, taken, name, content)
    if shot is None:
        return
    count = reading.asked.crops
    if pose and pose.is_panorama and count:
        heading = shot.heading if pose.heading is None else pose.heading
        reading.found.shots += crop_shots(shot, count=count, heading=heading)
    else:
        reading.found.shots.append(shot)


def _to_shot(reading: _Reading, taken: Taken, name: str, content: Path | Made) -> Shot | None:
    """Make a shot of a photo; None if it is left out."""
    at, time = taken.at, to_utc(taken)
    if taken.time is not None and not taken.has_zone:
        reading.zoneless.append(name)
    if at is None and reading.track is not None and time is not None:
        latitude, longitude = reading.track.at(
            np.array([time + (reading.asked.clock_offset_s or 0.0)])
        )[0]
        at = None if np.isnan(latitude) else (float(latitude), float(longitude))
    if at is None and reading.asked.labels:
        reading.found.left_out.add(taken.problem, name)
        return None
    heading = taken.heading
    if heading is not None and taken.is_magnetic:
        if reading.asked.declination_deg is None:
            reading.magnetic.append(name)
            heading = None
        else:
            heading = (heading + reading.asked.declination_deg) % 360
    return Shot(name, content, at, time, heading, taken.accuracy_m)


def _exif_of(image: Image.Image) -> Image.Exif:
    try:
        return image.getexif()
    except Exception:  # damaged bytes raise many kinds; the pixels are whole
        return Image.Exif()


def _describe(reading: _Reading) -> Iterator[str]:
    if reading.magnetic:
        yield (
            f"{len(reading.magnetic)} directions of view are from magnetic north and not used: "
            "--declination tells how far east of true north that is there"
        )
    if reading.zoneless:
        yield (
            f"{len(reading.zoneless)} times have no zone: they are taken as the sun's time at "
            "their place, which may be an hour or two off"
        )
    stale = _count_stale(reading.found.shots)
    if stale:
        yield (
            f"{stale} photos have the very position of the one before, over more than "
            f"{STALE_S:g} s: did the camera stay, or only the position?"
        )


def _count_stale(shots: list[Shot]) -> int:
    """Count photos, but for the first, in runs at one position that last long."""
    timed = sorted((shot.time, shot.at) for shot in shots if shot.time and shot.at)
    stale = start = 0
    for place, (time, at) in enumerate(timed):
        if at != timed[start][1]:
            start = place
        is_last = place + 1 == len(timed) or timed[place + 1][1] != at
        if is_last and time - timed[start][0] > STALE_S:
            stale += place - start
    return stale


def _reason(error: Exception, file: Path) -> str:
    """Shorten an error to words that count: the same for every file that it happens to."""
    return str(error).removeprefix(f"{file}: ").partition(": ")[0][:100]
