"""Pictures of what NetVLAD's clusters are good for, laid over images of the database."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vpr.images.image_files import list_images, read_image
from vpr.images.thumbnails import thumbnail_name
from vpr.report.heat_maps import overlay
from vpr.reranking.utility_files import is_measured, load_utility_maps


def draw_utility(folder: Path, utility: Path, thumbnails: Path, *, count: int) -> list[int]:
    """Write pictures of database images spread evenly over the route, named as their thumbnails.

    A position glows by the place-specific utility of its cluster; those of clusters that the image
    does not keep stay grey. Of several scales the mean is shown.

    Args:
        folder: The folder to create.
        utility: Folder of utility.
        thumbnails: Folder of the database's small pictures.
        count: At most so many pictures; none if utility was not measured.

    Returns:
        The images that are shown.
    """
    if count == 0 or not is_measured(utility):
        return []
    folder.mkdir(parents=True)
    pictures = list_images(thumbnails)
    num_images = len(pictures)
    spread = np.linspace(0, num_images - 1, min(count, num_images)).round().astype(int)
    shown: list[int] = np.unique(spread).tolist()
    for image, scales in zip(shown, load_utility_maps(utility, shown), strict=True):
        photo = read_image(pictures[image], scale_to=None)
        picture = overlay(photo, scales.mean(axis=0))
        picture.save(folder / thumbnail_name(image), "JPEG", quality=85)
    return shown
