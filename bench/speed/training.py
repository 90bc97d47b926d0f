"""Seconds of an epoch from stored features, against the plain loop that stores nothing.

Part of `make bench`; separately, on more photos: `python -m bench.speed.training`, five minutes.
"""

from __future__ import annotations

import json
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bench.shared.measuring import interleaved, machine
from bench.shared.photos import SIZE_PX, draw_photos, random_model
from bench.shared.plain_loop import PlainNetwork, train_plain
from bench.speed.extraction import CPU, PRECISIONS
from vpr.features.extraction import extract_features
from vpr.features.local_features import LocalFeatures, load_features, save_features
from vpr.features.model import Model
from vpr.features.trunk import load_trunk
from vpr.images.image_files import read_image
from vpr.network.head import load_head
from vpr.places.positives import positives_of
from vpr.places.radius import find_training_positives
from vpr.training.epochs import Batch, Measure, describe_database, train_epoch
from vpr.training.losses import make_batch_loss, measure_places, measure_triplets
from vpr.training.mining import group_triplets
from vpr.training.place_batches import draw_places, group_places, label_places
from vpr.training.state import TrainingState

BERLIN = 314  # database images, and as many anchors
SPACING_M, RADIUS_M = 11.0, 50.0  # of Berlin's database
MARGIN = 0.1**0.5
PLACES, IMAGES = 16, 2  # of a batch, as in params.yaml; of a place, as docs/training.md has it


def measure(*, num_photos: int, num_plain: int, repeats: int) -> dict[str, Any]:
    """Time epochs over a small set, and scale them to Berlin's number of images.

    An epoch of places describes and learns from each photo once; all others are of triplets. Ours
    mines once an epoch: the descriptors of all images are part of its time. The plain loop is timed
    on fewer triplets, since each costs the same.

    Args:
        num_photos: Images of the small database; there is one triplet for each.
        num_plain: Triplets that the plain loop is timed on.
        repeats: Number of times that each way is timed.
    """
    model = random_model()
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        photos = draw_photos(Path(folder) / "set", num_photos=num_photos)
        triplets = _triplets(num_photos, rng)
        stored = {
            name: _store(model, photos, Path(folder) / name, precision)
            for name, precision in PRECISIONS.items()
        }
        chosen = [tuple(photos[image] for image in row) for row in triplets[:num_plain]]
        plain = PlainNetwork(model.tensors)
        train_plain(plain, chosen[:1])
        runs = {"plain": partial(train_plain, plain, chosen)} | {
            name: partial(_epoch, model, features, triplets) for name, features in stored.items()
        }
        runs["places, bfloat16"] = partial(
            _epoch_of_places, model, stored["bfloat16"], _batches(num_photos, rng)
        )
        for name in PRECISIONS:
            _epoch(model, stored[name], triplets[:2])
        seconds = interleaved(runs, repeats=repeats)
    counts = {"plain": num_plain, "float32": num_photos, "bfloat16": num_photos}
    done = counts | {"places, bfloat16": num_photos}
    epochs = {name: BERLIN * taken / done[name] for name, taken in seconds.items()}
    return {
        "triplets": counts,
        "repeats": repeats,
        "seconds_per_epoch_of_314": epochs,
        "plain_over_float32": epochs["plain"] / epochs["float32"],
        "plain_over_bfloat16": epochs["plain"] / epochs["bfloat16"],
        "triplets_over_places": epochs["bfloat16"] / epochs["places, bfloat16"],
    }


def _triplets(num_photos: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Each image once as the anchor, its neighbour as the positive, one from afar."""
    anchors = rng.permutation(num_photos)
    near = np.where(anchors + 1 < num_photos, anchors + 1, anchors - 1)
    far = (anchors + rng.integers(2, num_photos - 2, num_photos)) % num_photos
    return np.stack([anchors, near, far], axis=1)


def _batches(num_photos: int, rng: np.random.Generator) -> list[Batch]:
    """One epoch of places, if the photos lay along Berlin's route."""
    route = np.stack([np.arange(num_photos) * SPACING_M, np.zeros(num_photos)], axis=1)
    positives = find_training_positives(route, radius_m=RADIUS_M)
    places = draw_places(positives, images_per_place=IMAGES, rng=rng)
    near = [positives_of(positives, image).astype(np.int64) for image in range(num_photos)]
    groups = group_places(places, near, places_per_batch=PLACES, rng=rng)
    return [label_places(group) for group in groups]


def _store(model: Model, photos: list[Path], folder: Path, precision: torch.dtype) -> LocalFeatures:
    trunk = load_trunk(model, precision)
    read = partial(read_image, scale_to=None)
    maps = extract_features(trunk, photos, [SIZE_PX[::-1]] * len(photos), read, CPU)
    save_features(folder, maps)
    return load_features(folder)


def _epoch(model: Model, features: LocalFeatures, rows: NDArray[np.int64]) -> None:
    batches = group_triplets(rows, batch_triplets=8)
    _train(model, features, batches, partial(measure_triplets, margin=MARGIN), mines=True)


def _epoch_of_places(model: Model, features: LocalFeatures, batches: list[Batch]) -> None:
    loss = make_batch_loss("triplet", margin=MARGIN, mined=True)
    _train(model, features, batches, partial(measure_places, loss=loss), mines=False)


def _train(
    model: Model, features: LocalFeatures, batches: list[Batch], measure: Measure, *, mines: bool
) -> None:
    head = load_head(model)
    state = TrainingState.start(head, seed=0, momentum=0.9, weight_decay=0.001)
    state.optimizer.param_groups[0]["lr"] = 1e-5
    if mines:
        describe_database(head, features, CPU)
    train_epoch(
        head, state.optimizer, features, batches, measure, clip_norm=None, title="epoch", device=CPU
    )


def main() -> None:
    """Measure on as many photos as give batches of several places, and print."""
    found = measure(num_photos=32, num_plain=2, repeats=2)
    print(json.dumps({"machine": machine(), "training": found}, indent=2))


if __name__ == "__main__":
    main()
