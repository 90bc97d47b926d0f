"""The demo set asks for more than a thumbnail or a colour histogram can tell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bench.quality.demo_seeds import describe, histogram, thumbnail
from vpr.demo.drawing import draw_set
from vpr.evaluation.recall import recall_at
from vpr.features.encoder import load_encoder
from vpr.features.extraction import extract_features
from vpr.features.model import Model
from vpr.features.trunk import load_trunk
from vpr.images.image_files import read_image
from vpr.network.head import load_head
from vpr.network.initial_clusters import initial_pool
from vpr.places.radius import find_positives
from vpr.retrieval.ranking import rank_database
from vpr.runtime.parameters import read_yaml

CLUSTERS, CHANNELS = 64, 112


def network(*sides: list[Path]) -> list[NDArray[np.float32]]:
    """Descriptors of the default network, clusters by k-means on the first side."""
    state, _ = load_encoder("efficientnet_lite", "lite0").initial_state("imagenet", 0)
    blank = {
        "pool.conv.weight": torch.zeros(CLUSTERS, CHANNELS, 1, 1),
        "pool.centroids": torch.zeros(CLUSTERS, CHANNELS),
    }
    model = Model("efficientnet_lite", "lite0", "pool", state | blank)
    head = load_head(model)
    trunk = load_trunk(model, torch.bfloat16)
    with torch.inference_mode():
        maps = [
            torch.cat([head.encode(part) for part in extract_features(
                trunk, files, [(192, 256)] * len(files),
                lambda file: read_image(file, scale_to=None), torch.device("cpu"),
            )])
            for files in sides
        ]  # fmt: skip
        rows = torch.nn.functional.normalize(maps[0], dim=1).permute(0, 2, 3, 1)
        pool = initial_pool(
            rows.reshape(-1, CHANNELS).numpy(), num_clusters=CLUSTERS, vlad_version=1, seed=0
        )
        head.load_state_dict(head.state_dict() | pool)
        return [head.pool(each).numpy() for each in maps]


def test_the_default_network_is_far_above_thumbnail_and_histogram(tmp_path: Path) -> None:
    difficulty = read_yaml(Path("params.yaml"))["sample"]["difficulty"]
    database, query = draw_set(
        tmp_path / "set", num_database=80, num_query=60, num_off_map=0, length_m=800,
        size_px=(256, 192), difficulty=difficulty, seed=0,
    )  # fmt: skip
    sides = [[tmp_path / "set" / name for name in side.paths] for side in (database, query)]
    positives = find_positives(database.coordinates, query.coordinates, radius_m=25)
    pairs = {
        "network": network(*sides),
        "thumbnail": [describe(side, thumbnail) for side in sides],
        "histogram": [describe(side, histogram) for side in sides],
    }
    recall = {
        name: recall_at([1], rank_database(*pair, top_k=1)[0], positives)[1]
        for name, pair in pairs.items()
    }
    # Trivial descriptors find a place or two more than chance (a photo has 5 or 6 positives of 80).
    assert recall["network"] > 3 * max(recall["thumbnail"], recall["histogram"]), recall
    assert recall["network"] < 0.9, recall  # a better setting must have room to show
