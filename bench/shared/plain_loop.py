"""A plain notebook's way: one image at a time, float32, all recomputed for each triplet.

Our own version of how the challenge's notebook works, as a baseline: batches of one in NCHW memory,
NetVLAD as a loop over clusters, no workers, no stored features, each triplet through the whole
network.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from bench.shared.photos import CUT
from vpr.encoders.vgg16 import build_layers
from vpr.features.input_rules import MEAN, STD


class PlainClusters(nn.Module):
    """NetVLAD's parameters, under their names in a checkpoint; centroids of shape (K, C)."""

    def __init__(self, centroids: Tensor) -> None:
        """Allocate the weights, without values."""
        super().__init__()
        self.conv = nn.Conv2d(centroids.shape[1], len(centroids), kernel_size=1, bias=False)
        self.centroids = nn.Parameter(torch.empty_like(centroids))


class PlainNetwork(nn.Module):
    """VGG16 and NetVLAD, with the residuals computed cluster by cluster.

    Args:
        state: All tensors of a model, by their names in a checkpoint.
    """

    def __init__(self, state: dict[str, Tensor]) -> None:
        """Load the weights; the layers before conv5 are frozen."""
        super().__init__()
        self.encoder = build_layers(0, 29)
        self.pool = PlainClusters(state["pool.centroids"])
        self.load_state_dict(state)
        for name, parameter in self.encoder.named_parameters():
            parameter.requires_grad = int(name.split(".")[0]) >= CUT

    def forward(self, images: Tensor) -> Tensor:
        """Unit descriptors (N, K * C) of normalised images (N, 3, H, W)."""
        maps = functional.normalize(self.encoder(images), dim=1)
        weights = self.pool.conv(maps).flatten(2).softmax(dim=1)  # (N, K, P)
        flat = maps.flatten(2)  # (N, C, P)
        sums = []
        for cluster, centroid in enumerate(self.pool.centroids):
            residuals = (flat - centroid[:, None]) * weights[:, cluster, None]  # (N, C, P)
            sums.append(residuals.sum(dim=2))
        blocks = functional.normalize(torch.stack(sums, dim=1), dim=2)
        return functional.normalize(blocks.flatten(1), dim=1)


def read_plain(photo: Path) -> Tensor:
    """One photo as the network expects it, (1, 3, H, W)."""
    with Image.open(photo) as image:
        pixels = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1).contiguous()
    mean, std = torch.tensor(MEAN)[:, None, None], torch.tensor(STD)[:, None, None]
    return ((pixels.float() / 255 - mean) / std)[None]


def describe_plain(network: PlainNetwork, photos: Sequence[Path]) -> list[np.ndarray]:
    """Descriptors of photos, one after another."""
    network.eval()
    device = next(network.parameters()).device
    with torch.no_grad():
        return [network(read_plain(photo).to(device)).cpu().numpy()[0] for photo in photos]


def train_plain(network: PlainNetwork, triplets: Sequence[tuple[Path, Path, Path]]) -> None:
    """Train on triplets, one after another; one step for eight, as in the challenge."""
    network.train()
    device = next(network.parameters()).device
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=1e-5, momentum=0.9, weight_decay=0.001)
    criterion = nn.TripletMarginLoss(margin=0.1**0.5)
    for number, triplet in enumerate(triplets, start=1):
        rows = network(torch.cat([read_plain(photo) for photo in triplet]).to(device))
        criterion(*rows[:, None]).backward()
        if number % 8 == 0:
            optimizer.step()
            optimizer.zero_grad()
