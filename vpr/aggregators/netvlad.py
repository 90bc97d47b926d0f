"""NetVLAD: local features of any width -> one descriptor."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

MARK = "centroids"  # a tensor that no other aggregator has


class NetVLAD(nn.Module):
    """Soft-assigned, aggregated residuals to cluster centroids.

    Arandjelović et al., CVPR 2016, equation 4, in the form of the public pytorch-NetVlad: soft
    assignment by a 1x1 convolution (without a bias: "vladv1"), residuals to the centroids. The
    sum over positions is two matrix products, a x' - (sum a) c, in place of a loop over clusters,
    and (N, K, C, positions) never exists in memory.

    Args:
        num_clusters: K.
        dim: C, channels of a local feature.
        with_bias: Whether the assignment has a bias ("vladv2").
    """

    def __init__(self, num_clusters: int, dim: int, *, with_bias: bool) -> None:
        """Make the layer; its weights are not initialised."""
        super().__init__()
        self.conv = nn.Conv2d(dim, num_clusters, kernel_size=1, bias=with_bias)
        self.centroids = nn.Parameter(torch.empty(num_clusters, dim))

    def assign(self, unit: Tensor) -> Tensor:
        """Soft assignment of unit local features (N, C, H, W) to clusters, (N, K, H * W).

        It sums to 1 over the clusters at each position.
        """
        assignment: Tensor = self.conv(unit).flatten(2).softmax(dim=1)
        return assignment

    def forward(self, features: Tensor) -> Tensor:
        """Compute descriptors of feature maps.

        Args:
            features: Shape (N, C, H, W), float32.

        Returns:
            Unit rows of shape (N, K * C), cluster after cluster.
        """
        unit = functional.normalize(features, dim=1)
        assignment = self.assign(unit)  # (N, K, P)
        positions = unit.flatten(2).transpose(1, 2)  # (N, P, C)
        mass = assignment.sum(dim=2)[:, :, None]  # (N, K, 1)
        residuals = assignment @ positions - mass * self.centroids  # (N, K, C)
        blocks = functional.normalize(residuals, dim=2)  # intra-normalisation
        return functional.normalize(blocks.flatten(1), dim=1)  # (N, K * C)


def make_aggregator(state: Mapping[str, Tensor]) -> NetVLAD:
    """Make the layer, its sizes read from the tensors; they are not loaded.

    Raises:
        ValueError: If there are no clusters.
    """
    if "centroids" not in state:
        raise ValueError("the model has no pool.centroids: it was never initialised")
    num_clusters, dim = state["centroids"].shape
    return NetVLAD(num_clusters, dim, with_bias="conv.bias" in state)


def descriptor_width(channels: int, *, num_clusters: int, out_dim: int | None) -> int:
    """Clusters times channels."""
    return num_clusters * channels
