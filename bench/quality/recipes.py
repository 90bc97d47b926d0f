"""Recipes of training over three streets, and whether validation predicts the queries' recall.

Run from the repository's root: `python -m bench.quality.recipes` trains the default encoder by each
recipe on three drawn streets whose queries are hard (`--difficulty 0.9`; the committed street
leaves nothing to gain), and prints recall@1 with paired tests over all their queries, and the
seconds of the stage finetune. `--recipes` selects some of them, the first two as baselines;
`--streets 3 4 5` draws others; `--num-database` draws longer ones; `--epochs` trains longer;
`--encoder` selects another encoder, its first model, and `--vgg16` the challenge's network with
random weights; `--trainable-from blocks.4.2` trains the default's last block as well.
`--validation` writes validation against queries to bench/results/validation.json and .svg.
`--gardens-point RECIPE` runs one recipe on Gardens Point by day and night, where VPR_REAL_DATA
names the folder that it lies in.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.quality.paired import compare
from bench.quality.results import gardens_point
from bench.quality.validation_chart import correlate, draw_validation, tabulate_validation
from bench.shared import markdown
from bench.shared.trials import (
    CHALLENGE,
    CHALLENGE_PLACES,
    ROOT,
    run_stages,
    set_parameters,
    temporary_clone,
)
from stages.extract import extract
from stages.finetune import finetune
from vpr.evaluation.recall import first_correct_ranks
from vpr.places.positives import load_positives
from vpr.retrieval.ranking import rank_database

STREETS = (0, 1, 2)
RESULTS = ROOT / "bench" / "results"
EPOCHS = {"finetune.epochs": 5}
PLACES = {"finetune.batch": "places", "finetune.loss": "multi_similarity"}
ADAM = {"finetune.optimizer": "adamw", "finetune.lr": 1e-4, "finetune.clip_norm": 1.0}
CONTRASTIVE = {"finetune.loss": "contrastive", "finetune.margin": 0.7}
VALIDATED = {"finetune.validation_fraction": 0.3, "finetune.validation_gap": 3}
Parameters = dict[str, object]
RECIPES: dict[str, Parameters] = {
    "before training": {"finetune.epochs": 0},
    "triplets, sgd 1e-4": {},
    "triplets, sgd 1e-3": {"finetune.lr": 1e-3},
    "triplets, adamw 1e-4": ADAM,
    "triplets, adamw 1e-3": ADAM | {"finetune.lr": 1e-3},
    "places, multi-similarity, sgd 1e-3": PLACES | {"finetune.lr": 1e-3},
    "places, multi-similarity, sgd 1e-2": PLACES | {"finetune.lr": 1e-2},
    "places, multi-similarity, adamw 1e-4": PLACES | ADAM,
    "places, multi-similarity, adamw 1e-3": PLACES | ADAM | {"finetune.lr": 1e-3},
    "places, contrastive, adamw 1e-4": PLACES | ADAM | CONTRASTIVE,
    "places, contrastive, adamw 1e-3": PLACES | ADAM | CONTRASTIVE | {"finetune.lr": 1e-3},
    "places, triplet, adamw 1e-4": PLACES | ADAM | {"finetune.loss": "triplet"},
    "places of 2, triplet, sgd 1e-3": CHALLENGE_PLACES | {"finetune.lr": 1e-3},
    "places of 2, triplet, sgd 3e-3": CHALLENGE_PLACES,
    "places of 2, triplet, adamw 1e-4": CHALLENGE_PLACES | ADAM,
    "places of 2, triplet, adamw 1e-3": CHALLENGE_PLACES | ADAM | {"finetune.lr": 1e-3},
    "places of 2, contrastive, adamw 1e-4": CHALLENGE_PLACES | ADAM | CONTRASTIVE,
}


@dataclass(frozen=True, eq=False)
class Trained:
    """The result of a recipe on a street.

    Args:
        ranks: Rank of the first positive of each query.
        recalls: Validation recall before training and after each epoch; empty without validation.
        seconds: Wall-clock seconds of the stage finetune: clusters and epochs, no imports.
    """

    ranks: NDArray[np.int64]
    recalls: list[float]
    seconds: float

    @property
    def recall(self) -> float:
        """Recall@1."""
        return float((self.ranks <= 1).mean())


def train_and_rank(clone: Path, parameters: Parameters) -> Trained:
    """Train without DVC from the stored features, and search."""
    set_parameters(clone, parameters)
    with contextlib.chdir(clone):
        data, again = Path("data"), Path("bench-again")
        again.mkdir(exist_ok=True)
        start = time.perf_counter()
        finetune(
            features=data / "trunk/database", database=data / "prepared/database.csv",
            positives=data / "prepared/training_positives.npz", model=again / "model",
            frozen=Path("models/initial/frozen.pt"), trainable=Path("models/initial/trainable.pt"),
        )  # fmt: skip
        seconds = time.perf_counter() - start
        for side in ("database", "query"):
            extract(
                images=data / "images" / side, features=data / "trunk" / side,
                model=again / "model/model.pt", descriptors=again / f"{side}.npy",
            )  # fmt: skip
        sides = [np.load(again / f"{side}.npy") for side in ("database", "query")]
        ranked, _ = rank_database(*sides, top_k=20)
        ranks = first_correct_ranks(ranked, load_positives(data / "prepared/positives.npz"))
        recalls = pd.read_csv(again / "model/validation.csv").iloc[:, 1].tolist()
    return Trained(ranks, recalls, seconds)


def tabulate_recipes(
    clone: Path, recipes: Mapping[str, Parameters], common: Parameters, streets: Sequence[int]
) -> None:
    """Print recall@1 of each recipe on each street, and compare over all their queries."""
    trained: dict[str, list[Trained]] = {name: [] for name in recipes}
    for seed in streets:
        street = {**EPOCHS, **common, "sample.seed": seed, "finetune.seed": seed}
        run_stages(clone, street, "trunk")
        for name, recipe in recipes.items():
            trained[name].append(train_and_rank(clone, street | recipe))
            print(seed, name, trained[name][-1].recall, file=sys.stderr, flush=True)
    joined = {name: np.concatenate([one.ranks for one in ones]) for name, ones in trained.items()}
    bases = list(recipes)[:2]
    rows = [
        [name, *(f"{one.recall:.3f}" for one in ones),
         f"{median(one.seconds for one in ones):.1f}",
         *("–" if name == base else compare(joined[base], joined[name]) for base in bases)]
        for name, ones in trained.items()
    ]  # fmt: skip
    columns = [f"street {seed}" for seed in streets]
    heads = ["recipe", *columns, "s (median)", *(f"against {base}" for base in bases)]
    print(markdown.table(heads, rows))


def sweep_validation(
    clone: Path, recipes: Mapping[str, Parameters], common: Parameters, streets: Sequence[int]
) -> list[dict[str, Any]]:
    """Measure validation recall and the queries' recall@1 of each recipe on each street."""
    found = []
    for seed in streets:
        street = {**EPOCHS, **VALIDATED, **common, "sample.seed": seed}
        run_stages(clone, street, "trunk")
        for name, recipe in recipes.items():
            trained = train_and_rank(clone, street | recipe)
            measured = {"validation": trained.recalls[-1], "recall@1": trained.recall}
            found.append({"street": seed, "recipe": name, **measured})
            print(found[-1], file=sys.stderr, flush=True)
    return found


