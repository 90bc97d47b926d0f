"""Where the time of verification goes, beside what it gains: a row for each set and rule.

Run from the repository's root: `python -m bench.speed.verification`. It runs the pipeline in a
temporary clone that shares this repository's cache, re-ranked by XFeat's points, and re-ranks each
query once more as `locate` does. Parts are processor time, which other work changes little.
`--gardens-point` uses Gardens Point instead, which is looked at once, with settings that were fixed
before. VPR_REAL_DATA names the folder of both.
"""

from __future__ import annotations

import argparse
import contextlib
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.quality.choices import sets_for_choosing
from bench.quality.paired import compare
from bench.quality.results import RERANKED, gardens_point
from bench.shared import markdown
from bench.shared.trials import run_stages, temporary_clone
from vpr.evaluation.recall import first_correct_ranks
from vpr.images.image_files import list_images, read_image
from vpr.locating.run import load_ranker
from vpr.matchers.base import learned, matching
from vpr.places.positives import load_positives
from vpr.reranking import reranker as reranking
from vpr.reranking.reranker import Reranker
from vpr.retrieval.predictions import Predictions, load_predictions
from vpr.run_files import POSITIVES, PREDICTIONS, QUERY_IMAGES

PARTS = {
    "detect": (reranking, "detect_points"), "match": (learned, "match_mutually"),
    "geometry": (matching, "find_inliers"),
}  # fmt: skip
RULES: dict[str, int | None] = {"every candidate": None, "`inliers.stop: 1`": 1}
Seconds = dict[str, float]


@contextlib.contextmanager
def timed_parts() -> Iterator[Seconds]:
    """Add up the processor time of each part, of all threads."""
    seconds: Seconds = defaultdict(float)
    lock = threading.Lock()

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*values: Any, **named: Any) -> Any:  # noqa: ANN401
            start = time.thread_time()
            try:
                return function(*values, **named)
            finally:
                with lock:
                    seconds[name] += time.thread_time() - start

        return run

    before = {name: getattr(*place) for name, place in PARTS.items()}
    for name, (module, function) in PARTS.items():
        setattr(module, function, timed(name, before[name]))
    try:
        yield seconds
    finally:
        for name, (module, function) in PARTS.items():
            setattr(module, function, before[name])


def measure(run: Path, reranker: Reranker) -> tuple[NDArray[np.int64], list[str]]:
    """Re-rank each query of a run from its image.

    Returns:
        Rank of the first positive of each query, and the cells of the costs.
    """
    retrieved = load_predictions(run / PREDICTIONS)
    images = list_images(run / QUERY_IMAGES)
    ordered, num_pairs = [], 0
    with timed_parts() as parts:
        start, busy = time.perf_counter(), time.process_time()
        for number, image in enumerate(images):
            pixels = read_image(image, scale_to=reranker.keypoints.max_side_px)
            row = Predictions(
                retrieved.indices[[number]], retrieved.distances[[number]], retrieved.num_database
            )
            order, pairs = reranker.rerank(pixels, row, num_ranked=row.indices.shape[1])
            ordered.append(order.indices[0])
            num_pairs += pairs.num_verified
        passed, busy = time.perf_counter() - start, time.process_time() - busy
    each = [1000 * seconds / len(images) for seconds in (*(parts[name] for name in PARTS), busy)]
    ranks = first_correct_ranks(np.array(ordered), load_positives(run / POSITIVES))
    costs = [f"{num_pairs / len(images):.1f}", *(f"{cost:.1f}" for cost in each)]
    return ranks, [*costs, f"{passed / len(images):.3f}"]


def main() -> None:
    """Print a row for each set and rule."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--gardens-point", action="store_true")
    sets = gardens_point() if parser.parse_args().gardens_point else sets_for_choosing()
    parts = [*(f"{name}, ms" for name in PARTS), "all, ms"]
    recalls = ["recall@1, 5", "recall@1 against retrieval", "against every candidate"]
    print(markdown.head(["set", "verified", "pairs", *parts, "s a query", *recalls]), flush=True)
    with temporary_clone() as clone:
        for name, parameters in sets.items():
            run_stages(clone, parameters | RERANKED, "order")
            loaded = load_ranker(clone).reranker
            assert loaded is not None
            retrieved = load_predictions(clone / PREDICTIONS).indices
            before = first_correct_ranks(retrieved, load_positives(clone / POSITIVES))
            all_verified = before
            for rule, stop in RULES.items():
                fitted = replace(loaded, inliers=replace(loaded.inliers, stop=stop))
                ranks, costs = measure(clone, fitted)
                all_verified = ranks if stop is None else all_verified
                recall = ", ".join(f"{(ranks <= depth).mean():.3f}" for depth in (1, 5))
                paired = [compare(before, ranks), compare(all_verified, ranks)]
                print(markdown.row([name, rule, *costs, recall, *paired]), flush=True)


if __name__ == "__main__":
    main()
