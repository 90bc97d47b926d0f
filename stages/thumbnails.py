"""Stage thumbnails: small pictures of both sides, for the report."""

from __future__ import annotations

from pathlib import Path

from vpr.console.entry import run_stage

from vpr.images.image_files import list_images
from vpr.images.params import ThumbnailsParams
from vpr.images.thumbnails import draw_thumbnails
from vpr.runtime.artefacts import built_aside
from vpr.runtime.parameters import load_params


def thumbnails(
    *,
    database_images: Path,
    query_images: Path,
    database_thumbnails: Path,
    query_thumbnails: Path,
) -> None:
    """Draw a small picture of each image.

    Args:
        database_images: Folder of the database's images.
        query_images: Folder of the query images.
        database_thumbnails: Folder to write.
        query_thumbnails: Folder to write.
    """
    params = load_params("thumbnails", ThumbnailsParams)
    sides = (database_images, query_images)
    with built_aside(database_thumbnails, query_thumbnails) as aside:
        for images, folder in zip(sides, aside, strict=True):
            draw_thumbnails(
                list_images(images), folder, max_side_px=params.max_side_px, quality=params.quality
            )


if __name__ == "__main__":
    run_stage(thumbnails)
