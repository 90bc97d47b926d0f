"""Responses of NetVLAD's clusters to a photo, and each position's contribution to a match."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from vpr.network.head import Head


def cluster_responses(
    head: Head, features: Tensor, match: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Soft assignment of each position, and each position's share in the similarity to a match.

    A descriptor is a sum over positions, normalised: its dot product with a database image's
    descriptor is exactly a sum of one term for each position.

    `features` are those of one photo, shape (1, C', H, W), and `match` is the descriptor of the
    database image, shape (K * C,).

    Returns:
        Assignment (K, H', W'), averaged over the scales, which sums to 1 at each position, and
        shares (H', W'), summed over the scales, which sum to the dot product of the two
        descriptors.
    """
    pool = head.netvlad()
    with torch.inference_mode():
        maps = head.encode(features)
        height, width = maps.shape[2:]
        unit = functional.normalize(maps, dim=1)
        assignment = pool.assign(unit)[0]  # (K, P)
        positions = unit.flatten(2)[0].T  # (P, C)
        residuals = assignment @ positions - assignment.sum(1, keepdim=True) * pool.centroids
        lengths = residuals.norm(dim=1, keepdim=True).clamp_min(1e-12)  # (K, 1)
        whole = (residuals / lengths).norm().clamp_min(1e-12)
        towards = (
            torch.from_numpy(np.array(match)).to(maps.device).view_as(residuals) / lengths / whole
        )  # (K, C)
        at_centroids = (towards * pool.centroids).sum(dim=1, keepdim=True)  # (K, 1)
        shares = (assignment * (towards @ positions.T - at_centroids)).sum(dim=0)  # (P,)
    grid = (head.num_scales, height // head.num_scales, width)
    means = assignment.view(-1, *grid).mean(dim=1)  # (K, H', W')
    return means.cpu().numpy(), shares.view(grid).sum(dim=0).cpu().numpy()
