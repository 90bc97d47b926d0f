"""Stages extract_db and extract_query: local features -> one descriptor per image."""

from __future__ import annotations

from pathlib import Path

from vpr.runtime.entry import run_stage

from vpr.features.local_features import load_features
from vpr.features.model import load_model
from vpr.network.describing import extract_descriptors
from vpr.network.head import load_head
from vpr.retrieval.descriptors import save_descriptors
from vpr.runtime.artefacts import built_aside
from vpr.runtime.device import find_device


def extract(*, features: Path, model: Path, descriptors: Path) -> None:
    """Compute one unit vector per image from its stored local features.

    Args:
        features: Folder of one side's local features.
        model: The whole model.
        descriptors: The array to write, shape (num_images, num_clusters * dim).
    """
    head = load_head(load_model(model))
    stored = load_features(features)
    blocks = extract_descriptors(head, stored, range(len(stored.shapes)), find_device())
    with built_aside(descriptors) as (aside,):
        save_descriptors(aside, blocks, num_images=len(stored.shapes))


if __name__ == "__main__":
    run_stage(extract)
