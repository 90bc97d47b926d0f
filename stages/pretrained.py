"""Stage pretrained: starting weights, checked and in one form."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from vpr.runtime.entry import run_stage

from pydantic import Field

from vpr.encoders.vgg16 import Encoder, check_split, split_state
from vpr.runtime.artefacts import built_aside
from vpr.runtime.parameters import load_param, load_params
from vpr.runtime.tensors import save_state
from vpr.weights.starting_weights import check_sha256, starting_state


@dataclass(frozen=True)
class PretrainedParams:
    """Parameters of the stage pretrained."""

    weights: str
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    sha256: Annotated[str, Field(pattern="^[0-9a-fA-F]{64}$")] | None


def pretrained(*, weights: Path, frozen: Path, trainable: Path) -> None:
    """Load the starting weights strictly, and split them into frozen and trainable tensors.

    Args:
        weights: A checkpoint, or a text file called `random` or `imagenet`.
        frozen: State of the encoder's frozen modules to write.
        trainable: State of the rest to write; with a pool if the weights bring one.
    """
    trainable_from = load_param("trunk.trainable_from", int)
    check_split(trainable_from)
    params = load_params("pretrained", PretrainedParams)
    if params.sha256 is not None:
        check_sha256(weights, params.sha256, source="pretrained.sha256")
    encoder: Encoder = load_param("trunk.encoder", Encoder)  # type: ignore[arg-type] # no type
    state, words = starting_state(weights, encoder=encoder, seed=params.seed)
    print(words)
    below, above = split_state(state, trainable_from)
    with built_aside(frozen, trainable) as aside:
        save_state(aside[0], below)
        save_state(aside[1], above)


if __name__ == "__main__":
    run_stage(pretrained)
