"""A folder of photos with positions in their EXIF data, or in files beside them."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from vpr.images.file_kinds import READ_SUFFIXES, UNREAD_SUFFIXES, is_junk
from vpr.images.image_files import open_photo
from vpr.importing.collection import Asked, Collection, Shot
from vpr.importing.exif import Taken, merge, read_exif, to_utc
from vpr.importing.films import SUFFIXES as FILM_SUFFIXES
from vpr.importing.heic import SUFFIXES as HEIC_SUFFIXES
from vpr.importing.heic import HeicPhoto, content_of, describe_missing, read_heic_exif
from vpr.importing.panoramas import crop_shots, find_middle
from vpr.importing.placing import natural_order, safe_name
from vpr.importing.sidecars import Names, load_overrides, read_beside
from vpr.importing.track_files import SUFFIXES as TRACK_SUFFIXES
from vpr.importing.track_files import load_track
from vpr.importing.tracks import Track

WORDS = "a folder of photos"
GIVES_WAY = True

SILENT = {".json", ".xmp", ".aae", *TRACK_SUFFIXES}  # beside photos


@dataclass
class _Reading:
    """A folder that is being read.

    Args:
        asked: Options of the command line.
        found: Photos found so far.
        track: Positions by time, for photos that have none.
        overrides: Positions by name, which take precedence.
        num_magnetic: Photos whose direction is from magnetic north, by an unknown angle from true.
        num_zoneless: Photos whose clock has no zone.
    """

    asked: Asked
    found: Collection
    track: Track | None
    overrides: dict[str, Taken]
    num_magnetic: int = 0
    num_zoneless: int = 0


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
        for file in sorted(names.values(), key=lambda file: natural_order(file.name)):
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


def _folders(source: Path) -> Iterator[tuple[tuple[str, ...], Names]]:
    """Yield each folder's path below the source's parent, and its files by name."""
    if source.is_file():
        yield (), {source.name: source}
        return
    root = source.resolve().name
    for path, folders, files in os.walk(source):
        folders.sort(key=natural_order)
        below = Path(path).relative_to(source)
        if not is_junk(below):
            names = {name: Path(path, name) for name in files if not is_junk(Path(name))}
            yield (root, *below.parts), names


def _read_photo(reading: _Reading, file: Path, name: str, names: Names) -> None:
    """Add a photo or the crops of a panorama, or leave it out without a position."""
    content, name = content_of(file, name)
    middle = None
    if isinstance(content, HeicPhoto):
        exif = read_heic_exif(file)
    else:
        with open_photo(file) as image:
            exif, middle = _exif_of(image), find_middle(image)
    taken = _complete(read_exif(exif), file, names, reading.overrides.get(file.name))
    at, time = taken.at, to_utc(taken)
    if taken.time is not None and not taken.has_zone:
        reading.num_zoneless += 1
    if at is None and reading.track is not None and time is not None:
        at = reading.track.place(time + (reading.asked.clock_offset_s or 0.0))
    if at is None and reading.asked.labels:
        reading.found.left_out.add(taken.problem, name)
        return
    shot = Shot(name, content, at, time, _true_heading(reading, taken), taken.accuracy_m)
    if middle is None or not reading.asked.crops:
        reading.found.shots.append(shot)
    else:
        heading = shot.heading if math.isnan(middle) else middle
        reading.found.shots += crop_shots(shot, count=reading.asked.crops, heading=heading)


def _complete(taken: Taken, file: Path, names: Names, override: Taken | None) -> Taken:
    """Fill in what other files say of a photo, OpenSfM's before its own position."""
    beside = None if taken.at and taken.has_zone else read_beside(file, names)
    if beside is not None:
        taken = merge(taken, beside)
    if override is not None and override.at is not None:
        taken = replace(taken, at=override.at, accuracy_m=override.accuracy_m)
    return taken


def _true_heading(reading: _Reading, taken: Taken) -> float | None:
    """Direction of view from true north; None if unknown."""
    if taken.heading is None or not taken.is_magnetic:
        return taken.heading
    if reading.asked.declination_deg is None:
        reading.num_magnetic += 1
        return None
    return (taken.heading + reading.asked.declination_deg) % 360


def _exif_of(image: Image.Image) -> Image.Exif:
    try:
        return image.getexif()
    except Exception:  # damaged bytes raise many kinds; the pixels are whole
        return Image.Exif()


def _describe(reading: _Reading) -> Iterator[str]:
    if reading.num_magnetic:
        yield (
            f"{reading.num_magnetic} directions of view are from magnetic north and not used: "
            "--declination tells how far east of true north that is there"
        )
    if reading.num_zoneless:
        yield (
            f"{reading.num_zoneless} times have no zone: they are taken as the sun's time at "
            "their place, which may be an hour or two off"
        )


def _reason(error: Exception, file: Path) -> str:
    """Shorten an error to words that count: the same for every file that it happens to."""
    return str(error).removeprefix(f"{file}: ").partition(": ")[0][:100]
