"""Stage pretrained: starting weights, checked and in one form."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from vpr.artefacts import built_aside
from vpr.checkpoints import describe_state
from vpr.encoder import check_split
from vpr.entry import run_stage
from vpr.model_files import save_state
from vpr.parameters import load_param, load_params
from vpr.starting_weights import find_weights, split_state


@dataclass(frozen=True)
class PretrainedParams:
    """Parameters of the stage pretrained."""

    weights: str
    seed: Annotated[int, Field(ge=0, lt=2**63)]


def pretrained(*, weights: Path, frozen: Path, trainable: Path) -> None:
    """Load the starting weights strictly, and split them into frozen and trainable tensors.

    Args:
        weights: A checkpoint, or a text file called `random` or `imagenet`.
        frozen: State of the encoder's frozen modules to write.
        trainable: State of the rest to write; with a pool if the weights bring one.
    """
    trainable_from = load_param("trunk.trainable_from", int)
    check_split(trainable_from)
    state = find_weights(weights, seed=load_params("pretrained", PretrainedParams).seed)
    print(f"{weights.name}: {describe_state(state)}")
    below, above = split_state(state, trainable_from)
    with built_aside(frozen, trainable) as aside:
        save_state(aside[0], below)
        save_state(aside[1], above)


if __name__ == "__main__":
    run_stage(pretrained)
