"""A drive: its photos in order, each located with what the photos before it tell."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vpr.evaluation.calibration import State
from vpr.importing.collection import Asked, LeftOut, Shot
from vpr.importing.films import SUFFIXES
from vpr.importing.forms import photos, video
from vpr.locating.matches import Places, Position, heading_at
from vpr.locating.ranking import Ranked, Ranker
from vpr.locating.run import load_run
from vpr.places.crs import latitude_longitude
from vpr.places.index import find_recordings
from vpr.repository.locked_run import locked_params
from vpr.retrieval.filtering import Belief
from vpr.retrieval.following import Follower
from vpr.retrieval.params import SequenceParams
from vpr.run_files import LOCK

PACES = 0.1, 10.0  # cameras write whole seconds, and a pause is no journey
Before = tuple[Belief, NDArray[np.float32]]  # about a photo, with its descriptor


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


@dataclass(frozen=True)
class Tracked:
    """Where a photo of a drive was taken.

    Args:
        photo: Its name.
        time: Seconds since 1970; None: unknown.
        state: `unknown`: more probably off the map than on it.
        probability: That the photo shows the place of `database`.
        off_map: Probability that it is off the map.
        database: Name of the most probable image; None if it is unknown.
        position: Mean of the places near that, with the circle that holds 90 % of the probability
            on the map; None likewise.
    """

    photo: str
    time: float | None
    state: State
    probability: float
    off_map: float
    database: str | None
    position: Position | None


class Tracker:
    """Follows drives through the places of a run; the beliefs are the caller's to keep.

    Args:
        ranker: What photos are ranked with.
        places: The database's places.
        crs: Reference system of the places; None: of no place on Earth.
        step_m: Mean metres from one photo to the next; None: 5 spacings of the database.

    Raises:
        ValueError: If the places are not known.
    """

    def __init__(
        self, ranker: Ranker, places: Places, *, crs: str | None, step_m: float | None
    ) -> None:
        """Learn what similarities to the database say."""
        database, rows = places.database, ranker.whitened
        if places.calibration is None or not database.has_places:
            raise ValueError("a drive can be followed only where the database's places are known")
        self.ranker, self.places = ranker, places
        self.crs = None if places.globe is None else crs
        self.follower = Follower(
            rows, database.coordinates, find_recordings(database.sequence, len(rows)),
            radius_m=places.calibration.radius_m, step_m=step_m,
        )  # fmt: skip

    def step(
        self, before: Before | None, ranked: Ranked, moved_m: float = math.nan, pace: float = 1.0
    ) -> Before:
        """Follow a drive to its next photo.

        Args:
            before: What it returned for the photo before; None: the drive begins.
            ranked: Ranking of the photo.
            moved_m: Metres moved since the photo before; NaN: unknown.
            pace: Seconds since the photo before, in the drive's usual ones.
        """
        pairs, verified = ranked.verified, None
        if pairs is not None:
            verified = pairs.candidates[0], pairs.log10_nfa[0]
        belief = self.follower.step(before, ranked.row, moved_m, verified, ranked.indices, pace)
        return belief, ranked.row

    def follow(
        self, drive: Iterable[Ranked], paces: Iterable[float] = repeat(1.0)
    ) -> Iterator[Belief]:
        """Follow the photos of one drive, ranked in order.

        Args:
            drive: The rankings.
            paces: Seconds before each photo, in the drive's usual ones.
        """
        before: Before | None = None
        for ranked, pace in zip(drive, paces, strict=False):
            before = self.step(before, ranked, pace=pace)
            yield before[0]

    def describe(self, belief: Belief, photo: str, time: float | None = None) -> Tracked:
        """Say where a photo was taken."""
        found = self.follower.estimate(belief)
        chances = round(found.probability, 6), round(found.off_map, 6)
        if found.state == "unknown":
            return Tracked(photo, time, found.state, *chances, None, None)
        east, north = found.position.round(3).tolist()
        latitude = longitude = circle = None
        if self.crs is not None:
            globe = latitude_longitude(found.position[None], self.crs)[0]
            latitude, longitude = globe.round(7).tolist()
            circle = round(found.circle_m, 1)
        database = self.places.database
        heading = heading_at(database, found.place)
        position = Position(east, north, latitude, longitude, circle, heading)
        return Tracked(photo, time, found.state, *chances, database.paths[found.place], position)


def load_tracker(run: Path, *, step_m: float | None) -> Tracker:
    """Load what a finished run follows drives with; `step_m` None is that of the run.

    Raises:
        ValueError: If a file is missing or damaged, or the places are not known.
    """
    loaded = load_run(run)
    sequence = locked_params("order", "sequence", SequenceParams, lock=run / LOCK)
    return Tracker(
        loaded.ranker, loaded.places, crs=loaded.dataset.crs, step_m=step_m or sequence.step_m
    )
