"""SALAD: features are assigned to clusters by optimal transport, beside a global token."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

MARK = "dust_bin"  # a tensor that no other aggregator has
SIZES = ("num_clusters", "cluster_dim", "token_dim")
HIDDEN, ITERATIONS = 512, 3
DIM = 64 * 128 + 256  # of the published sizes, which are the defaults below


class SALAD(nn.Module):
    """Clusters whose shares of the positions come from optimal transport, with a dustbin.

    Izquierdo and Civera, "Optimal Transport Aggregation for Visual Place Recognition", CVPR 2024,
    section 3, under the names of the authors' code. With a linear layer as in MegaLoc (Berton and
    Masone, 2025). The map's first row holds the encoder's class token and zeros.

    Args:
        channels: C of the map.
        out_dim: Outputs of the linear layer; None: no layer.
        num_clusters: Clusters m, fewer than there are positions.
        cluster_dim: Channels l of each cluster.
        token_dim: Values of the token.
    """

    def __init__(
        self,
        channels: int,
        *,
        out_dim: int | None,
        num_clusters: int = 64,
        cluster_dim: int = 128,
        token_dim: int = 256,
    ) -> None:
        """Make the layers, with torch's usual weights and a dustbin score of 1."""
        super().__init__()
        self.channels, self.num_clusters = channels, num_clusters
        self.cluster_features = _convolutions(channels, cluster_dim)
        self.score = _convolutions(channels, num_clusters)
        self.token_features = nn.Sequential(
            nn.Linear(channels, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, token_dim)
        )
        self.dust_bin = nn.Parameter(torch.tensor(1.0))
        width = num_clusters * cluster_dim + token_dim
        self.linear = None if out_dim is None else nn.Linear(width, out_dim)

    def forward(self, features: Tensor) -> Tensor:
        """Unit rows (N, D) of maps (N, C, 1 + H, W), float32: the token, then l rows of clusters.

        Raises:
            ValueError: If the first row is not a token's, or there are too few positions.
        """
        first, patches = features[:, :, 0], features[:, :, 1:]  # (N, C, W), (N, C, H, W)
        if bool(first[:, :, 1:].any()):
            raise ValueError(
                "finetune.aggregator = salad: needs the class token above the map: set trunk.model "
                "to a transformer with +token, such as vit_base_patch14_dinov2+token"
            )
        found = patches[0, 0].numel()
        if found <= (few := self.num_clusters):
            raise ValueError(
                f"finetune.aggregator = salad: needs more than {few} positions, found {found}"
            )
        shares = transport(self.score(patches).flatten(2), self.dust_bin)  # (N, m, n)
        clusters = self.cluster_features(patches).flatten(2) @ shares.transpose(1, 2)  # (N, l, m)
        parts = (self.token_features(first[:, :, 0]), clusters)
        rows = torch.cat([functional.normalize(part, dim=1).flatten(1) for part in parts], dim=1)
        rows = functional.normalize(rows, dim=1)
        return rows if self.linear is None else functional.normalize(self.linear(rows), dim=1)


def transport(scores: Tensor, dust_bin: Tensor) -> Tensor:
    """Shares (N, m, n) of positions in clusters, by Sinkhorn's iterations in logarithms.

    Each position and each cluster has mass 1 / (n + m), the dustbin the other n - m of that; shares
    are in units of that mass.

    Args:
        scores: Scores of clusters at positions, (N, m, n).
        dust_bin: Score of the dustbin for each position.
    """
    batch, num_clusters, num_positions = scores.shape
    full = torch.cat([scores, dust_bin.expand(batch, 1, num_positions)], dim=1)
    each = -math.log(num_positions + num_clusters)
    rows = scores.new_full((num_clusters + 1,), each)
    rows[-1] += math.log(num_positions - num_clusters)
    down, across = torch.zeros_like(full[:, :, 0]), torch.zeros_like(full[:, 0])
    for _ in range(ITERATIONS):
        down = rows - torch.logsumexp(full + across[:, None], dim=2)
        across = each - torch.logsumexp(full + down[:, :, None], dim=1)
    return (full + down[:, :, None] + across[:, None] - each).exp()[:, :-1]


def _convolutions(channels: int, out: int) -> nn.Sequential:
    first, last = nn.Conv2d(channels, HIDDEN, 1), nn.Conv2d(HIDDEN, out, 1)
    return nn.Sequential(first, nn.Identity(), nn.ReLU(), last)  # Identity: the authors' dropout


def make_aggregator(state: Mapping[str, Tensor]) -> SALAD:
    """Make the layer, its sizes read from the tensors; they are not loaded."""
    layers = zip(SIZES, ("score.3", "cluster_features.3", "token_features.2"), strict=True)
    sizes = {size: len(state[f"{layer}.weight"]) for size, layer in layers}
    out_dim = len(state["linear.weight"]) if "linear.weight" in state else None
    return SALAD(state["score.0.weight"].shape[1], out_dim=out_dim, **sizes)


def draw_aggregator(channels: int, out_dim: int | None) -> SALAD:
    """Make the layer with its first tensors; values that are asked for are a linear layer's."""
    return SALAD(channels, out_dim=out_dim)


def descriptor_width(channels: int, *, num_clusters: int, out_dim: int | None) -> int:
    """Outputs of the linear layer, or without one the published model's."""
    return out_dim or DIM
