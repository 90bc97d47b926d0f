"""A single page of located photos: each on the map, and what NetVLAD's clusters respond to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup
from PIL import Image

from vpr.commands.locate.map import describe_map
from vpr.commands.locate.outputs import verdict
from vpr.images.image_files import read_image
from vpr.images.numbered import NumberedImages
from vpr.locating.matches import Located, Places
from vpr.locating.ranking import Ranked
from vpr.report.pages import TEMPLATES, load_templates
from vpr.report.pictures import data_address, draw_matches, overlay

PHOTO_PX, MATCH_PX, CLUSTER_PX = 480, 240, 160  # longer sides of the page's pictures


def describe_photo(
    located: Located,
    ranked: Ranked,
    images: NumberedImages,
    places: Places,
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
    style = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    page = load_templates(Path(__file__).parent).get_template("page.html")
    text = page.render(photos=photos, verdict=verdict, style=Markup(style))  # noqa: S704 - our own style
    path.write_text(text, encoding="utf-8")
