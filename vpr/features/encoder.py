"""The seam of encoders: image -> local features, each encoder a file of `vpr/encoders/`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from vpr.runtime.tensors import PackageWeights

DRAWER = Path(__file__).parents[1] / "encoders"
POOL = "pool"  # the split after the last layer: only what pools the local features trains
ALL = "all"  # the split before the first layer: pixels are what is stored, and every layer trains
PREFIX = "encoder."  # of the encoder's tensors in a model, as the reference has it


class Encoder(Protocol):
    """Image -> local features, in a frozen part that is stored and a part that trains.

    The split names the first layer that trains. Names of tensors are the same in whichever part
    they are, so that a model's state does not depend on its split. The defaults here are those of
    an encoder that is frozen as a whole.

    Args:
        origin: What it is, whose weights it takes and their licences, in words.
        weights: Names of weights that it knows, such as `random` and `imagenet`.
        num_scales: Maps of one image that are stacked vertically in its local features.
    """

    origin: str
    weights: tuple[str, ...]
    num_scales: int = 1

    @property
    def splits(self) -> tuple[str, ...]:
        """Allowed splits, by the layer's name; `POOL` is one of them, `ALL` if layers can train."""
        return (POOL,)

    @property
    def values_per_pixel(self) -> int:
        """Values that the frozen part holds at once for each pixel, at most."""

    def frozen(self, split: str) -> nn.Module:
        """Make the layers before the split: RGB uint8 (N, H, W, 3) -> (N, C, H', W')."""

    def trainable(self, split: str) -> nn.Module:
        """Make the layers from the split on: (N, C, H', W') -> (N, D, H'', W'')."""
        return nn.Sequential()

    def map_shape(self, split: str, height_px: int, width_px: int) -> tuple[int, int, int]:
        """Compute the shape (C, H', W') of what the frozen part makes of one image."""

    def initial_state(self, weights: str, seed: int) -> tuple[dict[str, Tensor], str]:
        """Find or draw weights that have a name.

        Args:
            weights: One of the names in `weights`.
            seed: Seed of the draws.

        Returns:
            Every tensor by its name in a model, and in words where they come from.

        Raises:
            ValueError: If they are damaged.
            OSError: If they are not on this machine and cannot be downloaded.
        """

    def canonical(self, name: str) -> str | None:
        """Find the name in a model of a tensor in a public file; None if it is not used."""
        return name

    def fold(self, frozen: nn.Module) -> None:
        """Fold what stays constant, such as BatchNorm, into the weights of a loaded frozen part."""
        return


@runtime_checkable
class NamesWeights(Protocol):
    """An encoder whose pixels are normalised as the weights in use were trained with."""

    def match_file(self, name: str) -> tuple[str, str]:
        """Find the model that a file's weights are of.

        Args:
            name: The file's, or that of a model.

        Returns:
            The value of `trunk.model`, and in words what is uncertain; "" if nothing is.
        """


@runtime_checkable
class Resizes(Protocol):
    """An encoder that resizes photos itself."""

    def size_seen(self, height_px: int, width_px: int) -> tuple[int, int]:
        """Compute the height and width that it resizes a photo to."""


@runtime_checkable
class BringsAggregator(Protocol):
    """An encoder whose weights are of a published method, with the aggregator's.

    Args:
        aggregator: The value that `finetune.aggregator` must have.
        dim: Values of a descriptor.
        sizes: Shapes of the tensors that say the aggregator's sizes, by their names in it.
        published: By a protocol, recall@1 in per cent as published, and where.
    """

    aggregator: str
    dim: int
    sizes: Mapping[str, tuple[int, ...]]
    published: Mapping[str, tuple[float, str]]


def is_fixed(encoder: Encoder) -> bool:
    """Return whether its name fixes an encoder's code; True if it does not say."""
    return bool(getattr(encoder, "is_fixed", True))


def check_aggregator(encoder: Encoder, aggregator: str) -> None:
    """Refuse another `finetune.aggregator` than the one that an encoder's weights bring.

    Raises:
        ValueError: If it is another.
    """
    if isinstance(encoder, BringsAggregator) and encoder.aggregator != aggregator:
        raise ValueError(
            f"finetune.aggregator = {aggregator}, but weights of trunk.encoder bring "
            f"{encoder.aggregator}: set it to {encoder.aggregator}"
        )


