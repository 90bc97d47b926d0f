"""Initial clusters of NetVLAD, from local features of the database."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits
from torch import Tensor

from vpr.features.batches import positions_per_batch
from vpr.features.local_features import LocalFeatures, batches_of_one_shape
from vpr.network.head import Head

NUM_SAMPLES = 50_000  # as in the references: 500 images x 100 positions
MAX_IMAGES = 500
SOFTNESS = 0.01  # weight of the second-nearest cluster, relative to the nearest's


def sample_encoded(
    head: Head, features: LocalFeatures, *, seed: int, device: torch.device
) -> NDArray[np.float32]:
    """Unit local features at random positions of database images, after the whole encoder.

    The references take 100 positions of each of 500 images; a smaller set gives more of each. Only
    the encoder part of the head runs.

    Returns:
        Unit rows of shape (at most about 50,000, C).
    """
    rng = np.random.default_rng(seed)
    num_images = len(features.shapes)
    images = np.sort(rng.permutation(num_images)[:MAX_IMAGES])
    per_image = math.ceil(NUM_SAMPLES / len(images))
    head = head.to(device)
    samples = []
    shapes = features.shapes[images]
    for run in batches_of_one_shape(shapes, max_area=positions_per_batch(device)):
        with torch.inference_mode():
            maps = head.encode(features.maps(images[run].tolist()).to(device))
            rows = torch.nn.functional.normalize(maps, dim=1).flatten(2).transpose(1, 2)
        for image in rows.cpu().numpy():  # (P, C)
            samples.append(image[rng.permutation(len(image))[:per_image]])
    return np.concatenate(samples)


def initial_pool(
    samples: NDArray[np.float32], *, num_clusters: int, vlad_version: int, seed: int
) -> dict[str, Tensor]:
    """NetVLAD's tensors such that soft assignment starts close to k-means' hard one.

    Centroids c come from k-means. Version 1, as in the challenge's code, assigns by cosine: weights
    alpha * c / |c|. Version 2 is that of the paper (Arandjelović et al., CVPR 2016, equation 3) and
    of its MATLAB code, which assigns by distance: weights 2 alpha c, biases -alpha |c|^2. The
    public Python port has three errors there: it squares the neighbours' indices instead of their
    distances, looks for the neighbours of centroids among the samples, and uses the norm instead of
    its square. Alpha is such that the second-nearest cluster weighs about 1 % of the nearest on
    average over the samples.

    Args:
        samples: Unit local features, shape (num_samples, C); rows of zeros are left out.
        num_clusters: K.
        vlad_version: 1 or 2.
        seed: Seed of k-means.

    Returns:
        `pool.conv.weight` (K, C, 1, 1), for version 2 `pool.conv.bias` (K,), and `pool.centroids`
        (K, C), float32.

    Raises:
        ValueError: If there are fewer samples than clusters, or the samples are all alike.
    """
    samples = samples[samples.any(axis=1)]  # of zero length: they have no direction
    if len(samples) < num_clusters:
        raise ValueError(
            f"finetune.num_clusters = {num_clusters}: the database has only {len(samples)} "
            f"local features to form clusters of"
        )
    with threadpool_limits(1):  # the order of sums, and so the bits, without a race
        means = KMeans(num_clusters, n_init=1, max_iter=100, random_state=seed).fit(samples)
    centroids = means.cluster_centers_.astype(np.float32)
    lengths = np.linalg.norm(centroids, axis=1)
    if vlad_version == 1:
        weight, bias = centroids / lengths[:, None], np.zeros_like(lengths)
    else:
        weight, bias = 2 * centroids, -(lengths**2)
    alpha = _sharpness(samples @ weight.T + bias) if num_clusters > 1 else 1.0
    pool = {"pool.conv.weight": torch.from_numpy(alpha * weight).float()[:, :, None, None]}
    if vlad_version == 2:
        pool["pool.conv.bias"] = torch.from_numpy(alpha * bias).float()
    return pool | {"pool.centroids": torch.from_numpy(centroids)}


def _sharpness(likeness: NDArray[np.float32]) -> float:
    nearest = np.partition(likeness, -2, axis=1)[:, -2:]  # (num_samples, 2), ascending
    gap = float(np.mean(nearest[:, 1] - nearest[:, 0], dtype=np.float64))
    if gap <= 0:
        raise ValueError(
            "the local features of the database are all alike (mean gap between the two nearest "
            f"clusters is {gap}): are the images blank, or the weights damaged?"
        )
    return -math.log(SOFTNESS) / gap
