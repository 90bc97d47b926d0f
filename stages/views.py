"""Stage views: local features of the database at other scales, for training."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from vpr.console.entry import run_stage

from vpr.features.params import ViewsParams
from vpr.features.view_folders import save_scales, view_folder
from vpr.runtime.artefacts import built_aside
from vpr.runtime.parameters import load_params


def views(*, images: Path, frozen: Path, views: Path) -> None:
    """Compute the local features of the database's images at each scale, once per image.

    Args:
        images: Folder of numbered images.
        frozen: The encoder's frozen part.
        views: The folder to write; without scales it only says so.
    """
    scales = load_params("views", ViewsParams).scales
    if not scales:
        with built_aside(views) as (aside,):
            save_scales(aside, scales)
        return
    # Here, since torch takes seconds to import, and a run without views needs none of it.
    import torch

    from vpr.features.extraction import store_features
    from vpr.features.model import load_model
    from vpr.features.params import TrunkParams
    from vpr.features.scaled_photos import read_at, size_at
    from vpr.features.trunk import load_trunk
    from vpr.images.image_files import list_images
    from vpr.runtime.device import find_device
    from vpr.runtime.resuming import fingerprint

    params, device = load_params("trunk", TrunkParams), find_device()
    key = fingerprint(params, scales, inputs=(images, frozen), device=device)
    with built_aside(views, key=key) as (aside,):
        network = load_trunk(load_model(frozen), getattr(torch, params.precision))
        files = params.stored(list_images(images))
        for scale in scales:
            read = partial(read_at, scale=scale, scale_to=params.scale_to)
            size = partial(size_at, scale=scale, scale_to=params.scale_to)
            place = view_folder(aside, scale)
            try:
                store_features(place, network, files, read, size=size, device=device)
            except ValueError as error:
                raise ValueError(f"views.scales has {scale}: {error}") from None
        save_scales(aside, scales)


if __name__ == "__main__":
    run_stage(views)
