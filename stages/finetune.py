"""Stage finetune: the trainable layers and the aggregator."""

from __future__ import annotations

from pathlib import Path

from vpr.console.entry import run_stage

from vpr.features.model import load_model
from vpr.network.head import load_head
from vpr.network.initial_model import start_model
from vpr.runtime.artefacts import built_aside
from vpr.runtime.device import find_device
from vpr.runtime.parameters import load_params
from vpr.runtime.resuming import fingerprint, load_saved, save_after_each
from vpr.training.data import TrainingData, Validation, count_held_out, load_training_data
from vpr.training.loop import Recipe, Schedule, announce_epochs, save_training, train
from vpr.training.losses import make_batch_loss
from vpr.training.mining import TripletRecipe
from vpr.training.params import FinetuneParams
from vpr.training.place_batches import PlacesRecipe
from vpr.training.state import TrainingState


def finetune(
    *, features: Path, database: Path, positives: Path, frozen: Path, trainable: Path, model: Path
) -> None:
    """Train the aggregator and the encoder's last layers on the database only.

    The index `database` is read for its coordinates; `positives` are database x database;
    `trainable` may bring a pool. `model` becomes a folder with `model.pt`, `loss.csv`,
    `validation.csv` and `metrics.json`.
    """
    params, device = load_params("finetune", FinetuneParams), find_device()
    inputs = (features, database, positives, frozen, trainable)
    # Without epochs there is nothing to resume, and so no need to read all features once more.
    key = fingerprint(params, inputs=inputs, device=device) if params.epochs else None
    with built_aside(model, key=key) as (aside,):
        whole = load_training_data(features=features, positives=positives, index=database)
        num_held_out = count_held_out(len(whole.coordinates), params.validation_fraction)
        seen = whole.without_last(num_held_out)
        given = load_model(frozen).with_tensors(load_model(trainable).tensors)
        start, origin = start_model(
            given, seen.features, aggregator=params.aggregator, num_clusters=params.num_clusters,
            vlad_version=params.vlad_version, descriptor_dim=params.descriptor_dim,
            seed=params.seed, device=device, refit=params.clusters == "refit",
        )  # fmt: skip
        print(origin)
        state = TrainingState.start(
            load_head(start).to(device), seed=params.seed, momentum=params.momentum,
            weight_decay=params.weight_decay, optimizer=params.optimizer,
        )  # fmt: skip
        saved = load_saved(state, aside.with_name("state.pt"))
        records = train(
            state, make_recipe(params, seen), make_schedule(params), device=device,
            validation=Validation(whole, num_held_out, params.validation_gap)
            if num_held_out
            else None,
        )  # fmt: skip
        announce_epochs(save_after_each(records, state, saved), state)
        save_training(aside, start, state, origin=origin, select_best=params.select == "best")


def make_schedule(params: FinetuneParams) -> Schedule:
    """Make the schedule that the parameters describe."""
    return Schedule(
        params.epochs, params.lr, cosine=params.schedule == "cosine",
        warmup_epochs=params.warmup, clip_norm=params.clip_norm, patience=params.patience,
    )  # fmt: skip


def make_recipe(params: FinetuneParams, seen: TrainingData) -> Recipe:
    """Make the recipe that the parameters describe."""
    if params.batch == "places":
        return PlacesRecipe(
            seen,
            make_batch_loss(params.loss, margin=params.margin, mined=params.mining == "hard"),
            places_per_batch=params.places_per_batch, images_per_place=params.images_per_place,
            negative_radius_m=params.negative_radius_m,
        )  # fmt: skip
    return TripletRecipe(
        seen, margin=params.margin, batch_triplets=params.batch_triplets,
        hard=params.mining == "hard", nearest_positive=params.positive == "nearest",
        negative_radius_m=params.negative_radius_m, refresh_epochs=params.refresh_epochs,
    )  # fmt: skip


if __name__ == "__main__":
    run_stage(finetune)
