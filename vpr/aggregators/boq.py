"""BoQ: a bag of learned queries that attend to the local features."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

MARK = "proj_c.weight"  # a tensor that no other aggregator has
NUM_BLOCKS = 2
NUM_QUERIES = 64  # of each block
NUM_ROWS = 32  # values of each channel in a descriptor
HEAD_DIM = 64  # channels of one attention head
DIM = 512 * NUM_ROWS


class Block(nn.Module):
    """Local features attend to each other, queries to each other, then queries to features.

    Args:
        dim: Channels d.
        num_queries: Learned queries.
    """

    def __init__(self, dim: int, num_queries: int) -> None:
        """Make the layers, with torch's usual weights and normal queries."""
        super().__init__()
        heads = dim // HEAD_DIM
        self.encoder = nn.TransformerEncoderLayer(
            dim, heads, dim_feedforward=4 * dim, dropout=0, batch_first=True
        )
        self.queries = nn.Parameter(torch.randn(1, num_queries, dim))
        self.self_attn = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.norm_q = nn.LayerNorm(dim)
        self.cross_attn = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.norm_out = nn.LayerNorm(dim)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Features (N, P, d) for the next block, and what the queries found (N, 64, d)."""
        features = self.encoder(features)
        queries = self.queries.expand(len(features), -1, -1)
        attended, _ = self.self_attn(queries, queries, queries, need_weights=False)
        queries = self.norm_q(queries + attended)
        found, _ = self.cross_attn(queries, features, features, need_weights=False)
        return features, self.norm_out(found)


class BoQ(nn.Module):
    """Two blocks of queries, whose answers a linear layer mixes.

    Ali-bey, Chaib-draa and Giguère, "BoQ: A Place is Worth a Bag of Learnable Queries", CVPR 2024,
    section 3, under the names of the authors' code.

    Args:
        channels: C of the map.
        dim: Channels d that the queries attend to, a multiple of 64.
        num_queries: Learned queries of each block.
        num_rows: Values of each channel in a descriptor.
    """

    def __init__(self, channels: int, dim: int, *, num_queries: int, num_rows: int) -> None:
        """Make the layers."""
        super().__init__()
        self.channels = channels
        self.proj_c = nn.Conv2d(channels, dim, kernel_size=3, padding=1)
        self.norm_input = nn.LayerNorm(dim)
        self.boqs = nn.ModuleList(Block(dim, num_queries) for _ in range(NUM_BLOCKS))
        self.fc = nn.Linear(NUM_BLOCKS * num_queries, num_rows)

    def forward(self, features: Tensor) -> Tensor:
        """Unit rows (N, d * 32) of maps (N, C, H, W), float32; the rows of a channel together."""
        tokens = self.norm_input(self.proj_c(features).flatten(2).transpose(1, 2))  # (N, P, d)
        answers = []
        for block in self.boqs:
            tokens, found = block(tokens)
            answers.append(found)
        rows = self.fc(torch.cat(answers, dim=1).transpose(1, 2))  # (N, d, 32)
        return functional.normalize(rows.flatten(1), dim=1)


def make_aggregator(state: Mapping[str, Tensor]) -> BoQ:
    """Make the layer, its sizes read from the tensors; they are not loaded."""
    dim, channels = state["proj_c.weight"].shape[:2]
    num_queries = state["boqs.0.queries"].shape[1]
    return BoQ(channels, dim, num_queries=num_queries, num_rows=len(state["fc.weight"]))


def draw_aggregator(channels: int, out_dim: int | None) -> BoQ:
    """Make the layer with its first tensors.

    Raises:
        ValueError: If the values do not make whole attention heads.
    """
    width, step = out_dim or DIM, NUM_ROWS * HEAD_DIM
    if width % step:
        raise ValueError(f"finetune.descriptor_dim = {width}: boq needs a multiple of {step}")
    return BoQ(channels, width // NUM_ROWS, num_queries=NUM_QUERIES, num_rows=NUM_ROWS)


def descriptor_width(channels: int, *, num_clusters: int, out_dim: int | None) -> int:
    """The values asked for, or by default those of the published ResNet-50."""
    return out_dim or DIM
