"""Losses of training: on triplets, and on places by their names in `finetune.loss`."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

# Of the multi-similarity loss, as in GSV-Cities (Ali-bey et al., Neurocomputing 2022).
ALPHA, BETA, BASE, EPSILON = 1.0, 50.0, 0.0, 0.1


class Measured(NamedTuple):
    """Losses of a batch, and distances in it.

    Args:
        losses: Of each triplet, or one of all places; their mean is what a step lowers.
        active: Whether each triplet's loss is above 0, or each image has a gradient.
        near: Euclidean distances of positives.
        far: Euclidean distances of negatives.
    """

    losses: Tensor
    active: Tensor
    near: Tensor
    far: Tensor


def measure_triplets(descriptors: Tensor, triplets: Tensor, *, margin: float) -> Measured:
    """Compute max(0, d(anchor, positive) - d(anchor, negative) + margin) of each triplet.

    Arandjelović et al., CVPR 2016, section 4, with the Euclidean distance instead of its square, as
    in the challenge's code.

    Args:
        descriptors: Unit rows (N, dim).
        triplets: Rows of anchor, positive and negative, shape (T, 3).
        margin: Euclidean distance.
    """
    anchor, near, far = descriptors[triplets].unbind(1)  # (T, dim)
    losses = functional.triplet_margin_loss(anchor, near, far, margin=margin, reduction="none")
    distance = functional.pairwise_distance
    return Measured(losses, losses > 0, distance(anchor, near), distance(anchor, far))


BatchLoss = Callable[[Tensor, Tensor], Tensor]


def make_batch_loss(name: str, *, margin: float, mined: bool) -> BatchLoss:
    """Make the loss of a batch of places, by pytorch-metric-learning.

    triplet: the mean of max(0, d(a, p) - d(a, n) + margin) over all triplets of the batch; mined,
    over one for each image, of its nearest positive and its nearest negative (easy positive and
    hard negative, Xuan et al., WACV 2020), without those that are 0. contrastive: the mean of d
    over pairs of one place, plus the mean of max(0, margin - d) over the others, each over those
    above 0 (Hadsell et al., CVPR 2006, with the distance instead of its square). multi_similarity:
    Wang et al., CVPR 2019, equation 15. These two take all pairs of the batch, or mined the paper's
    (equations 11 and 12): a negative that is nearer than the farthest positive, and a positive that
    is farther than the nearest negative, up to 0.1 of cosine.

    Args:
        name: triplet, multi_similarity or contrastive.
        margin: Margin of triplet and contrastive, a Euclidean distance.
        mined: Whether to mine pairs instead of taking all.

    Returns:
        Function of unit descriptors (N, dim) and their place numbers (N,) that returns the loss; a
        batch without a pair that counts gives 0, with zero gradients.
    """
    from pytorch_metric_learning import distances, losses, miners, reducers

    euclidean, cosine = distances.LpDistance(), distances.CosineSimilarity()
    miner = miners.MultiSimilarityMiner(epsilon=EPSILON, distance=cosine)
    if name == "triplet":
        reducer = reducers.AvgNonZeroReducer() if mined else reducers.MeanReducer()
        miner = miners.BatchEasyHardMiner("easy", "hard", distance=euclidean)
        loss = losses.TripletMarginLoss(margin=margin, distance=euclidean, reducer=reducer)
    elif name == "contrastive":
        loss = losses.ContrastiveLoss(pos_margin=0, neg_margin=margin, distance=euclidean)
    else:
        loss = losses.MultiSimilarityLoss(alpha=ALPHA, beta=BETA, base=BASE, distance=cosine)

    def measure(descriptors: Tensor, places: Tensor) -> Tensor:
        pairs = miner(descriptors, places) if mined else None
        value: Tensor = loss(descriptors, places, pairs)
        return value + 0 * descriptors.sum()  # without pairs there is still a gradient, of 0

    return measure


def measure_places(descriptors: Tensor, places: Tensor, *, loss: BatchLoss) -> Measured:
    """Compute the loss of a batch of places, and distances within and between them.

    Args:
        descriptors: Unit rows (N, dim).
        places: Place number of each descriptor, shape (N,).
        loss: Made by `make_batch_loss`.

    Returns:
        The one loss, the distances of all pairs of one place, and of each image to the nearest of
        another place; either may be empty.
    """
    value = loss(descriptors, places)
    (gradient,) = torch.autograd.grad(value, descriptors, retain_graph=True)
    distances = torch.cdist(descriptors.detach(), descriptors.detach())
    same = places[:, None] == places[None]
    nearest = distances.masked_fill(same, torch.inf).amin(dim=1)
    return Measured(
        value[None], gradient.ne(0).any(dim=1), distances[same.triu(diagonal=1)],
        nearest[nearest.isfinite()],
    )  # fmt: skip
