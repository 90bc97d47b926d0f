"""Starting weights: by a name that the encoder knows, or a checkpoint."""

from __future__ import annotations

from pathlib import Path

from vpr.features.encoder import load_encoder
from vpr.features.model import Model
from vpr.weights.checkpoints import describe_checkpoint, parse_checkpoint

NAMES = (
    "random",
    "imagenet",
    "pretrained",
)  # text files in models/pretrained that stand for weights


def load_starting_model(
    path: Path, *, encoder: str, variant: str | None, split: str, seed: int
) -> tuple[Model, str]:
    """Find the tensors that a model starts with, and in words where they come from.

    Args:
        path: A file in models/pretrained: one of `NAMES`, whose weights the encoder draws or
            finds, or a checkpoint.
        encoder: The encoder's name.
        variant: Which of its models.
        split: The first layer that trains.
        seed: Of random weights.

    Raises:
        ValueError: If a checkpoint is refused, or the encoder knows no such weights, or those on
            this machine are damaged.
        OSError: If named weights are not on this machine and cannot be downloaded.
    """
    if path.name in NAMES:
        state, words = load_encoder(encoder, variant).initial_state(path.name, seed)
    else:
        found = parse_checkpoint(path, encoder=encoder, variant=variant)
        state, words = found.state, describe_checkpoint(found)
    return Model(encoder, variant, split, state), f"{path.name}: {words}"
