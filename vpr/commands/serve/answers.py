"""Answers of the service, and their description in OpenAPI: forms, examples, refusals."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from vpr.commands.serve.admission import Refusal
from vpr.commands.serve.photos import FORM, RAW
from vpr.commands.serve.run import ServedRun
from vpr.evaluation.params import By
from vpr.images.image_files import encoded_image, path_of
from vpr.images.shards import Member
from vpr.locating.drives import Tracked
from vpr.locating.matches import Located, Match
from vpr.locating.ranking import Ranked
from vpr.places.crs import list_directions

PHOTO = {"type": "string", "format": "binary"}
EXAMPLES = Path(__file__).parent / "templates"
ANSWER, TRACKED = (
    json.loads((EXAMPLES / name).read_bytes()) for name in ("answer.json", "tracked.json")
)
Refusals = Mapping[int, tuple[str, str]]  # by status: what it means, and an example
REFUSALS: Refusals = {
    400: ("No photo, not a form, or a foreign Host", "the body holds no photo, or an empty one."),
    401: ("A token is needed", "a token is needed: send `Authorization: Bearer TOKEN`."),
    403: ("A page of another origin asked", "pages of other addresses may not ask this service."),
    404: ("Not here", "image 999: the database has 120, from 0."),
    408: ("Sent too slowly", "the body took more than 10 seconds, or was the slowest of too many."),
    410: ("Replaced later", "image 3: its picture was replaced since the run was loaded."),
    413: ("Too large", "the body has more than 16,000,000 bytes: send a smaller photo."),
    415: ("Of another type", "Content-Type is 'text/html': send a photo as image/*, ..."),
    422: ("Not a readable photo, or not such a value", "photo.jpg: not a readable image."),
    500: ("The service failed", "the service failed: its log says where."),
    503: ("Busy: ask again after Retry-After seconds",
          "64 requests are waiting: ask again later."),
}  # fmt: skip
OF_SESSIONS: Refusals = {
    404: ("No such session",
          "session: there is none of this name, or it ended after 600 seconds without a photo: "
          "leave it out to begin a new one."),
    409: ("Session busy: ask again after Retry-After seconds",
          "session: its previous photo is still in progress: send one at a time."),
    410: ("Another run answers now",
          "session: another run answers now: leave it out to begin a new one."),
}  # fmt: skip
OF_ALL = (400, 401, 403, 500)
OF_PHOTOS = (408, 413, 415, 422, 503)


@dataclass(frozen=True)
class Threshold:
    """What a photo of the map must reach.

    Args:
        by: Measure of the first match that decides.
        limit: The largest distance, or log10 NFA of its inliers; null: not calibrated.
    """

    by: By
    limit: float | None


@dataclass(frozen=True, kw_only=True)
class Pictured(Match):
    """A database image that may show the same place as a photo.

    Args:
        picture: Address of its small picture, relative to that of the request.
        pairs: Points that verify it, each as x and y in the photo and x and y in the database
            image, in shares of width and height; only if they were asked for.
    """

    picture: str
    pairs: list[tuple[float, float, float, float]] | None = None


@dataclass(frozen=True)
class LocatedPhoto(Located):
    """A photo with its ranked places."""

    matches: list[Pictured]  # type: ignore[assignment]  # lists are invariant, and nothing adds to it


@dataclass(frozen=True)
class Answer:
    """Answer to photos.

    Args:
        run: Which run answers, as `/v1/version` has it.
        located: What `locate --json` writes, and a picture of each match. A match has `inliers`
            and `log10_nfa` only where it was verified, `heading` only where that is known, and
            `metres` and `correct` never, because a photo that was sent is not a query of the set.
        threshold: What a photo of the map must reach; `limit` and `state` are null if answers are
            not calibrated.
        timings_ms: Milliseconds of decoding, and of waiting and ranking.
    """

    run: str
    located: list[LocatedPhoto]
    threshold: Threshold
    timings_ms: dict[str, float]


@dataclass(frozen=True)
class TrackAnswer:
    """Answer to the next photo of a drive.

    Args:
        session: Name of the session, which the next request must have.
        number: Number of photos of the drive so far.
        tracked: Where the drive is.
    """

    session: str
    number: int
    tracked: Tracked


@dataclass(frozen=True)
class Error:
    """Why a request was refused, in one sentence."""

    error: str


@dataclass(frozen=True)
class PlacesAnswer:
    """Where the database's images were taken.

    Args:
        run: Which run's.
        easting: Metres, or frames.
        northing: Metres, or frames.
        latitude: Degrees; null if the data set names no reference system.
        longitude: Degrees; null likewise.
        towards: Where each looks, degrees clockwise from the northing axis; null where unknown,
            and for all if the set has no headings.
    """

    run: str
    easting: list[float]
    northing: list[float]
    latitude: list[float] | None
    longitude: list[float] | None
    towards: list[float | None] | None


def threshold_of(run: ServedRun) -> Threshold:
    """Find what a photo of the map must reach."""
    calibration = run.places.calibration
    if calibration is None or not calibration.decides:
        return Threshold("distance" if calibration is None else calibration.by, None)
    return Threshold(calibration.by, calibration.map_limit)


def places_of(run: ServedRun) -> PlacesAnswer:
    """List the places, in the database's order."""
    database = run.places.database
    easting, northing = database.coordinates.T.tolist()
    globe = run.places.globe
    latitude, longitude = (None, None) if globe is None else globe.round(7).T.tolist()
    towards = list_directions(database, run.crs)
    return PlacesAnswer(run.version.run, easting, northing, latitude, longitude, towards)


def complete(photo: dict[str, Any], ranked: Ranked, *, pairs: bool) -> dict[str, Any]:
    """Add to the matches of a photo the addresses of their pictures, and the verifying points.

    Args:
        photo: One object of what `locate --json` writes.
        ranked: Its ranking.
        pairs: Whether the points are wanted.
    """
    for match in photo["matches"]:
        match["picture"] = f"places/{match['image']}/picture"
        if pairs and ranked.verified is not None:
            points = ranked.verified.of(0, match["image"])
            match["pairs"] = points.reshape(-1, 4).round(4).tolist()
    return photo


def read_picture(run: ServedRun, image: int) -> bytes:
    """Read the small picture of a place, without metadata, as the report shows it.

    Args:
        run: The run that answered.
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


def describe_body(*, several: bool) -> dict[str, Any]:
    """Describe the body that carries photos."""
    files = {"type": "array", "items": PHOTO} if several else PHOTO
    form = {"schema": {"type": "object", "properties": {"photo": files}}}
    raw = {} if several else {"image/*": {"schema": PHOTO}, RAW: {"schema": PHOTO}}
    return {"requestBody": {"required": True, "content": {FORM: form, **raw}}}


def describe_refusals(
    *statuses: int, own: Refusals = MappingProxyType({})
) -> dict[int | str, dict[str, Any]]:
    """Describe refusals: those of any request, some by status, and a route's own (`own`)."""
    words = {**REFUSALS, **own}
    return {
        status: {
            "description": words[status][0], "model": Error,
            "content": {"application/json": {"example": {"error": words[status][1]}}},
        }
        for status in sorted({*OF_ALL, *statuses, *own})
    }  # fmt: skip


def describe_answer(
    example: dict[str, Any], *, own: Refusals = MappingProxyType({})
) -> dict[int | str, dict[str, Any]]:
    """Describe an answer to photos, and the refusals; `own` are a route's own."""
    content = {"application/json": {"example": example}}
    answer = {"content": content, "description": "The answer"}
    return {200: answer, **describe_refusals(*OF_PHOTOS, own=own)}
