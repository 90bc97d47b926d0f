"""The head, which trains: the last modules of the encoder and the pool, features -> descriptor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vpr.features.batches import positions_per_batch, run_batch
from vpr.features.encoder import Encoder, make_trainable
from vpr.features.local_features import LocalFeatures, batches_of_one_shape
from vpr.features.model import Model
from vpr.network.aggregator import Clustering, make_pool


class Head(nn.Module):
    """The encoder from one layer on, and the pool, under the reference's key names.

    Args:
        split: The layer whose input the stored features are.
    """

    def __init__(self, maker: Encoder, split: str, pool: nn.Module) -> None:
        """Make the layers; their weights are not initialised."""
        super().__init__()
        self.encoder, self.num_scales = make_trainable(maker, split), maker.num_scales
        self.pool = pool

    def encode(self, features: Tensor) -> Tensor:
        """Run the rest of the encoder on stored features.

        Convolutions compute in the precision of the stored features where that is safe: from
        bfloat16 features in bfloat16, by autocast, with weights, gradients of weights and optimizer
        in float32. From float16 they compute in float32: gradients of that type would fall below
        its smallest number.

        Args:
            features: Stored features, shape (N, C', H, W), float32, bfloat16 or float16.

        Returns:
            Local features of the whole encoder, shape (N, C, H, W), float32.
        """
        low = features.dtype == torch.bfloat16
        with torch.autocast(features.device.type, torch.bfloat16, enabled=low):
            maps: Tensor = self.encoder(features if low else features.float())
        return maps.float()

    def forward(self, features: Tensor) -> Tensor:
        """Unit descriptors (N, D), float32, of stored features (N, C', H, W)."""
        descriptors: Tensor = self.pool(self.encode(features))
        return descriptors

    def netvlad(self) -> Clustering:
        """Return the pool, for callers that need its clusters.

        Raises:
            ValueError: If the pool has no clusters.
        """
        if not isinstance(self.pool, Clustering):
            raise ValueError(
                "NetVLAD's clusters are needed, and the model has none: set finetune.aggregator to "
                "netvlad, or utility.keep to all"
            )
        return self.pool


def load_head(model: Model) -> Head:
    """Make the head of a model, with sizes read from its tensors.

    Tensors of the frozen part and of the whitening are ignored.

    Returns:
        The head in evaluation mode, which training uses too: dropout would not be repeatable.

    Raises:
        ValueError: If a tensor is missing or has another shape.
    """
    state = model.tensors
    head = Head(model.make_encoder(), model.split, make_pool(model.aggregator, state))
    names = head.state_dict().keys()
    try:
        head.load_state_dict({name: state[name] for name in names if name in state}, strict=True)
    except RuntimeError as error:
        raise ValueError(f"the model does not fit the network: {error}") from None
    return head.eval().to(memory_format=torch.channels_last)


def extract_descriptors(
    head: Head, features: LocalFeatures, images: Sequence[int], device: torch.device
) -> Iterator[NDArray[np.float32]]:
    """Compute descriptors from stored local features.

    `images` are indices, and `features` has at least those. The head is in evaluation mode.

    Yields:
        Unit rows (N, dim) of neighbouring images of one size, in order.
    """
    head = head.to(device)
    shapes = features.shapes[np.asarray(images)]
    for run in batches_of_one_shape(shapes, max_area=positions_per_batch(device)):
        with torch.inference_mode():
            maps = features.maps([images[position] for position in run]).to(device)
            yield run_batch(head, maps).cpu().numpy()
