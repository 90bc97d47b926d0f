"""Deviation of descriptors and rankings in bfloat16 from float32, on real photos.

Run from the repository's root:
`python -m bench.quality.bfloat16_deviation DIR INDEX [--max-side-px N] [--weights FILE]`, for
example on Gardens Point. Both sides' photos are described twice by one network, initialised as in
the pipeline. It prints lines for a table.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from vpr.datasets.formats import parse_set
from vpr.datasets.ground_truth import GroundTruth
from vpr.evaluation.recall import STANDARD_DEPTHS, recall_at
from vpr.features.extraction import store_features
from vpr.features.local_features import load_features
from vpr.features.model import Model
from vpr.features.trunk import load_trunk
from vpr.images.image_files import read_image, read_size
from vpr.network.describing import describe_photos, load_network
from vpr.network.initial_model import start_model
from vpr.places.radius import find_positives
from vpr.retrieval.ranking import rank_database
from vpr.runtime.device import find_device
from vpr.weights.checkpoints import load_starting_model

MOST_PHOTOS = 64  # that clusters are computed from


def start(weights: Path, photos: Sequence[Path], scale_to: int | None) -> Model:
    """The network before training, with clusters from at most 64 photos in float32."""
    some = photos[:: -(-len(photos) // MOST_PHOTOS)]
    model, _ = load_starting_model(weights, encoder="vgg16", variant=None, split="conv5_1", seed=0)
    device = find_device()
    clusters = len(model.tensors.get("pool.centroids", range(16)))
    with tempfile.TemporaryDirectory() as folder:
        store_features(
            Path(folder), load_trunk(model, torch.float32), some,
            partial(read_image, scale_to=scale_to), size=partial(read_size, scale_to=scale_to),
            device=device,
        )  # fmt: skip
        started, origin = start_model(
            model, load_features(Path(folder)), aggregator="netvlad", num_clusters=clusters,
            descriptor_dim=None, vlad_version=1 + ("pool.conv.bias" in model.tensors), seed=0,
            device=device,
        )  # fmt: skip
    print(origin)
    return started


def describe(
    model: Model,
    photos: Sequence[Path],
    precision: torch.dtype,
    scale_to: int | None,
) -> NDArray[np.float32]:
    """Descriptors of photos, with trunk and head in a precision."""
    network = load_network(model, precision=precision, scale_to=scale_to, device=find_device())
    return np.concatenate([batch.descriptors for batch in describe_photos(network, photos)])


def compare(truth: GroundTruth, exact: NDArray[np.float32], rounded: NDArray[np.float32]) -> None:
    """Print how far the rounded descriptors and their rankings are from the exact ones."""
    assert truth.radius_m is not None
    cosines = (exact.astype(np.float64) * rounded).sum(axis=1)
    print(f"cosine to float32: mean {cosines.mean():.6f}, least {cosines.min():.6f}")
    split = len(truth.database.paths)
    positives = find_positives(
        truth.database.coordinates, truth.query.coordinates, radius_m=truth.radius_m
    )
    firsts = []
    for name, rows in (("float32", exact), ("bfloat16", rounded)):
        ranking, _ = rank_database(rows[:split], rows[split:], top_k=20)
        recalls = recall_at(STANDARD_DEPTHS, ranking, positives)
        print(f"{name}: " + ", ".join(f"recall@{n} {recall:.3f}" for n, recall in recalls.items()))
        firsts.append(ranking[:, 0])
    print(f"top-1 changed: {np.sum(firsts[0] != firsts[1])} of {len(firsts[0])} queries")


def main() -> None:
    """Describe twice and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("dir", type=Path, help="folder of a data set")
    parser.add_argument("index", help="its ground truth")
    parser.add_argument("--max-side-px", type=int, help="scale larger photos down to this")
    parser.add_argument("--weights", type=Path, default=Path("models/pretrained/random"))
    asked = parser.parse_args()
    truth = parse_set(asked.dir, asked.index)
    database, query = (
        [asked.dir / path for path in side.paths] for side in (truth.database, truth.query)
    )
    model = start(asked.weights, database, asked.max_side_px)
    exact, rounded = (
        describe(model, [*database, *query], precision, asked.max_side_px)
        for precision in (torch.float32, torch.bfloat16)
    )
    compare(truth, exact, rounded)


if __name__ == "__main__":
    main()
