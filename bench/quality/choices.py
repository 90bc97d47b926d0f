"""How the defaults were chosen: the image's size, the clusters, and the re-ranking score.

Run from the repository's root: `python -m bench.quality.choices`. It runs the pipeline in a
temporary clone that shares this repository's cache, on the demo and, where the environment variable
VPR_REAL_DATA names the folder it lies in, on `webcams_dev`; on no other set, since settings are
chosen here. It prints the tables of docs/experiments/encoders.md and reranking.md.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.quality.results import RERANKED, WHITENED, data_sets
from bench.shared import markdown
from bench.shared.trials import run_stages, run_trial, temporary_clone
from vpr.matchers.base.keypoints import load_keypoints
from vpr.matchers.base.matcher import LocalPoints, Rules, Verified
from vpr.matchers.xfeat import XFeat
from vpr.places.positives import load_positives, positives_of
from vpr.reranking.reranking import Stop
from vpr.reranking.verification import verify_candidates
from vpr.retrieval.predictions import load_predictions

TOP = 20  # candidates, as `inliers.top`
EVERY = Stop(None, 20.0)  # of them is verified
SIZES: tuple[tuple[int | None, int], ...] = (
    (None, 16), (None, 32), (None, 64), (320, 16), (320, 32), (320, 64), (256, 64),
)  # fmt: skip
FOR_CHOOSING = ("Demo", "Webcams, day", "Webcams, night")
HARD: dict[str, dict[str, object]] = {"Demo, `difficulty: 0.9`": {"sample.difficulty": 0.9}}


@dataclass(frozen=True)
class Candidates:
    """The first candidates of each query, with the counts that orders are made of.

    Args:
        cosines: Shape (num_queries, TOP), descending in each row.
        correct: Whether each candidate is a positive, same shape.
        counts: Counts by name, same shape: `F` and `H` inliers, `matches` unverified.
    """

    cosines: NDArray[np.float64]
    correct: NDArray[np.bool_]
    counts: dict[str, NDArray[np.int64]]


Order = Callable[[Candidates], NDArray[np.float64]]


def _saturating(half: float, kind: str) -> Order:
    return lambda those: those.cosines + those.counts[kind] / (those.counts[kind] + half)


def _gated(one: Candidates) -> NDArray[np.float64]:
    counts = one.counts["F"]
    clear = (counts.max(axis=1) >= 20) & (counts.max(axis=1) >= 1.3 * counts[:, 0])
    gated: NDArray[np.float64] = np.where(clear[:, None], counts + 1e-6 * one.cosines, one.cosines)
    return gated


def _scaled(one: Candidates) -> NDArray[np.float64]:
    low, high = (f(one.cosines, axis=1, keepdims=True) for f in (np.min, np.max))
    most = one.counts["F"].max(axis=1, keepdims=True).clip(min=1)
    scaled: NDArray[np.float64] = (one.cosines - low) / (high - low).clip(min=1e-9)
    return np.asarray(scaled + one.counts["F"] / most)


ORDERS: dict[str, Order] = {
    "retrieval": lambda one: one.cosines,
    "inliers of F alone": lambda one: one.counts["F"] + 1e-6 * one.cosines,
    "gate: inliers of F if at least 20 and 1.3 times the first's": _gated,
    "similarity scaled to 0..1 over the 20, plus inliers of F / most inliers": _scaled,
    "**cosine + inliers of F / (inliers + 20)**": _saturating(20, "F"),
    "the same with 50 in place of 20": _saturating(50, "F"),
    "the same with inliers of a homography (6 px)": _saturating(20, "H"),
    "the same with mutual matches, unverified": _saturating(20, "matches"),
}


class _Unverified(XFeat):
    """Takes every mutual match instead of verifying them."""

    def verify(self, query: LocalPoints, database: LocalPoints, rules: Rules) -> Verified:
        matches = self.match(query, database, rules)
        return Verified(matches, len(matches))


def find_candidates(clone: Path, parameters: dict[str, object]) -> Candidates:
    """Run the pipeline up to re-ranking by XFeat's points, and count each kind of matches."""
    run_stages(clone, parameters | RERANKED, "inliers")
    matcher = XFeat("bench")
    kinds = {
        "F": (matcher, Rules(None, "fundamental", 2.0)),
        "H": (matcher, Rules(None, "homography", 6.0)),
        "matches": (_Unverified("bench"), Rules(None, "fundamental", 2.0)),
    }
    with contextlib.chdir(clone):
        retrieved = load_predictions(Path("data/predictions.npz"))
        points = [load_keypoints(Path("data/keypoints") / side) for side in ("database", "query")]
        positives = load_positives(Path("data/prepared/positives.npz"))
    counts = {}
    for name, (verifier, rules) in kinds.items():
        with tempfile.TemporaryDirectory() as folder:
            pairs = verify_candidates(
                verifier, retrieved, *points, top=TOP, rules=rules, stop=EVERY, known=None,
                saved=Path(folder),
            )  # fmt: skip
        counts[name] = pairs.inliers
    correct = [
        np.isin(row[:TOP], positives_of(positives, query))
        for query, row in enumerate(retrieved.indices)
    ]
    cosines = 1 - retrieved.distances[:, :TOP].astype(np.float64) ** 2 / 2
    return Candidates(cosines, np.array(correct), counts)


