"""The photos of a drive, in order: the frames of a film, or a folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vpr.importing.collection import Asked, LeftOut, Shot
from vpr.importing.films import SUFFIXES
from vpr.importing.forms import photos, video

PACES = 0.1, 10.0  # cameras write whole seconds, and a pause is no journey


@dataclass(frozen=True)
class DrivePhoto:
    """A photo of a drive.

    Args:
        name: For people.
        file: The image file.
        time: When it was taken, seconds since 1970; None: unknown.
    """

    name: str
    file: Path
    time: float | None


def find_paces(times: Sequence[float | None]) -> NDArray[np.float64]:
    """Seconds from photo to photo, in the median ones of the drive.

    Returns:
        Shape (num_photos,), in `PACES`; 1 for the first photo, and for all if a time is unknown.
    """
    paces = np.ones(len(times))
    if None not in times and len(times) > 1:
        passed = np.diff(np.array(times, dtype=np.float64))
        usual = np.median(passed)
        if usual > 0:
            paces[1:] = np.clip(passed / usual, *PACES)
    return paces


def read_drive(source: Path, scratch: Path) -> tuple[list[DrivePhoto], LeftOut]:
    """Read a film, a frame each second, or a folder of photos by time, or by name without times.

    Args:
        source: The film or folder.
        scratch: Folder for frames, which stay there.

    Returns:
        The photos, and what was left out.

    Raises:
        ValueError: If it is neither, or no photo is left.
    """
    if not source.exists():
        raise ValueError(f"{source}: there is no such film or folder")
    if not (source.is_dir() or video.recognises(source)):
        raise ValueError(f"{source}: expected a film ({', '.join(sorted(SUFFIXES))}) or a folder")
    form = photos if source.is_dir() else video
    found = form.read(source, Asked(labels=False, crops=0))
    left_out, drive = found.left_out, []
    for number, shot in enumerate(found.shots):
        try:
            file = file_of(shot, number, scratch)
        except ValueError as error:
            left_out.add(str(error), shot.name)
            continue
        drive.append(DrivePhoto(shot.name, file, shot.time))
    if not drive:
        raise ValueError(f"{source}: has no photos: {'; '.join(left_out.lines()) or 'it is empty'}")
    if all(photo.time is not None for photo in drive):
        drive.sort(key=lambda photo: photo.time or 0.0)  # of one time: as they were read
    return drive, left_out


def file_of(shot: Shot, number: int, scratch: Path) -> Path:
    """Find the file of a photo; one that no file holds is written to `scratch`, by its number.

    Raises:
        ValueError: If it cannot be read.
    """
    if isinstance(shot.content, Path):
        return shot.content
    file = scratch / f"{number:06d}{Path(shot.name).suffix}"
    file.write_bytes(shot.content())
    return file
