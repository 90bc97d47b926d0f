"""Initial clusters of NetVLAD, from local features of the database.

Choices depend on the features, not on the order of images: the same images in any order give the
same clusters, and one more image changes few of them.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from torch import Tensor

from vpr.features.local_features import LocalFeatures
from vpr.network.head import Head
from vpr.runtime.store import content_key

NUM_SAMPLES = 50_000  # as in the references: 500 images x 100 positions
MAX_IMAGES = 500
STEP = np.uint64(0x9E3779B97F4A7C15)  # of splitmix64, as are the numbers below
SOFTNESS = 0.01  # weight of the second-nearest cluster, relative to the nearest's


def sample_encoded(
    head: Head, features: LocalFeatures, *, seed: int, device: torch.device
) -> NDArray[np.float32]:
    """Unit local features at random positions of database images, after the whole encoder.

    The references take 100 positions of each of 500 images; a smaller set gives more of each. Only
    the encoder part of the head runs. The images are those of the lowest hashes (bottom-k sampling:
    Cohen and Kaplan, PODC 2007), so one more of N images changes the sample with a probability of
    500 / N; if all are taken, it adds its own positions, and each other image may lose one.

    Returns:
        Unit rows of shape (at most about 50,000, C).
    """
    keys = [_image_key(features, image, seed) for image in range(len(features.shapes))]
    images = sorted(range(len(keys)), key=keys.__getitem__)[:MAX_IMAGES]
    per_image = math.ceil(NUM_SAMPLES / len(images))
    head = head.to(device)
    samples = []
    for image in images:  # not in batches, of which last bits would depend
        with torch.inference_mode():
            maps = head.encode(features.maps([image]).to(device))
            rows = torch.nn.functional.normalize(maps, dim=1)[0].flatten(1).T.cpu().numpy()
        rng = np.random.default_rng(int(keys[image], 16))
        samples.append(rows[rng.permutation(len(rows))[:per_image]])  # (P, C) -> (per_image, C)
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
    from sklearn.cluster import KMeans  # here, since it takes a second to import

    samples = samples[samples.any(axis=1)]  # of zero length: they have no direction
    if len(samples) < num_clusters:
        raise ValueError(
            f"finetune.num_clusters = {num_clusters}: the database has only {len(samples)} "
            f"local features to form clusters of"
        )
    draws = _row_hashes(samples, seed)
    order = np.argsort(draws, kind="stable")
    samples, draws = samples[order], draws[order]
    with threadpool_limits(1):  # the order of sums, and so the bits, without a race
        first = samples[draw_rows(samples, draws, num_clusters)]
        means = KMeans(num_clusters, init=first, n_init=1, max_iter=100).fit(samples)
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


def draw_rows(samples: NDArray[np.float32], draws: NDArray[np.uint64], count: int) -> list[int]:
    """Draw the rows that k-means starts from, far from each other: k-means++.

    The first is drawn uniformly, each other with a probability proportional to its squared distance
    from the nearest row drawn before (Arthur and Vassilvitskii, SODA 2007). The draw takes the row
    with the smallest ratio of an exponential variate, a hash of the row, to its weight (Efraimidis
    and Spirakis, 2006); so one more row is usually not drawn, and then changes nothing. There is
    one trial per draw: with the best of several, as in scikit-learn, small changes of their sums
    would decide.

    Args:
        samples: Unit rows, shape (num_samples, C).
        draws: Hash of each row, shape (num_samples,).
        count: Rows to draw.

    Returns:
        Indices of the rows, in the order they were drawn.
    """
    rows = [int(np.argmin(draws))]
    left = _squares(samples, rows[0])  # to the nearest row so far
    while len(rows) < count:
        waits = _exponentials(draws ^ _mix(np.array([len(rows)], np.uint64)))
        never = np.full_like(waits, np.inf)
        rows.append(int(np.divide(waits, left, where=left > 0, out=never).argmin()))
        left = np.minimum(left, _squares(samples, rows[-1]))
    return rows


def _image_key(features: LocalFeatures, image: int, seed: int) -> str:
    """Hash the middle position of an image, so that of a million images little is read."""
    rows = features.rows.of(image)
    form = repr((seed, features.shapes[image].tolist())).encode()
    return content_key(form, rows[len(rows) // 2].tobytes())


def _row_hashes(rows: NDArray[np.float32], seed: int) -> NDArray[np.uint64]:
    start = hashlib.blake2b(repr(seed).encode(), digest_size=8)
    hashes = []
    for row in np.ascontiguousarray(rows):
        digest = start.copy()
        digest.update(row)
        hashes.append(digest.digest())
    return np.frombuffer(b"".join(hashes), np.uint64)


def _mix(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spread bits by splitmix64 (Steele, Lea and Flood, OOPSLA 2014)."""
    numbers = numbers + STEP
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: NDArray[np.uint64] = numbers ^ (numbers >> np.uint64(31))
    return mixed


def _exponentials(numbers: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Turn any numbers into exponential variates of mean 1."""
    evenly = ((_mix(numbers) >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53  # in (0, 1)
    variates: NDArray[np.float64] = -np.log(evenly)
    return variates


def _squares(samples: NDArray[np.float32], row: int) -> NDArray[np.float32]:
    """Compute the squared distance of each unit row from one of them, shape (num_samples,)."""
    squares: NDArray[np.float32] = np.maximum(2 - 2 * (samples @ samples[row]), 0)
    squares[row] = 0  # exactly
    return squares


def _sharpness(likeness: NDArray[np.float32]) -> float:
    nearest = np.partition(likeness, -2, axis=1)[:, -2:]  # (num_samples, 2), ascending
    gap = float(np.mean(nearest[:, 1] - nearest[:, 0], dtype=np.float64))
    if gap <= 0:
        raise ValueError(
            "the local features of the database are all alike (mean gap between the two nearest "
            f"clusters is {gap}): are the images blank, or the weights damaged?"
        )
    return -math.log(SOFTNESS) / gap
