"""Stages trunk_db and trunk_query: images -> local features of the frozen layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from vpr.runtime.entry import run_stage

import torch
from pydantic import Field

from vpr.features.extraction import store_features
from vpr.features.model import load_model
from vpr.features.trunk import load_trunk
from vpr.places.images import Photo, list_images, read_image, read_size
from vpr.places.pixels import ScaleTo
from vpr.runtime.artefacts import built_aside
from vpr.runtime.device import find_device
from vpr.runtime.parameters import load_params
from vpr.runtime.resuming import fingerprint

Side = Annotated[int, Field(ge=32)]


@dataclass(frozen=True)
class TrunkParams:
    """Parameters of the stages trunk_db and trunk_query."""

    encoder: str
    model: str | None
    trainable_from: str | int
    precision: Literal["float32", "bfloat16", "float16"]
    max_side_px: Side | None
    image_size: tuple[Side, Side] | None
    store: Literal["all"] | Annotated[int, Field(ge=0)]

    def __post_init__(self) -> None:
        """Refuse two sizes at once."""
        if self.max_side_px is not None and self.image_size is not None:
            raise ValueError(
                f"trunk.max_side_px = {self.max_side_px} and trunk.image_size = "
                f"{list(self.image_size)}: set one of them to null"
            )

    @property
    def scale_to(self) -> ScaleTo:
        """What images are scaled to before the network sees them."""
        return self.image_size or self.max_side_px

    def stored(self, images: Sequence[Photo]) -> Sequence[Photo]:
        """Select the images whose features are stored."""
        return images if self.store == "all" else images[: self.store]


def trunk(*, images: Path, frozen: Path, features: Path) -> None:
    """Compute the local features of one side's images, or of the first of them, once per image.

    Args:
        images: Folder of numbered images.
        frozen: The encoder's frozen part.
        features: The folder to write.
    """
    params, device = load_params("trunk", TrunkParams), find_device()
    key = fingerprint(params, inputs=(images, frozen), device=device)
    read = partial(read_image, scale_to=params.scale_to)
    with built_aside(features, key=key) as (aside,):
        network = load_trunk(load_model(frozen), getattr(torch, params.precision))
        store_features(
            aside, network, params.stored(list_images(images)), read,
            size=partial(read_size, scale_to=params.scale_to), device=device,
        )  # fmt: skip


if __name__ == "__main__":
    run_stage(trunk)
