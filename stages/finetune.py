"""Stage finetune: the trainable layers and NetVLAD."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from vpr.artefacts import built_aside
from vpr.device import find_device
from vpr.entry import run_stage
from vpr.finetuning import start_model, train
from vpr.head import load_head
from vpr.index import load_index
from vpr.local_features import load_features
from vpr.model_files import load_state
from vpr.parameters import load_param, load_params
from vpr.positives import load_positives
from vpr.training import make_optimizer
from vpr.training_log import save_model


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


def finetune(
    *, features: Path, database: Path, positives: Path, frozen: Path, trainable: Path, model: Path
) -> None:
    """Train NetVLAD and the encoder's last layers on the database alone.

    Args:
        features: Folder of the database's stored local features.
        database: Index of the database, for its coordinates.
        positives: Database x database positives.
        frozen: State of the encoder's frozen modules.
        trainable: State of what trains, with or without a pool.
        model: Folder to write: `model.pt`, `loss.csv`, `metrics.json`.
    """
    params = load_params("finetune", FinetuneParams)
    trainable_from = load_param("trunk.trainable_from", int)
    device = find_device()
    stored = load_features(features)
    state, origin = start_model(
        load_state(frozen) | load_state(trainable), stored, trainable_from=trainable_from,
        num_clusters=params.num_clusters, vlad_version=params.vlad_version, seed=params.seed,
        device=device,
    )  # fmt: skip
    print(origin)
    head = load_head(state, trainable_from)
    optimizer = make_optimizer(
        head, lr=params.lr, momentum=params.momentum, weight_decay=params.weight_decay
    )
    records = train(
        head, stored, load_positives(positives), load_index(database).coordinates, optimizer,
        epochs=params.epochs, seed=params.seed, margin=params.margin,
        batch_triplets=params.batch_triplets, hard=params.mining == "hard",
        nearest_positive=params.positive == "nearest",
        negative_radius_m=params.negative_radius_m, refresh_epochs=params.refresh_epochs,
        device=device,
    )  # fmt: skip
    with built_aside(model) as (aside,):
        save_model(aside, state, head, records)


if __name__ == "__main__":
    run_stage(finetune)
