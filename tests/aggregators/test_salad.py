"""SALAD equals a slow reading of its definition."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.support.slow_layers import Array, Weights, check_unit, images, linear
from vpr.aggregators.salad import SALAD, draw_aggregator, make_aggregator
from vpr.network.aggregator import descriptor_width

CLUSTERS, ITERATIONS = 3, 3


def small(out_dim: int | None) -> SALAD:
    return SALAD(5, num_clusters=CLUSTERS, cluster_dim=4, token_dim=7, out_dim=out_dim)


def two_layers(weights: Weights, first: str, second: str, values: Array) -> Array:
    def apply(name: str, rows: Array) -> Array:
        kernel = weights[f"{name}.weight"]
        return rows @ kernel.reshape(kernel.shape[:2]).T + weights[f"{name}.bias"]

    return apply(second, np.maximum(apply(first, values), 0))


def shares_of(scores: Array, dust_bin: float) -> Array:
    """Transport (clusters, positions), by sums of exponentials over rows and columns in turn."""
    count = scores.shape[1]
    full = np.exp(np.vstack([scores, np.full(count, dust_bin)]))
    mass = 1 / (count + CLUSTERS)
    rows = [mass] * CLUSTERS + [mass * (count - CLUSTERS)]
    down, across = np.ones(CLUSTERS + 1), np.ones(count)
    for _ in range(ITERATIONS):
        for row in range(CLUSTERS + 1):
            down[row] = rows[row] / sum(full[row] * across)
        for column in range(count):
            across[column] = mass / sum(full[:, column] * down)
    return (down[:, None] * full * across)[:-1] / mass


@pytest.mark.parametrize("out_dim", [None, 6])  # MegaLoc has a linear layer
def test_positions_are_shared_among_clusters_and_the_token_comes_first(out_dim: int | None) -> None:
    layer = small(out_dim)
    weights = Weights(layer)
    for batch, image in images(5, 3, 4):  # a row of the token and 8 positions
        batch[:, :, 0, 1:] = 0
        positions = image[:, 1:].reshape(5, 8).T
        scores = two_layers(weights, "score.0", "score.3", positions).T
        shares = shares_of(scores, float(weights["dust_bin"]))
        features = two_layers(weights, "cluster_features.0", "cluster_features.3", positions)
        clusters = np.zeros((4, CLUSTERS))
        for cluster in range(CLUSTERS):
            for share, feature in zip(shares[cluster], features, strict=True):
                clusters[:, cluster] += share * feature
        clusters /= np.sqrt((clusters**2).sum(axis=0))
        token = two_layers(weights, "token_features.0", "token_features.2", image[:, 0, 0])
        expected = np.concatenate([token / np.sqrt((token**2).sum()), clusters.ravel()])
        if out_dim is not None:
            unit = expected / np.sqrt((expected**2).sum())
            expected = linear(weights, "linear", unit)
        check_unit(layer(batch), expected)
    assert not weights.left


def test_published_sizes_are_made_and_read() -> None:
    with torch.device("meta"):
        salad = draw_aggregator(768, None).state_dict()
        sizes = {"num_clusters": 64, "cluster_dim": 256, "token_dim": 256, "out_dim": 8448}
        megaloc = SALAD(768, **sizes).state_dict()
        again = [make_aggregator(state).state_dict() for state in (salad, megaloc)]
    for state, made in zip((salad, megaloc), again, strict=True):
        assert {n: t.shape for n, t in made.items()} == {n: t.shape for n, t in state.items()}
    assert megaloc["linear.weight"].shape == (8448, 16640)
    assert salad["cluster_features.3.weight"].shape == (128, 512, 1, 1)
    assert descriptor_width("salad", 768, num_clusters=64, out_dim=None) == 8448


def test_a_map_without_the_token_is_refused_with_what_to_set() -> None:
    with pytest.raises(ValueError, match=r"needs the class token .*vit_base_patch14_dinov2\+token"):
        small(None)(torch.ones(1, 5, 3, 4))
    with pytest.raises(ValueError, match=r"needs more than 3 positions, found 3"):
        small(None)(torch.zeros(1, 5, 2, 3))
