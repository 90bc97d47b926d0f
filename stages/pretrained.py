"""Stage pretrained: starting weights, checked and in one form."""

from __future__ import annotations

from pathlib import Path

from vpr.console.entry import run_stage

from vpr.features.encoder import find_split
from vpr.features.model import save_model
from vpr.run_files import WEIGHTS
from vpr.runtime.artefacts import built_aside
from vpr.runtime.hashing import check_sha256
from vpr.runtime.parameters import load_param, load_params
from vpr.weights.checkpoints import load_starting_model
from vpr.weights.params import PretrainedParams


def pretrained(*, frozen: Path, trainable: Path) -> None:
    """Load the starting weights strictly, and split them into frozen and trainable tensors.

    `trainable` includes a pool if the weights have one.
    """
    encoder = load_param("trunk.encoder", str)
    variant: str | None = load_param("trunk.model", str | None)  # type: ignore[arg-type] # mypy: no type
    split = find_split(encoder, variant, load_param("trunk.trainable_from", str))
    params = load_params("pretrained", PretrainedParams)
    weights = WEIGHTS / params.weights
    if params.sha256 is not None:
        check_sha256(weights, params.sha256, source="pretrained.sha256")
    model, origin = load_starting_model(
        weights, encoder=encoder, variant=variant, split=split, seed=params.seed
    )
    print(origin)
    with built_aside(frozen, trainable) as aside:
        for path, part in zip(aside, model.parts(), strict=True):
            save_model(path, part)


if __name__ == "__main__":
    run_stage(pretrained)
