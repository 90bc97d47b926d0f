"""Losses that the head trains with, each by its name in `finetune.loss`."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn


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
LOSSES: dict[str, Loss] = {"triplet": triplet_loss}
