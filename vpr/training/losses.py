"""Losses that the head trains with, each by its name in `finetune.loss`."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

# Of multi-similarity, as GSV-Cities has them (Ali-bey et al., Neurocomputing 2022).
ALPHA, BETA, BASE, EPSILON = 1.0, 50.0, 0.0, 0.1


def triplet_loss(anchor: Tensor, positive: Tensor, negative: Tensor, margin: float) -> Tensor:
    """Compute max(0, d(anchor, positive) - d(anchor, negative) + margin) of each triplet.

    Arandjelović et al., CVPR 2016, section 4, by the Euclidean distance in place of its square,
    as in the challenge's code.

    Args:
        anchor: Unit descriptors, shape (T, dim).
        positive: Of the same place, same shape.
        negative: Of another place, same shape.
        margin: Euclidean distance.

    Returns:
        Shape (T,).
    """
    losses: Tensor = nn.TripletMarginLoss(margin=margin, reduction="none")(
        anchor, positive, negative
    )
    return losses


Loss = Callable[[Tensor, Tensor, Tensor, float], Tensor]
BatchLoss = Callable[[Tensor, Tensor], Tensor]


def make_batch_loss(name: str, *, margin: float, mined: bool) -> BatchLoss:
    """Make the loss of a batch of places, by pytorch-metric-learning.

    triplet: the mean of max(0, d(a, p) - d(a, n) + margin) over all triplets of the batch; mined,
    over one for each image, of its nearest positive and its nearest negative (easy positive and
    hard negative, Xuan et al., WACV 2020), without those that are 0. contrastive: the mean of d
    over pairs of one place, plus the mean of max(0, margin - d) over the others, each over those
    above 0 (Hadsell et al., CVPR 2006, by the distance in place of its square). multi_similarity:
    Wang et al., CVPR 2019, equation 15. These two take all pairs of the batch, or mined the paper's
    (equations 11 and 12): a negative that is nearer than the farthest positive, and a positive that
    is farther than the nearest negative, up to 0.1 of cosine.

    Args:
        name: triplet, multi_similarity or contrastive.
        margin: Euclidean distance, of triplet and contrastive.
        mined: Whether to choose pairs, or take all.

    Returns:
        A function of unit descriptors (N, dim) and the number of each one's place (N,) to the
        loss; a batch without a pair that counts gives 0, with zero gradients.
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
        found: Tensor = loss(descriptors, places, pairs)
        return found + 0 * descriptors.sum()  # a loss of nothing still has a gradient

    return measure


def measure_distances(descriptors: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
    """Measure how far images of one place are apart, and how near those of others.

    Args:
        descriptors: Shape (N, dim).
        places: Number of each one's place, shape (N,).

    Returns:
        Euclidean distances of all pairs of one place, and of each image to the nearest of another
        place; either may be empty.
    """
    distances = torch.cdist(descriptors, descriptors)
    same = places[:, None] == places[None]
    nearest = distances.masked_fill(same, torch.inf).amin(dim=1)
    return distances[same.triu(diagonal=1)], nearest[nearest.isfinite()]


LOSSES: dict[str, Loss] = {"triplet": triplet_loss}
