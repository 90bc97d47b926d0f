"""What the service says beside `locate`'s own words: of which run, and where its places are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vpr.commands.serve.admission import Refusal
from vpr.commands.serve.run import Run
from vpr.evaluation.params import By
from vpr.images.image_files import encoded_image, path_of
from vpr.images.shards import Member
from vpr.locating.matches import Located
from vpr.places.crs import list_directions


@dataclass(frozen=True)
class Threshold:
    """What a photo of the map must reach.

    Args:
        by: Measure of the first match that decides.
        limit: The largest distance, or log10 NFA of its inliers; null: not calibrated.
    """

    by: By
    limit: float | None


@dataclass(frozen=True)
class Answer:
    """Answer to photos.

    Args:
        located: What `locate --json` writes; `inliers` only where the run re-ranks.
        threshold: What a photo of the map must reach; `limit` and `state` are null if answers are
            not calibrated.
        timings_ms: Of decoding, and of waiting and ranking.
    """

    located: list[Located]
    threshold: Threshold
    timings_ms: dict[str, float]


@dataclass(frozen=True)
class Version:
    """Which run answers.

    Args:
        commit: Of git; null outside a repository.
        encoder: Name, and which of its models.
        aggregator: What makes descriptors of its features.
        dataset: Name of the data set's folder, its reference system and number of places.
        hashes: MD5 by path, as dvc.lock records them.
    """

    commit: str | None
    encoder: dict[str, str | None]
    aggregator: str
    dataset: dict[str, str | int | None]
    hashes: dict[str, str]


@dataclass(frozen=True)
class PlacesAnswer:
    """Where the database's images were taken.

    Args:
        easting: Metres, or frames.
        northing: Metres, or frames.
        towards: Where each looks, degrees clockwise from the northing axis; null where unknown,
            and for all if the set has no headings.
    """

    easting: list[float]
    northing: list[float]
    towards: list[float | None] | None


def describe_version(run: Run) -> Version:
    """Say of which run answers are; where its files lie on this machine is nobody's concern."""
    trunk, dataset = run.trunk, run.dataset
    return Version(
        run.commit, {"name": trunk.encoder, "model": trunk.model}, run.aggregator,
        {"name": Path(dataset.dir).name, "crs": dataset.crs, "num_places": run.num_places},
        run.hashes,
    )  # fmt: skip


def threshold_of(run: Run) -> Threshold:
    """Find what a photo of the map must reach."""
    calibration = run.places.calibration
    if calibration is None or not calibration.decides:
        return Threshold("distance" if calibration is None else calibration.by, None)
    return Threshold(calibration.by, calibration.map_limit)


def places_of(run: Run) -> PlacesAnswer:
    """List the places, in the database's order."""
    database = run.places.database
    easting, northing = database.coordinates.T.tolist()
    return PlacesAnswer(easting, northing, list_directions(database, run.dataset.crs))


def read_picture(run: Run, image: int) -> bytes:
    """Read the small picture of a place, without metadata, as the report shows it.

    Args:
        run: That answered.
        image: Index in the database.

    Raises:
        Refusal: If there is none, or it belongs to a later run than the one that answered.
    """
    if not 0 <= image < run.num_places:
        raise Refusal(404, f"image {image}: the database has {run.num_places}, from 0.")
    try:
        picture = run.pictures[image]
        file = picture.shard if isinstance(picture, Member) else path_of(picture)
        is_later = file.lstat().st_ctime > run.since
        content = encoded_image(picture).content
    except (IndexError, OSError):
        raise Refusal(404, f"image {image}: its picture is not here.") from None
    if is_later:
        raise Refusal(410, f"image {image}: its picture was replaced since the run was loaded.")
    return content
