"""A single page of located photos: each on the map, and what NetVLAD's clusters respond to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vpr.commands.locate.outputs import verdict
from vpr.images.image_files import read_image
from vpr.images.numbered import NumberedImages
from vpr.locating.matches import Located, Places
from vpr.locating.ranking import Ranked
from vpr.report.pages import write_single_page
from vpr.report.pictures import data_address, draw_matches, overlay

PHOTO_PX, MATCH_PX, CLUSTER_PX = 480, 240, 160  # longer sides of the page's pictures
# Of the map:
MARGIN = 0.12  # of the longer side, around what is shown
LEAST_M = 40.0  # longer side of what is shown, at least
WIDEST = 3.0  # ratio of the sides, at most
MOST_DOTS = 1500
LENGTHS_M = [factor * 10**power for power in range(7) for factor in (1, 2, 5)]  # of the scale bar


def describe_photo(
    located: Located, ranked: Ranked, images: NumberedImages, places: Places
) -> dict[str, Any]:
    """Collect what the page shows of a photo, pictures included.

    Args:
        located: The photo and its matches.
        ranked: Ranking of the photo.
        images: The database's images, by index.
        places: The database's places.
    """
    photo, middle, small = (
        read_image(Path(located.photo), scale_to=side) for side in (PHOTO_PX, MATCH_PX, CLUSTER_PX)
    )
    pictures = [read_image(images[match.image], scale_to=MATCH_PX) for match in located.matches]
    verified = [] if ranked.verified is None else [
        data_address(draw_matches(middle, picture, ranked.verified.of(0, match.image)))
        for match, picture in zip(located.matches, pictures, strict=True)
    ]  # fmt: skip
    clusters = None
    if ranked.responses is not None:
        assignment, shares = ranked.responses
        clusters = {
            "likeness": data_address(overlay(photo, shares)),
            "pictures": [data_address(overlay(small, heat)) for heat in assignment],
            "shares": assignment.mean(axis=(1, 2)).tolist(),
        }
    return {
        "located": located,
        "map": describe_map(located, places),
        "photo": data_address(Image.fromarray(photo)),
        "matches": [data_address(Image.fromarray(picture)) for picture in pictures],
        "verified": verified,
        "clusters": clusters,
    }


def write_page(path: Path, photos: Sequence[dict[str, Any]]) -> None:
    """Write the page; it opens from disk and fetches nothing.

    Args:
        path: The file to write.
        photos: Result of `describe_photo` for each.
    """
    write_single_page(path, Path(__file__).parent, photos=photos, verdict=verdict)


def describe_map(located: Located, places: Places) -> dict[str, Any] | None:
    """Collect what the map of a photo shows, in metres east and south of its first match.

    Args:
        located: The photo and its matches.
        places: The database's places.

    Returns:
        `box` (left, top, width, height), `dots` (places of the database), `matches` (rank, x, y),
        `position` (x, y) and `circle` (its radius), None where they are unknown, and `scale`
        (metres of a scale bar), None where coordinates may count frames. None: the matches have no
        places.
    """
    coordinates = places.database.coordinates
    found = [match for match in located.matches if match.easting is not None]
    if not found:
        return None
    origin = coordinates[found[0].image]
    matches = _moved(coordinates[[match.image for match in found]], origin)
    position, circle, shown = None, None, matches
    if located.position is not None:
        place = np.array([[located.position.easting, located.position.northing]])
        position, circle = _moved(place, origin), located.position.uncertainty_m
        reach = np.array([[-1, -1], [1, 1]]) * (circle or 0)
        shown = np.concatenate([matches, position + reach])
    low, high = shown.min(axis=0), shown.max(axis=0)
    longer = max(float((high - low).max()), LEAST_M)
    size = np.maximum(high - low, longer / WIDEST) + 2 * MARGIN * longer
    corner = (low + high - size) / 2
    dots = _moved(coordinates, origin)
    near = (dots >= corner - size) & (dots <= corner + 2 * size)  # wide windows show more
    dots = dots[near.all(axis=1)]
    dots = dots[:: max(1, -(-len(dots) // MOST_DOTS))]
    scale = None
    if places.globe is not None:
        scale = max(length for length in LENGTHS_M if length <= max(size[0] / 4, LENGTHS_M[0]))
    return {
        "box": _listed([*corner, *size]),
        "dots": [_listed(dot) for dot in dots],
        "matches": [(match.rank, *_listed(at)) for match, at in zip(found, matches, strict=True)],
        "position": None if position is None else _listed(position[0]),
        "circle": circle,
        "scale": scale,
    }


def _moved(places: NDArray[np.float64], origin: NDArray[np.float64]) -> NDArray[np.float64]:
    """East and south of the origin; near 0, since browsers draw in 32 bits."""
    return (places - origin) * [1, -1]


def _listed(numbers: Sequence[float] | NDArray[np.float64]) -> list[float]:
    return [round(float(number), 2) for number in numbers]
