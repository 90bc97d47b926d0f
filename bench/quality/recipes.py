"""Recipes of training over three streets, and whether held-out images foretell the queries.

Run from the repository's root: `python -m bench.quality.recipes` trains the default encoder by each
recipe on three drawn streets whose queries are hard (`sample.difficulty: 0.9`; on the committed
street nothing is left to gain), and prints recall@1 with paired tests over all their queries.
`--trainable-from blocks.4.2` trains the last block as well; `--vgg16` takes the challenge's network
of random weights and the committed difficulty; `--validation` prints validation against queries;
`--gardens-point RECIPE` runs one recipe on Gardens Point by day and night, where VPR_REAL_DATA
names the folder that it lies in.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import spearmanr

from bench.quality.results import data_sets
from bench.shared import markdown
from bench.shared.trials import CHALLENGE, ROOT, call, set_parameters, temporary_clone
from stages.evaluate import EvaluateParams
from stages.extract import extract
from stages.finetune import finetune
from vpr.evaluation.comparison import compare_ranks
from vpr.evaluation.recall import first_correct_ranks
from vpr.places.positives import load_positives
from vpr.retrieval.ranking import rank_database
from vpr.runtime.parameters import load_params

SEEDS = (0, 1, 2)
HARD = {"sample.difficulty": 0.9}
EPOCHS = {"finetune.epochs": 5}
PLACES = {"finetune.batch": "places", "finetune.loss": "multi_similarity"}
ADAM = {"finetune.optimizer": "adamw", "finetune.lr": 1e-4, "finetune.clip_norm": 1.0}
CONTRASTIVE = {"finetune.loss": "contrastive", "finetune.margin": 0.7}
VALIDATED = {"finetune.validation_fraction": 0.3, "finetune.validation_gap": 3}
Parameters = Mapping[str, object]
RECIPES: dict[str, Parameters] = {
    "before training": {"finetune.epochs": 0},
    "triplets, sgd 1e-4": {},
    "triplets, sgd 1e-3": {"finetune.lr": 1e-3},
    "triplets, adamw 1e-4": ADAM,
    "places, multi-similarity, sgd 1e-3": PLACES | {"finetune.lr": 1e-3},
    "places, multi-similarity, sgd 1e-2": PLACES | {"finetune.lr": 1e-2},
    "places, multi-similarity, adamw 1e-4": PLACES | ADAM,
    "places, multi-similarity, adamw 1e-3": PLACES | ADAM | {"finetune.lr": 1e-3},
    "places, contrastive, adamw 1e-4": PLACES | ADAM | CONTRASTIVE,
    "places, contrastive, adamw 1e-3": PLACES | ADAM | CONTRASTIVE | {"finetune.lr": 1e-3},
    "places, triplet, adamw 1e-4": PLACES | ADAM | {"finetune.loss": "triplet"},
}
VGG16: dict[str, Parameters] = {
    "before training": {"finetune.epochs": 0},
    "triplets, sgd 1e-4": {},
    "places, multi-similarity, sgd 1e-3": PLACES | {"finetune.lr": 1e-3},
}


def prepare(clone: Path, parameters: Parameters) -> None:
    """Run the pipeline up to the stored features."""
    set_parameters(clone, parameters)
    call(clone, "dvc", "repro", "trunk_db", "trunk_query")


def train_and_rank(clone: Path, parameters: Parameters) -> tuple[NDArray[np.int64], list[float]]:
    """Train without DVC from the stored features, and search.

    Returns:
        Rank of the first positive of each query, and the validation recall of each epoch.
    """
    set_parameters(clone, parameters)
    with contextlib.chdir(clone):
        data, again = Path("data"), Path("bench-again")
        again.mkdir(exist_ok=True)
        finetune(
            features=data / "trunk/database", database=data / "prepared/database.csv",
            positives=data / "prepared/training_positives.npz", model=again / "model",
            frozen=Path("models/initial/frozen.pt"), trainable=Path("models/initial/trainable.pt"),
        )  # fmt: skip
        for side in ("database", "query"):
            extract(
                images=data / "images" / side, features=data / "trunk" / side,
                model=again / "model/model.pt", descriptors=again / f"{side}.npy",
            )  # fmt: skip
        sides = [np.load(again / f"{side}.npy") for side in ("database", "query")]
        ranked, _ = rank_database(*sides, top_k=20)
        ranks = first_correct_ranks(ranked, load_positives(data / "prepared/positives.npz"))
        recalls = pd.read_csv(again / "model/validation.csv").iloc[:, 1].tolist()
    return ranks, recalls


def compare(before: NDArray[np.int64], after: NDArray[np.int64]) -> str:
    """Difference of recall@1 with its interval, queries gained and lost, exact McNemar."""
    drawn = load_params("evaluate", EvaluateParams, path=ROOT / "params.yaml")
    (one,) = compare_ranks(
        before, after, ns=[1], block_length=drawn.block_length, num_samples=drawn.num_samples,
        confidence=drawn.confidence, seed=drawn.seed,
    )  # fmt: skip
    low, high = one.interval
    return (
        f"{one.difference:+.3f} ({low:+.3f} to {high:+.3f}), "
        f"+{len(one.gained)} -{len(one.lost)}, p = {one.p_value:.2g}"
    )


def tabulate_recipes(
    clone: Path, recipes: dict[str, Parameters], common: Parameters, *, against: str
) -> dict[str, NDArray[np.int64]]:
    """Print recall@1 of each recipe on each street, and compare over all their queries."""
    ranks: dict[str, list[NDArray[np.int64]]] = {name: [] for name in recipes}
    for seed in SEEDS:
        street = {**EPOCHS, **common, "sample.seed": seed, "finetune.seed": seed}
        prepare(clone, street)
        for name, recipe in recipes.items():
            ranks[name].append(train_and_rank(clone, street | recipe)[0])
            print(seed, name, (ranks[name][-1] <= 1).mean(), file=sys.stderr, flush=True)
    joined = {name: np.concatenate(parts) for name, parts in ranks.items()}
    first = next(iter(recipes))
    rows = [
        [name, *(f"{(part <= 1).mean():.3f}" for part in parts),
         *("–" if name == base else compare(joined[base], joined[name])
           for base in (first, against))]
        for name, parts in ranks.items()
    ]  # fmt: skip
    streets = [f"street {seed}" for seed in SEEDS]
    print(markdown.table(["recipe", *streets, f"against {first}", f"against {against}"], rows))
    return joined


def sweep_validation(clone: Path, common: Parameters) -> None:
    """Print validation recall against the queries' recall@1 over a sweep, and their correlation."""
    rows: list[list[object]] = []
    for seed in SEEDS:
        street = {**EPOCHS, **VALIDATED, **common, "sample.seed": seed}
        prepare(clone, street)
        for name, recipe in RECIPES.items():
            ranks, recalls = train_and_rank(clone, street | recipe)
            rows.append([seed, name, f"{recalls[-1]:.3f}", f"{(ranks <= 1).mean():.3f}"])
    print(markdown.table(["street", "recipe", "validation", "queries' recall@1"], rows))
    for seed in SEEDS:
        held_out, asked = (
            [float(str(row[column])) for row in rows if row[0] == seed] for column in (2, 3)
        )
        print(f"street {seed}: Spearman {spearmanr(held_out, asked).statistic:.2f}")


