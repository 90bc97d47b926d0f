"""Stage finetune: the trainable layers and the aggregator."""

from __future__ import annotations

from pathlib import Path

from vpr.runtime.entry import run_stage

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
from vpr.training.params import FinetuneParams
from vpr.training.state import TrainingState
from vpr.training.validation import Validation, count_held_out


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
