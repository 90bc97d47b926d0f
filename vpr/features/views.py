"""Views: the same images at other scales, of which training draws one each epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vpr.features.local_features import LocalFeatures, load_features
from vpr.features.view_folders import load_scales, view_folder


@dataclass(frozen=True)
class DrawnViews:
    """One view of each image, in the form of `StoredMaps`.

    Args:
        views: Features of the same images, view by view.
        drawn: Which view of each image, shape (num_images,).
    """

    views: Sequence[LocalFeatures]
    drawn: NDArray[np.int64]

    @cached_property
    def shapes(self) -> NDArray[np.int64]:
        """Height and width of each image's map, shape (num_images, 2)."""
        every = np.stack([view.shapes for view in self.views])  # (num_views, num_images, 2)
        shapes: NDArray[np.int64] = every[self.drawn, np.arange(len(self.drawn))]
        return shapes

    def maps(self, images: Sequence[int]) -> Tensor:
        """Feature maps (N, C, H, W) of images whose drawn views have the same shape."""
        return torch.cat([self.views[self.drawn[image]].maps([image]) for image in images])


def draw_views(views: Sequence[LocalFeatures], rng: np.random.Generator) -> DrawnViews:
    """Draw one view of each image, each as likely as the others."""
    return DrawnViews(views, rng.integers(len(views), size=len(views[0].shapes)))


def load_views(folder: Path, first: LocalFeatures) -> list[LocalFeatures]:
    """Map the features of a folder of views, without reading them.

    Args:
        folder: What the stage views wrote.
        first: Features of the images as they are.

    Raises:
        ValueError: If a file is damaged, or a view is of other images or another network.
    """
    places = [view_folder(folder, scale) for scale in load_scales(folder)]
    views = [load_features(place) for place in places]
    for place, view in zip(places, views, strict=True):
        found, expected = (
            (len(one.shapes), one.rows.shape[1], one.rows.dtype) for one in (view, first)
        )
        if found != expected:
            raise ValueError(
                f"{place} is of {found[0]} images with {found[1]} channels of {found[2]}, their "
                f"features at scale 1 of {expected[0]} with {expected[1]} of {expected[2]}: run "
                "`dvc repro`"
            )
    return views
