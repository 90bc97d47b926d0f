"""The demo over three seeds: the network before and after training, and trivial descriptors.

Run from the repository's root: `python -m bench.quality.demo_seeds`. Each seed draws another street
and another pair of drives; everything else is as committed in params.yaml. It prints a table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.shared import markdown
from bench.shared.trials import CHALLENGE, run_trial, temporary_clone
from vpr.evaluation.recall import recall_at
from vpr.places.positives import load_positives
from vpr.retrieval.ranking import rank_database

SEEDS = (0, 1, 2)
Method = Callable[[Image.Image], NDArray[np.float64]]


def thumbnail(photo: Image.Image) -> NDArray[np.float64]:
    """The photo at 32x24 pixels, minus its mean, as one row."""
    values = np.asarray(photo.resize((32, 24)), dtype=np.float64).ravel()
    row: NDArray[np.float64] = values - values.mean()
    return row


def histogram(photo: Image.Image) -> NDArray[np.float64]:
    """Counts of 32 levels of each colour channel, as one row."""
    pixels = np.asarray(photo)
    channels = [np.histogram(pixels[..., i], 32, (0, 256))[0] for i in range(3)]
    return np.concatenate(channels).astype(np.float64)


def describe(files: Sequence[Path], method: Method) -> NDArray[np.float32]:
    """Unit rows (num_images, dim) of RGB photos."""
    rows = np.stack([method(Image.open(file)) for file in files])
    unit: NDArray[np.float32] = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(
        np.float32
    )
    return unit


def trivial_recall(clone: Path, method: Method) -> float:
    """Recall@1 of a trivial descriptor on the images of a clone's last run."""
    sides = [sorted((clone / "data" / "images" / side).iterdir()) for side in ("database", "query")]
    ranked, _ = rank_database(*[describe(side, method) for side in sides], top_k=1)
    return recall_at([1], ranked, load_positives(clone / "data" / "prepared" / "positives.npz"))[1]


def main() -> None:
    """Run and print."""
    ways = ["thumbnail", "histogram", "epochs = 0", "trained"]
    print(markdown.head(["sample.seed", *ways, "trained - untrained"]))
    with temporary_clone() as clone:
        for seed in SEEDS:
            street = {"sample.seed": seed}
            before, after = (
                run_trial(clone, CHALLENGE | street | change, target="evaluate")["recall@1"]
                for change in ({"finetune.epochs": 0}, {})
            )
            trivial = [trivial_recall(clone, method) for method in (thumbnail, histogram)]
            cells = [seed, *trivial, before, after, f"{after - before:+.3f}"]
            print(markdown.row(cells, form=".3f"), flush=True)


if __name__ == "__main__":
    main()
