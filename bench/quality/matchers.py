"""Every matcher on every set: gains, losses and cost of re-ranking, query by query.

Run from the repository's root: `python -m bench.quality.matchers [METHOD ...]`. It runs the
pipeline up to the search in a temporary clone that shares this repository's cache, on the sets that
settings are chosen on, then finds and verifies points with all else as committed, without DVC, on a
GPU if there is one. `--gardens-point` uses Gardens Point instead, which is run once, with settings
that were fixed before. VPR_REAL_DATA names the folder of both.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.quality.choices import HARD, sets_for_choosing
from bench.quality.paired import compare
from bench.quality.results import gardens_point
from bench.shared import markdown
from bench.shared.trials import run_stages, temporary_clone
from vpr.evaluation.recall import first_correct_ranks
from vpr.images.image_files import list_images, read_image
from vpr.matchers.base.detection import detect_keypoints
from vpr.matchers.base.keypoints import Keypoints, load_keypoints, save_keypoints
from vpr.matchers.base.matcher import Matcher, load_matcher
from vpr.matchers.base.params import KeypointsParams
from vpr.places.positives import load_positives
from vpr.reranking.params import InliersParams, RerankParams
from vpr.reranking.reranking import Stop, rerank
from vpr.reranking.verification import verify_candidates
from vpr.retrieval.predictions import load_predictions
from vpr.runtime.parameters import load_params

METHODS = (
    "xfeat", "sift", "lines", "points_and_lines", "aliked", "aliked_lightglue", "disk",
    "disk_lightglue",
)  # fmt: skip
Ranks = NDArray[np.int64]


def find_points(matcher: Matcher, params: KeypointsParams, images: Path, folder: Path) -> Keypoints:
    """Find the points of one side, like the stage keypoints."""
    read = partial(read_image, scale_to=params.max_side_px)
    keypoints = detect_keypoints(
        matcher, list_images(images), read, max_keypoints=params.max_keypoints
    )  # fmt: skip
    save_keypoints(folder, keypoints)
    return load_keypoints(folder)


def rerank_by(matcher: Matcher) -> tuple[Ranks, float, float]:
    """Re-rank the retrieval of the clone that is the current folder.

    Returns:
        Rank of the first positive of each query, seconds per image and seconds per pair.
    """
    points = load_params("keypoints", KeypointsParams)
    params, order = load_params("inliers", InliersParams), load_params("rerank", RerankParams)
    retrieved = load_predictions(Path("data/predictions.npz"))
    with tempfile.TemporaryDirectory() as made:
        start = time.perf_counter()
        database, query = (
            find_points(matcher, points, Path("data/images") / side, Path(made) / side)
            for side in ("database", "query")
        )
        detected = time.perf_counter()
        pairs = verify_candidates(
            matcher, retrieved, database, query,
            top=params.top, rules=params.rules, stop=Stop(None, order.half_inliers), known=None,
            saved=Path(made) / "parts",
        )  # fmt: skip
        done = time.perf_counter()
    ranked = rerank(retrieved, pairs, top=order.top, half_inliers=order.half_inliers)
    image = (detected - start) / (len(database.sizes) + len(query.sizes))
    return ranks_of(ranked.indices), image, (done - detected) / pairs.inliers.size


def ranks_of(ranked: NDArray[np.int64]) -> Ranks:
    """Rank of the first positive of each query, in the clone that is the current folder."""
    return first_correct_ranks(ranked, load_positives(Path("data/prepared/positives.npz")))


def main() -> None:
    """Print a row for each set and method."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("methods", nargs="*", metavar="METHOD", default=METHODS)
    parser.add_argument("--gardens-point", action="store_true")
    parser.add_argument("--only", metavar="SET", help="one of the sets, by its name")
    asked = parser.parse_args()
    sets = sets_for_choosing() | HARD
    if asked.gardens_point:
        sets = gardens_point()
    if asked.only and asked.only not in sets:
        parser.error(f"--only {asked.only}: there are {', '.join(sets)}")
    against = ["against retrieval", f"against {asked.methods[0]}"]
    names = ["set", "`rerank.method`", "recall@1", *against, "s an image", "ms a pair"]
    print(markdown.head(names), flush=True)
    with temporary_clone() as clone:
        for name in [asked.only] if asked.only else sets:
            run_stages(clone, sets[name], "search", "prepare")
            with contextlib.chdir(clone):
                before = ranks_of(load_predictions(Path("data/predictions.npz")).indices)
                print(markdown.row([name, "none", f"{(before <= 1).mean():.3f}", *4 * "–"]))
                ranks_by_method: list[Ranks] = []
                for method in asked.methods:
                    matcher = load_matcher(method)
                    assert matcher is not None
                    ranks, image, pair = rerank_by(matcher)
                    ranks_by_method.append(ranks)
                    paired = [compare(before, ranks), compare(ranks_by_method[0], ranks)]
                    costs = [f"{image:.3f}", f"{1000 * pair:.1f}"]
                    share = f"{(ranks <= 1).mean():.3f}"
                    print(markdown.row([name, f"`{method}`", share, *paired, *costs]), flush=True)


if __name__ == "__main__":
    main()
