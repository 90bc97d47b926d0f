"""Stage finetune: the trainable layers and the aggregator."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from vpr.runtime.entry import run_stage

from pydantic import Field

from vpr.features.model import load_model
from vpr.network.head import load_head
from vpr.network.initial_model import start_model
from vpr.runtime.artefacts import built_aside
from vpr.runtime.device import find_device
from vpr.runtime.parameters import load_params
from vpr.runtime.resuming import fingerprint, load_saved, save_after_each
from vpr.training.data import load_training_data
from vpr.training.log import announce_epochs, save_training
from vpr.training.loop import train
from vpr.training.losses import LOSSES
from vpr.training.state import TrainingState
from vpr.training.validation import Validation, count_held_out


@dataclass(frozen=True)
class FinetuneParams:
    """Parameters of the stage finetune."""

    aggregator: Literal["netvlad", "gem", "none"]
    num_clusters: Annotated[int, Field(ge=1)]
    vlad_version: Literal[1, 2]
    descriptor_dim: Annotated[int, Field(ge=1)] | None
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    epochs: Annotated[int, Field(ge=0)]
    lr: Annotated[float, Field(gt=0, le=1e6)]
    momentum: Annotated[float, Field(ge=0, lt=1)]
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    loss: Literal["triplet"]
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
        if self.descriptor_dim is not None and self.aggregator != "gem":
            raise ValueError(
                f"descriptor_dim = {self.descriptor_dim} is of gem's linear layer: set it to null "
                f"with aggregator = {self.aggregator}"
            )


def finetune(
    *, features: Path, database: Path, positives: Path, frozen: Path, trainable: Path,
    model: Path,
) -> None:  # fmt: skip
    """Train the aggregator and the encoder's last layers on the database alone.

    Args:
        features: Folder of the database's stored local features.
        database: Index of the database, for its coordinates.
        positives: Database x database positives.
        frozen: The encoder's frozen part.
        trainable: What trains, with or without a pool.
        model: Folder to write: `model.pt`, `loss.csv`, `validation.csv`, `metrics.json`.
    """
    params, device = load_params("finetune", FinetuneParams), find_device()
    inputs = (features, database, positives, frozen, trainable)
    key = fingerprint(params, inputs=inputs, device=device)
    with built_aside(model, key=key) as (aside,):
        whole = load_training_data(features=features, positives=positives, index=database)
        num_held_out = count_held_out(len(whole.coordinates), params.validation_fraction)
        seen = whole.without_last(num_held_out)
        given = load_model(frozen).with_tensors(load_model(trainable).tensors)
        start, origin = start_model(
            given, seen.features, aggregator=params.aggregator, num_clusters=params.num_clusters,
            vlad_version=params.vlad_version, descriptor_dim=params.descriptor_dim,
            seed=params.seed, device=device,
        )  # fmt: skip
        print(origin)
        state = TrainingState.start(
            load_head(start).to(device), seed=params.seed, lr=params.lr,
            momentum=params.momentum, weight_decay=params.weight_decay,
        )  # fmt: skip
        saved = load_saved(state, aside.with_name("state.pt"))
        records = train(
            state, seen, epochs=params.epochs, loss=LOSSES[params.loss], margin=params.margin,
            hard=params.mining == "hard",
            batch_triplets=params.batch_triplets, negative_radius_m=params.negative_radius_m,
            nearest_positive=params.positive == "nearest", refresh_epochs=params.refresh_epochs,
            validation=Validation(whole, num_held_out) if num_held_out else None, device=device,
        )  # fmt: skip
        announce_epochs(save_after_each(records, state, saved), state)
        save_training(aside, start, state, select_best=params.select == "best")


if __name__ == "__main__":
    run_stage(finetune)