def check_resizing(
    encoder: Encoder, stored_px: tuple[int, int], scaled_px: tuple[int, int]
) -> None:
    """Refuse to scale a photo for an encoder that resizes it itself, by a kernel of its own.

    Args:
        encoder: The encoder.
        stored_px: Height and width of the photo.
        scaled_px: Those that it is scaled to, by `trunk.max_side_px` or `trunk.image_size`.

    Raises:
        ValueError: If the encoder resizes the photo, or what it is scaled to.
    """
    if not isinstance(encoder, Resizes) or scaled_px == stored_px:
        return
    height, width = encoder.size_seen(*stored_px)
    if (height, width) != stored_px or encoder.size_seen(*scaled_px) != scaled_px:
        raise ValueError(
            "trunk.max_side_px or trunk.image_size scales a photo of "
            f"{stored_px[1]}x{stored_px[0]} pixels to {scaled_px[1]}x{scaled_px[0]}, and "
            f"trunk.encoder resizes photos itself, this one to {width}x{height}: set both to "
            "null, so that it sees the photo as it is"
        )


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Say which names are like one that does not exist; "" if none is."""
    close = get_close_matches(name, names, n=5, cutoff=0.6)
    return f": did you mean {' or '.join(close)}?" if close else ""


def load_encoder(name: str, variant: str | None) -> Encoder:
    """Import an encoder from the drawer.

    Args:
        name: The file's name, which is the value of `trunk.encoder`.
        variant: Which of its models, the value of `trunk.model`; None for its first or only one.

    Raises:
        ValueError: If there is no such file, or the encoder has no such model.
    """
    names = sorted(file.stem for file in DRAWER.glob("[!_]*.py"))
    if name not in names:
        raise ValueError(
            f"trunk.encoder = {name}: there is no file vpr/encoders/{name}.py; there are "
            f"{', '.join(names)}{did_you_mean(name, names)}"
        )
    encoder: Encoder = import_module(f"vpr.encoders.{name}").make_encoder(variant)
    return encoder


def choose_variant(name: str, variant: str | None, variants: tuple[str, ...]) -> str:
    """Check `trunk.model` against what an encoder has; None is its first.

    Raises:
        ValueError: If the encoder has no such model.
    """
    chosen = variants[0] if variant is None else variant
    if chosen not in variants:
        raise ValueError(
            f"trunk.model = {variant}: trunk.encoder = {name} has {', '.join(variants)}"
            f"{did_you_mean(chosen, variants)}"
        )
    return chosen


def find_split(name: str, variant: str | None, split: str) -> str:
    """Return the value of `trunk.trainable_from`, if it is a split of an encoder.

    Args:
        name: The encoder's.
        variant: The value of `trunk.model`.
        split: The value.

    Raises:
        ValueError: If the encoder cannot be split there.
    """
    splits = load_encoder(name, variant).splits
    if split not in splits:
        raise ValueError(
            f"trunk.trainable_from = {split}: expected the first layer of {name} that trains, or "
            f"{POOL} if only the pool does, one of {', '.join(splits)}"
            f"{did_you_mean(split, splits)}"
        )
    return split


def make_frozen(encoder: Encoder, split: str) -> nn.Module:
    """Make the layers before the split: RGB uint8 (N, H, W, 3) -> (N, C, H', W')."""
    return _Pixels() if split == ALL else encoder.frozen(split)


def make_trainable(encoder: Encoder, split: str) -> nn.Module:
    """Make the layers from the split on: (N, C, H', W') -> (N, D, H'', W'')."""
    if split != ALL:
        return encoder.trainable(split)
    whole = encoder.frozen(POOL)
    whole.register_forward_pre_hook(lambda _, maps: (maps[0].permute(0, 2, 3, 1),))
    return whole


def map_shape(encoder: Encoder, split: str, height_px: int, width_px: int) -> tuple[int, int, int]:
    """Compute the shape (C, H', W') of what the layers before the split make of one image."""
    if split == ALL:
        return 3, height_px, width_px
    return encoder.map_shape(split, height_px, width_px)


class _Pixels(nn.Module):
    """What is before the first layer: nothing. Integers to 255 are exact in every precision."""

    def forward(self, pixels: Tensor) -> Tensor:
        """Maps (N, 3, H, W) of RGB (N, H, W, 3), uint8."""
        return pixels.permute(0, 3, 1, 2)


def tensor_shapes(encoder: Encoder, split: str = POOL) -> dict[str, tuple[int, ...]]:
    """Compute the shape of each tensor of the frozen part, by its name; by default of all."""
    with torch.device("meta"):
        state = make_frozen(encoder, split).state_dict()
    return {PREFIX + name: tuple(tensor.shape) for name, tensor in state.items()}


def count_channels(encoder: Encoder) -> int:
    """Count the channels D of the whole encoder's local features."""
    return encoder.map_shape(POOL, 1, 1)[0]


def draw_state(encoder: Encoder, seed: int) -> dict[str, Tensor]:
    """Draw all tensors as the encoder's library initialises them, by their names in a model.

    The global generator stays as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        state = encoder.frozen(POOL).state_dict()
    return {PREFIX + name: tensor for name, tensor in state.items()}


def load_package_state(encoder: Encoder, weights: PackageWeights) -> dict[str, Tensor]:
    """Read the encoder's tensors from the file of a package; no code in it is run.

    Raises:
        OSError: If the package is not installed; the message has both ways out.
        ValueError: If its file is another one.
    """
    try:
        file = weights.find("pretrained.weights = imagenet")
    except OSError as error:
        name = Path(weights.file).name
        raise OSError(
            f"{error}; or put its file {name} into models/pretrained/ and set pretrained.weights "
            f"to {name}"
        ) from None
    found = torch.load(file, map_location="cpu", weights_only=True)
    names = {name: encoder.canonical(name) for name in found}
    return {new: found[old] for old, new in names.items() if new is not None}
