"""Stage finetune: the trainable layers and NetVLAD."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from vpr.entry import run_stage

from pydantic import Field

from vpr.artefacts import built_aside
from vpr.device import find_device
from vpr.finetuning import train
from vpr.head import load_head
from vpr.initial_model import start_model
from vpr.local_features import load_features
from vpr.model_files import load_state
from vpr.parameters import load_param, load_params
from vpr.training_data import load_training_data
from vpr.training_log import announce_epochs, save_model
from vpr.training_state import TrainingState
from vpr.validation import Validation


@dataclass(frozen=True)
class FinetuneParams:
    """Parameters of the stage finetune."""

    num_clusters: Annotated[int, Field(ge=1)]
    vlad_version: Literal[1, 2]
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    epochs: Annotated[int, Field(ge=0)]
    lr: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    momentum: Annotated[float, Field(ge=0, lt=1)]
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    margin: Annotated[float, Field(gt=0, le=2)]
    batch_triplets: Annotated[int, Field(ge=1)]
    mining: Literal["hard", "random"]
    positive: Literal["nearest", "random"]
    negative_radius_m: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None
    refresh_epochs: Annotated[int, Field(ge=1)]
    validation_fraction: Annotated[float, Field(ge=0, le=0.5)]
    select: Literal["last", "best"]

    def __post_init__(self) -> None:
        """Refuse a choice that there is nothing to make by."""
        if self.select == "best" and self.validation_fraction == 0:
            raise ValueError("select = best needs a validation_fraction above 0")


def finetune(
    *, features: Path, validation: Path, database: Path, positives: Path, frozen: Path,
    trainable: Path, model: Path,
) -> None:  # fmt: skip
    """Train NetVLAD and the encoder's last layers on the database alone.

    Args:
        features: Folder of the database's stored local features.
        validation: The same of a view of each held-out image, the last of the database.
        database: Index of the database, for its coordinates.
        positives: Database x database positives.
        frozen: State of the encoder's frozen modules.
        trainable: State of what trains, with or without a pool.
        model: Folder to write: `model.pt`, `loss.csv`, `validation.csv`, `metrics.json`.
    """
    params = load_params("finetune", FinetuneParams)
    trainable_from = load_param("trunk.trainable_from", int)
    device = find_device()
    views = load_features(validation)
    whole = load_training_data(features=features, positives=positives, index=database)
    seen = whole.without_last(len(views.shapes))
    start, origin = start_model(
        load_state(frozen) | load_state(trainable), seen.features, trainable_from=trainable_from,
        num_clusters=params.num_clusters, vlad_version=params.vlad_version, seed=params.seed,
        device=device,
    )  # fmt: skip
    print(origin)
    state = TrainingState.start(
        load_head(start, trainable_from), seed=params.seed, lr=params.lr,
        momentum=params.momentum, weight_decay=params.weight_decay,
    )  # fmt: skip
    records = train(
        state, seen, epochs=params.epochs, margin=params.margin,
        batch_triplets=params.batch_triplets, hard=params.mining == "hard",
        nearest_positive=params.positive == "nearest",
        negative_radius_m=params.negative_radius_m, refresh_epochs=params.refresh_epochs,
        validation=Validation(views, whole) if len(views.shapes) else None, device=device,
    )  # fmt: skip
    announce_epochs(records, state)
    with built_aside(model) as (aside,):
        save_model(aside, start, state, select_best=params.select == "best")


if __name__ == "__main__":
    run_stage(finetune)