def run_gardens_point(clone: Path, recipe: Parameters, common: Parameters) -> None:
    """Print the fixed recipe on Gardens Point, each light against no training."""
    rows = []
    for one in data_sets():
        if one.name.startswith("Gardens"):
            chosen = {**one.parameters, **EPOCHS, **common}
            prepare(clone, chosen)
            before, _ = train_and_rank(clone, chosen | {"finetune.epochs": 0})
            after, _ = train_and_rank(clone, chosen | recipe)
            shares = [f"{(ranks <= 1).mean():.3f}" for ranks in (before, after)]
            rows.append([one.name, *shares, compare(before, after)])
    print(markdown.table(["set", "before training", "trained", "difference of recall@1"], rows))


def main() -> None:
    """Run what is asked for, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--vgg16", action="store_true")
    parser.add_argument("--gardens-point", metavar="RECIPE", choices=list(RECIPES))
    parser.add_argument("--validation", action="store_true")
    parser.add_argument("--trainable-from", default="pool")
    asked = parser.parse_args()
    common: dict[str, object] = {"trunk.trainable_from": asked.trainable_from}
    with temporary_clone() as clone:
        if asked.vgg16:
            fast = {"trunk.precision": "bfloat16"}
            tabulate_recipes(clone, VGG16, CHALLENGE | fast, against="triplets, sgd 1e-4")
        elif asked.gardens_point:
            run_gardens_point(clone, RECIPES[asked.gardens_point], common)
        elif asked.validation:
            sweep_validation(clone, common | HARD)
        else:
            tabulate_recipes(clone, RECIPES, common | HARD, against="triplets, sgd 1e-4")


if __name__ == "__main__":
    main()
