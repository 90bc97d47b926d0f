"""Starting weights: by a name that the encoder knows, or a checkpoint."""

from __future__ import annotations

from pathlib import Path

from vpr.features.encoder import BringsAggregator, load_encoder
from vpr.features.model import Model
from vpr.network.aggregator import draw_published
from vpr.weights.checkpoints import describe_checkpoint, parse_checkpoint

# Text files in models/pretrained that stand for weights; an encoder knows some of them.
NAMES = ("random", "imagenet", "pretrained")


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
        seed: Seed of random weights.

    Raises:
        ValueError: If a checkpoint is refused, or the encoder knows no such weights, or those on
            this machine are damaged.
        OSError: If named weights are not on this machine and cannot be downloaded.
    """
    if path.name in NAMES:
        maker = load_encoder(encoder, variant)
        if path.name not in maker.weights:
            raise ValueError(
                f"pretrained.weights = {path.name}: trunk.encoder = {encoder} knows "
                f"{' and '.join(maker.weights)}; set it to one of them, or to a file of "
                "models/pretrained if the encoder takes one"
            )
        state, words = maker.initial_state(path.name, seed)
        aggregator = None
        if isinstance(maker, BringsAggregator):
            aggregator = maker.aggregator
            state |= draw_published(maker, seed)
    else:
        found = parse_checkpoint(path, encoder=encoder, variant=variant)
        variant, state, words = found.variant, found.state, describe_checkpoint(found)
        aggregator = found.aggregator
    model = Model(encoder, variant, split, state, aggregator or "netvlad")
    return model, f"{path.name}: {words}"
