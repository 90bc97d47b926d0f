"""Photos of other places against a map: how often each way of accepting takes them for known.

Run from the repository's root: `python -m bench.quality.unknown`. VPR_REAL_DATA names the folder of
the webcams. It runs the pipeline, re-ranked by XFeat's points, in a temporary clone that shares
this repository's cache, and locates the queries of every other set by the run. `--gardens-point`
adds Gardens Point as a map and as photos; it is looked at once, with settings that were fixed
before.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binomtest

import vpr
from bench.quality.results import RERANKED, DataSet, data_sets
from bench.shared import markdown
from bench.shared.trials import call, set_parameters, temporary_clone
from vpr.evaluation.acceptance import precision_recall
from vpr.images.image_files import list_images, path_of
from vpr.run_files import QUERIES, QUERY_IMAGES

MAPS = ("Demo", "Gardens Point, night", "Webcams, night")  # by night own queries are hardest
# Half as many candidates as by default, for time; the limit follows from their number.
SETTINGS = RERANKED | {"evaluate.accept_by": "inliers", "inliers.top": 10, "rerank.top": 10}
BEFORE = 0.9  # precision on the map's own queries, which limits were once fitted to
Photos = dict[str, list[Path]]  # by the name of their set
Flags = NDArray[np.bool_]


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


def precise_limit(doubts: NDArray[np.float64], correct: Flags) -> float:
    """Fit the largest doubt with a precision of `BEFORE`, as was done before."""
    curve = precision_recall(doubts, correct, num_answerable=len(correct))
    return float(curve["threshold"][curve["precision"] >= BEFORE].max())


def share(accepted: Flags) -> str:
    """Write how many are accepted, with the exact 95 % interval."""
    found, count = int(accepted.sum()), len(accepted)
    low, high = binomtest(found, count).proportion_ci(0.95, method="exact")
    return f"{found} of {count} ({low:.3f}–{high:.3f})"


def measure_map(clone: Path, one: DataSet, photos: Photos) -> Iterator[list[object]]:
    """Run a map, and locate its own queries and the photos of other places.

    Yields:
        A row for each set of photos.
    """
    set_parameters(clone, one.parameters | SETTINGS)
    call(clone, "dvc", "repro", "evaluate")
    table, run = pd.read_csv(clone / QUERIES), vpr.load_run(clone)
    right = (table["first_correct_rank"] == 1).to_numpy()
    columns = ("top1_distance", "top1_inliers", "top1_log10_nfa")
    distance, inliers, nfa = (table[name].to_numpy(np.float64) for name in columns)
    nearest, fewest = precise_limit(distance, right), precise_limit(-inliers, right)
    accepted = table["accepted"].to_numpy(bool)
    ways = (distance <= nearest, -inliers <= fewest, accepted)
    own = {"own queries, right": right, "own queries, wrong": ~right}
    for name, some in own.items():
        if some.any():
            yield [one.name, name, *(share(way[some]) for way in ways), _range(nfa[some])]
    for name, files in photos.items():
        located = run.locate_all(files, top=1)
        first = [answer.matches[0] for answer in located]
        found = (
            np.array([match.distance <= nearest for match in first]),
            np.array([-(match.inliers or 0) <= fewest for match in first]),
            np.array([bool(answer.accepted) for answer in located]),
        )
        values = np.array([match.log10_nfa or 0.0 for match in first])
        yield [one.name, name, *map(share, found), _range(values)]


def _range(values: NDArray[np.float64]) -> str:
    return ", ".join(f"{of:.0f}" for of in np.quantile(values, [0, 0.1, 0.5, 0.9, 1]))


def main() -> None:
    """Print a row for each map and set of photos."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--gardens-point", action="store_true")
    parser.add_argument("--photos", type=int, default=30, help="photos of each set, at most")
    asked = parser.parse_args()
    sets = [one for one in data_sets() if asked.gardens_point or "Gardens" not in one.name]
    print(markdown.head([
        "map", "photos", "before, by distance", "before, by inliers", "by inliers",
        "log10 NFA: 0, 10, 50, 90, 100 %",
    ]), flush=True)  # fmt: skip
    with temporary_clone() as clone, tempfile.TemporaryDirectory() as folder:
        photos = gather_photos(clone, sets, Path(folder), count=asked.photos)
        for one in sorted((one for one in sets if one.name in MAPS), key=lambda one: one.name):
            foreign = {
                other.name: photos[other.name] for other in sets if place_of(one) != place_of(other)
            }
            for row in measure_map(clone, one, foreign):
                print(markdown.row(row), flush=True)


if __name__ == "__main__":
    main()