def _right(one: Candidates, order: Order) -> NDArray[np.bool_]:
    best = np.argmax(order(one), axis=1)  # the first of equals, as a stable sort
    right: NDArray[np.bool_] = one.correct[np.arange(len(best)), best]
    return right


def tabulate_orders(clone: Path, sets: dict[str, dict[str, object]]) -> str:
    """Recall@1 of each order, with queries gained and lost against the retrieval."""
    found = {name: find_candidates(clone, parameters) for name, parameters in sets.items()}
    rows = []
    for title, order in ORDERS.items():
        cells = [title]
        for one in found.values():
            before, after = _right(one, ORDERS["retrieval"]), _right(one, order)
            gained, lost = int((after & ~before).sum()), int((before & ~after).sum())
            cells.append(f"{after.mean():.3f}" + (f" (+{gained} -{lost})" if gained + lost else ""))
        rows.append(cells)
    return markdown.table(["order", *found], rows)


def tabulate_sizes(clone: Path, sets: dict[str, dict[str, object]]) -> str:
    """Recall@1/5/10 by the image's size and clusters, for two seeds of k-means; and whitened."""
    rows = []
    for side, clusters in SIZES:
        rows.append([side or "as it is", clusters, *_cells(clone, sets, side, clusters, {})])
    rows.append(["320, whitened to 64", 64, *_cells(clone, sets, 320, 64, WHITENED)])
    return markdown.table(["longer side", "clusters", *sets], rows)


def _cells(
    clone: Path,
    sets: dict[str, dict[str, object]],
    side: int | None,
    clusters: int,
    more: dict[str, object],
) -> list[str]:
    cells = []
    for parameters in sets.values():
        texts = []
        for seed in (0, 1):
            changed = {
                "trunk.max_side_px": side, "finetune.num_clusters": clusters, "finetune.seed": seed,
            }  # fmt: skip
            found = run_trial(clone, parameters | changed | more, target="evaluate")
            texts.append("/".join(f"{found[f'recall@{n}']:.3f}" for n in (1, 5, 10)))
        cells.append(", ".join(texts))
    return cells


def sets_for_choosing() -> dict[str, dict[str, object]]:
    """Parameters of the sets that settings may be chosen on, by name."""
    return {one.name: one.parameters for one in data_sets() if one.name in FOR_CHOOSING}


def main() -> None:
    """Print both tables."""
    sets = sets_for_choosing()
    with temporary_clone() as clone:
        print(tabulate_orders(clone, sets | HARD), flush=True)
        print(tabulate_sizes(clone, sets))


if __name__ == "__main__":
    main()
