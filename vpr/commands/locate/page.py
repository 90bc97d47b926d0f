"""A single page of located photos, with what NetVLAD's clusters respond to in each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from vpr.commands.locate.matches import Located
from vpr.places.images import read_image
from vpr.report.heat_maps import data_address, overlay
from vpr.report.pages import TEMPLATES, load_templates

PHOTO_PX, MATCH_PX, CLUSTER_PX = 480, 240, 160  # longer sides of the page's pictures


def describe_photo(
    located: Located,
    responses: tuple[NDArray[np.float32], NDArray[np.float32]] | None,
    images: Sequence[Path],
) -> dict[str, Any]:
    """Collect what the page shows of a photo, pictures included.

    Args:
        located: The photo and its matches.
        responses: What `cluster_responses` gave for it and its first match; None without NetVLAD.
        images: The database's images, by index.
    """
    photo = read_image(Path(located.photo), scale_to=PHOTO_PX)
    pictures = [read_image(images[match.image], scale_to=MATCH_PX) for match in located.matches]
    clusters = None
    if responses is not None:
        assignment, shares = responses
        small = read_image(Path(located.photo), scale_to=CLUSTER_PX)
        clusters = {
            "likeness": data_address(overlay(photo, shares)),
            "pictures": [data_address(overlay(small, heat)) for heat in assignment],
            "shares": assignment.mean(axis=(1, 2)).tolist(),
        }
    return {
        "located": located,
        "photo": data_address(Image.fromarray(photo)),
        "matches": [data_address(Image.fromarray(picture)) for picture in pictures],
        "clusters": clusters,
    }


def write_page(path: Path, photos: Sequence[dict[str, Any]]) -> None:
    """Write the page; it opens from disk and fetches nothing.

    Args:
        path: The file to write.
        photos: What `describe_photo` gave for each.
    """
    style = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    page = load_templates(Path(__file__).parent).get_template("page.html")
    text = page.render(photos=photos, style=Markup(style))  # noqa: S704 - our own style
    path.write_text(text, encoding="utf-8")
