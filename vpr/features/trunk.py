"""The trunk: an encoder's frozen part, pixels -> the local features that are stored."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from vpr.features.batches import pixels_per_batch, require_memory
from vpr.features.encoder import (
    ALL,
    POOL,
    Encoder,
    Resizes,
    check_resizing,
    is_fixed,
    make_frozen,
    map_shape,
)
from vpr.features.local_features import batches_of_one_shape
from vpr.features.model import Model
from vpr.images.image_files import Photo, read_size
from vpr.images.known_photos import UNKNOWN, KnownPhotos, known_photos
from vpr.images.pixels import ScaleTo
from vpr.runtime.artefacts import require_space
from vpr.runtime.device import check_precision
from vpr.runtime.resuming import fingerprint


class Trunk(nn.Module):
    """The frozen part of an encoder.

    Args:
        maker: The encoder.
        split: Its first layer that trains.
        precision: Type to compute in and to give the features in; an encoder without weights
            computes in float32.
    """

    def __init__(self, maker: Encoder, split: str, precision: torch.dtype) -> None:
        """Make the layers; their weights are not initialised."""
        super().__init__()
        self.maker, self.split, self.precision = maker, split, precision
        self.encoder = make_frozen(maker, split)

    def forward(self, pixels: Tensor) -> Tensor:
        """Feature maps (N, C, H', W') of RGB (N, H, W, 3), uint8."""
        maps: Tensor = self.encoder(pixels)
        return maps.to(self.precision)

    def map_shape(self, height_px: int, width_px: int) -> tuple[int, int, int]:
        """Shape (C, H', W') of what it makes of one image."""
        return map_shape(self.maker, self.split, height_px, width_px)

    def batches(
        self, sizes: Sequence[tuple[int, int]], device: torch.device
    ) -> Iterator[list[int]]:
        """Split images of these heights and widths, in pixels, into runs of one size and batch."""
        most = pixels_per_batch(device, values_per_pixel=self.maker.values_per_pixel)
        return batches_of_one_shape(sizes, max_area=most, area=self._area)

    def _area(self, height_px: int, width_px: int) -> int:
        """Pixels of an image, or of what the encoder enlarges it to."""
        area = height_px * width_px
        if isinstance(self.maker, Resizes):
            return max(area, math.prod(self.maker.size_seen(height_px, width_px)))
        return area


def load_trunk(model: Model, precision: torch.dtype) -> Trunk:
    """Make the frozen part of a model, ready to run.

    Args:
        model: At least the frozen tensors of a model.
        precision: Type of the features, and of the computations.

    Returns:
        The trunk in evaluation mode and channels_last memory, folded.

    Raises:
        ValueError: If a tensor is missing or has another shape.
    """
    trunk = Trunk(model.make_encoder(), model.split, precision)
    state = {name: model.tensors[name] for name in trunk.state_dict() if name in model.tensors}
    try:
        trunk.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(f"the model does not fit {model.encoder}: {error}") from None
    trunk.eval()
    if trunk.split != ALL:
        trunk.maker.fold(trunk.encoder)  # in float32, before the precision is lost
    return trunk.to(precision).to(memory_format=torch.channels_last)


def known_by_trunk(
    what: str, trunk: Trunk, scale_to: ScaleTo, *, inputs: Sequence[Path], device: torch.device
) -> KnownPhotos:
    """Open the store for what a trunk makes of photos, or what is made of that.

    Args:
        what: What is stored.
        trunk: The trunk, of which all code is imported.
        scale_to: Size that photos are scaled to, as `read_image` takes it.
        inputs: Files of the tensors.
        device: Where the trunk runs.
    """
    if not is_fixed(trunk.maker):
        return UNKNOWN
    seen = what, str(trunk.precision), scale_to
    return known_photos(partial(fingerprint, *seen, inputs=inputs, device=device))


def check_features(
    images: Sequence[Photo],
    sizes: Sequence[tuple[int, int]],
    trunk: Trunk,
    device: torch.device,
    *,
    stored: bool = True,
) -> None:
    """Check that features can be computed and stored, before the first is; print their size.

    Args:
        images: The files, as messages name them.
        sizes: Height and width of each as the trunk will see it, in pixels.
        trunk: The trunk that will make the features.
        device: Where the trunk runs.
        stored: Whether they go to the disk.

    Raises:
        ValueError: If an image is too small for the network or too large for memory, or was scaled
            for an encoder that resizes it again, or the device does not compute in the network's
            precision.
        OSError: If the disk does not hold the features.
    """
    # Without weights it computes in float32; with all they are the head's.
    has_weights = trunk.split == ALL or any(True for _ in trunk.parameters())
    if has_weights:
        check_precision(trunk.precision, device)
    bytes_each = (trunk.precision if has_weights else torch.float32).itemsize
    require_memory(images, sizes, trunk.maker.values_per_pixel * bytes_each, device)
    for image, size in zip(images, sizes, strict=True):
        if isinstance(trunk.maker, Resizes):  # only then is the file looked at again
            check_resizing(trunk.maker, read_size(image, scale_to=None), size)
        shape = trunk.maker.map_shape(POOL, *size)
        if min(shape) < 1:
            raise ValueError(
                f"{image}: {size[1]}x{size[0]} pixels are too few for the encoder: its map would "
                f"be {shape[2]}x{shape[1]}"
            )
    num_values = sum(math.prod(trunk.map_shape(*size)) for size in sizes)
    num_bytes = num_values * trunk.precision.itemsize
    if stored or len(images) > 1:  # and not for each photo that is located
        words = f"local features of {num_bytes / 1e6:.0f} MB{'' if stored else ', not stored'}"
        print(f"{len(images)} images, {words}", file=sys.stderr)
    if stored:
        require_space(Path(), num_bytes)