def save_validation(found: list[dict[str, Any]], common: Parameters) -> None:
    """Save the measurements with their chart, and print them with each street's correlation."""
    content = {"parameters": {**EPOCHS, **VALIDATED, **common}, "trained": found}
    (RESULTS / "validation.json").write_text(json.dumps(content, indent=2) + "\n")
    draw_validation(found, RESULTS / "validation.svg")
    print(tabulate_validation(found))
    for seed in dict.fromkeys(one["street"] for one in found):
        print(f"street {seed}: Spearman {correlate(found, street=seed):.2f}")


def run_gardens_point(clone: Path, recipe: Parameters, common: Parameters) -> None:
    """Print the fixed recipe on Gardens Point, each light compared with no training."""
    rows = []
    for name, parameters in gardens_point().items():
        chosen = {**parameters, **EPOCHS, **common}
        run_stages(clone, chosen, "trunk")
        before = train_and_rank(clone, chosen | {"finetune.epochs": 0})
        after = train_and_rank(clone, chosen | recipe)
        shares = [f"{trained.recall:.3f}" for trained in (before, after)]
        rows.append([name, *shares, compare(before.ranks, after.ranks)])
    print(markdown.table(["set", "before training", "trained", "difference of recall@1"], rows))


def main() -> None:
    """Run what is asked for, and print."""
    asked = parse_arguments()
    network: dict[str, object] = {"finetune.epochs": asked.epochs}
    if asked.vgg16:
        network = CHALLENGE | {"trunk.precision": "bfloat16"} | network
    if asked.encoder:
        network |= {"trunk.encoder": asked.encoder, "trunk.model": None}
    if asked.trainable_from:
        network |= {"trunk.trainable_from": asked.trainable_from}
    street = {"sample.num_database": asked.num_database, "sample.difficulty": asked.difficulty}
    recipes = {name: RECIPES[name] for name in asked.recipes or RECIPES}
    with temporary_clone() as clone:
        if asked.gardens_point:
            run_gardens_point(clone, RECIPES[asked.gardens_point], network)
        elif asked.validation:
            found = sweep_validation(clone, recipes, network | street, asked.streets)
            save_validation(found, network | street)
        else:
            tabulate_recipes(clone, recipes, network | street, asked.streets)


def parse_arguments() -> argparse.Namespace:
    """Read the command line; the docstring of this file explains it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--recipes", nargs="+", metavar="RECIPE", choices=list(RECIPES))
    parser.add_argument("--gardens-point", metavar="RECIPE", choices=list(RECIPES))
    parser.add_argument("--validation", action="store_true")
    encoder = parser.add_mutually_exclusive_group()
    encoder.add_argument("--vgg16", action="store_true")
    encoder.add_argument("--encoder", metavar="NAME", help="a file of vpr/encoders")
    parser.add_argument("--trainable-from", help="the default is pool, with --vgg16 conv5_1")
    parser.add_argument("--epochs", metavar="N", type=int, default=EPOCHS["finetune.epochs"])
    parser.add_argument("--streets", nargs="+", metavar="SEED", type=int, default=STREETS)
    parser.add_argument("--num-database", metavar="N", type=int, default=160)
    parser.add_argument("--difficulty", metavar="D", type=float, default=0.9)
    return parser.parse_args()


if __name__ == "__main__":
    main()
