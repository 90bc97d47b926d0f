"""Photos of other places against a map, and what a run's own answers are worth.

Run from the repository's root: `python -m bench.quality.unknown`. VPR_REAL_DATA names the folder of
the webcams. It runs the pipeline, re-ranked by XFeat's points, in a temporary clone that shares
this repository's cache, and locates the queries of every other set by the run. `--gardens-point`
adds Gardens Point as a map and as photos; it is looked at once, with settings that were fixed
before.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import vpr
from bench.quality.results import RERANKED, DataSet, data_sets
from bench.shared import markdown
from bench.shared.trials import ROOT, call, set_parameters, temporary_clone
from vpr.evaluation.answers import STATES
from vpr.evaluation.comparison import compare_ranks
from vpr.evaluation.params import EvaluateParams
from vpr.evaluation.recall import first_correct_ranks
from vpr.evaluation.uncertainty import exact_interval
from vpr.images.image_files import list_images, path_of
from vpr.places.positives import load_positives
from vpr.retrieval.predictions import load_predictions
from vpr.run_files import POSITIVES, PREDICTIONS, QUERIES, QUERY_IMAGES
from vpr.runtime.parameters import load_params

MAPS = ("Demo", "Gardens Point, night", "Webcams, night")  # by night own queries are hardest
SETTINGS = RERANKED | {"evaluate.accept_by": "inliers", "inliers.stop": None}
Photos = dict[str, list[Path]]  # by the name of their set


def place_of(one: DataSet) -> str:
    """Name the place that a set is of, by day as by night."""
    return one.name.split(",")[0]


def gather_photos(clone: Path, sets: Sequence[DataSet], folder: Path, *, count: int) -> Photos:
    """Copy the queries of each set, at most so many, evenly spread."""
    photos: Photos = {}
    for one in sets:
        set_parameters(clone, one.parameters)
        call(clone, "dvc", "repro", "prepare")
        images = [path_of(image) for image in list_images(clone / QUERY_IMAGES)]
        spread = np.unique(np.linspace(0, len(images) - 1, count).round().astype(int))
        target = folder / one.name
        target.mkdir()
        photos[one.name] = [Path(shutil.copy(images[number], target)) for number in spread]
    return photos


def run_map(clone: Path, one: DataSet, params: EvaluateParams) -> list[object]:
    """Run a set, and write what its answers are worth as a row."""
    set_parameters(clone, one.parameters | SETTINGS)
    call(clone, "dvc", "repro", "evaluate")
    found = json.loads((clone / "metrics/details.json").read_text())
    truth = load_positives(clone / POSITIVES)
    ranks = [
        first_correct_ranks(load_predictions(clone / file).indices, truth)
        for file in (PREDICTIONS, "data/reranked.npz")
    ]
    (paired,) = compare_ranks(
        *ranks, ns=[1], block_length=params.block_length, num_samples=params.num_samples,
        confidence=params.confidence, seed=params.seed,
    )  # fmt: skip
    low, high = paired.interval
    return [
        one.name, f"{paired.recall_a:.3f}",
        f"{paired.recall_b:.3f} ({low:+.3f} to {high:+.3f})", *_worth(found),
    ]  # fmt: skip


def _worth(found: dict[str, Any]) -> list[str]:
    shares = ", ".join(f"{found[f'share_{state}']:.2f}" for state in STATES)
    circles = _interval(found, "circles_hold")
    return [
        shares, f"{found.get('accept_precision', float('nan')):.3f}",
        f"{found['coverage_at_risk_1']:.3f}", f"{found['area_under_risk_coverage']:.4f}",
        f"{found['average_precision']:.3f}", f"{found['recall_at_precision_100']:.3f}",
        _interval(found, "place_false_acceptance"), circles,
    ]  # fmt: skip


def _interval(found: dict[str, Any], name: str) -> str:
    if name not in found:
        return "–"
    low, high = found[f"{name}_interval"]
    return f"{found[name]:.3f} of {found[f'{name}_of']} ({low:.3f}–{high:.3f})"


def locate_others(clone: Path, one: DataSet, photos: Photos) -> Iterator[list[object]]:
    """Locate the photos of other places by the run of a map, and its own queries.

    Yields:
        A row for each set of photos: how many get each answer.
    """
    table, run = pd.read_csv(clone / QUERIES), vpr.load_run(clone)
    right = (table["first_correct_rank"] == 1).to_numpy()
    own, nfa = table["state"].to_numpy(), table["top1_log10_nfa"].to_numpy(np.float64)
    for name, some in {"own queries, right": right, "own queries, wrong": ~right}.items():
        if some.any():
            yield [one.name, name, *_answers(own[some]), _range(nfa[some])]
    for name, files in photos.items():
        located = run.locate_all(files, top=1)
        states = np.array([answer.state for answer in located])
        values = np.array([answer.matches[0].log10_nfa or 0.0 for answer in located])
        yield [one.name, name, *_answers(states), _range(values)]


def _answers(states: NDArray[Any]) -> Iterator[str]:
    """Write how many are in each state, with the exact 95 % interval of the share."""
    for state in STATES:
        found, count = int((states == state).sum()), len(states)
        low, high = exact_interval(found, count, confidence=0.95)
        yield f"{found} of {count} ({low:.3f}–{high:.3f})"


def _range(values: NDArray[np.float64]) -> str:
    return ", ".join(f"{of:.0f}" for of in np.quantile(values, [0, 0.1, 0.5, 0.9, 1]))


def main() -> None:
    """Print a row for each map and set of photos, then one for each map's own queries."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--gardens-point", action="store_true")
    parser.add_argument("--photos", type=int, default=30, help="photos of each set, at most")
    asked = parser.parse_args()
    params = load_params("evaluate", EvaluateParams, path=ROOT / "params.yaml")
    sets = [one for one in data_sets() if asked.gardens_point or "Gardens" not in one.name]
    worth = []
    columns = ["map", "photos", *STATES, "log10 NFA: 0, 10, 50, 90, 100 %"]
    print(markdown.head(columns), flush=True)
    with temporary_clone() as clone, tempfile.TemporaryDirectory() as folder:
        photos = gather_photos(clone, sets, Path(folder), count=asked.photos)
        for one in sorted(sets, key=lambda one: one.name):
            worth.append(markdown.row(run_map(clone, one, params)))
            foreign = {
                other.name: photos[other.name] for other in sets if place_of(one) != place_of(other)
            }
            for row in locate_others(clone, one, foreign) if one.name in MAPS else ():
                print(markdown.row(row), flush=True)
    print()
    print(markdown.head([
        "queries of", "recall@1 before", "recall@1 (change)", ", ".join(STATES),
        "precision of known", "coverage at 1 % risk", "area under risk", "average precision",
        "recall at 100 % precision", "wrong places known", "90 % circles that hold",
    ]))  # fmt: skip
    print(*worth, sep="\n")


if __name__ == "__main__":
    main()
