"""What an export costs: recall of the run's queries before and after, query by query."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vpr.evaluation.comparison import compare_ranks
from vpr.evaluation.params import EvaluateParams
from vpr.evaluation.recall import first_correct_ranks
from vpr.images.image_files import list_images
from vpr.places.positives import load_positives
from vpr.pocket.graph import describe_by_graph
from vpr.pocket.source import Source
from vpr.repository.locked_run import locked_params
from vpr.retrieval.descriptors import load_descriptors
from vpr.retrieval.ranking import rank_database
from vpr.run_files import DESCRIPTORS, LOCK, POSITIVES, QUERY_IMAGES, WHITENED

MAX_QUERIES = 500  # evenly spaced, that a graph is compared on
DEPTHS = (1, 5)


def rows_of(source: Source, side: str) -> NDArray[np.float32]:
    """Descriptors of a side, `database` or `query`, as they are searched: unit rows (N, dim)."""
    return source.whiten(load_descriptors((source.folder / DESCRIPTORS).with_name(f"{side}.npy")))


def run_rows(folder: Path, side: str) -> NDArray[np.float32]:
    """Descriptors that the run itself searched, whitened if it whitens: unit rows (N, dim)."""
    return load_descriptors((folder / WHITENED).with_name(f"{side}.npy"))


def describe_graph_loss(path: Path, source: Source) -> str:
    """Compare the run's queries, described by the pipeline and by a graph, in words."""
    images = list_images(source.folder / QUERY_IMAGES)
    count = min(len(images), MAX_QUERIES)
    chosen = np.linspace(0, len(images) - 1, count).round().astype(np.int64)
    found = describe_by_graph(path, [images[number] for number in chosen], source)
    database, before = rows_of(source, "database"), rows_of(source, "query")[chosen]
    apart = np.linalg.norm(found - before, axis=1)
    return (
        f"distance from the run's own descriptors of {count} queries: "
        f"{np.median(apart):.2g} in the middle, {apart.max():.2g} at most; "
        + describe_loss(source.folder, (database, before), (database, found), chosen)
    )


def describe_loss(
    folder: Path,
    before: tuple[NDArray[np.float32], NDArray[np.float32]],
    after: tuple[NDArray[np.float32], NDArray[np.float32]],
    chosen: NDArray[np.int64],
) -> str:
    """Compare recall without re-ranking of two forms of the same run, in words.

    Args:
        folder: Folder of the run.
        before: Descriptors of the database and of queries, unit rows.
        after: The same in another form, of any width.
        chosen: The queries, by their numbers, in the order of the route.
    """
    params = locked_params("evaluate", "evaluate", EvaluateParams, lock=folder / LOCK)
    positives = load_positives(folder / POSITIVES)[chosen]
    depth = min(max(DEPTHS), positives.shape[1])
    rankings = [rank_database(*rows, top_k=depth)[0] for rows in (before, after)]
    same = int((rankings[0][:, 0] == rankings[1][:, 0]).sum())
    words = [f"first match the same for {same} of {len(chosen)} (without re-ranking)"]
    if positives.nnz:
        for pair in compare_ranks(
            *(first_correct_ranks(ranking, positives) for ranking in rankings),
            ns=[n for n in DEPTHS if n <= depth], block_length=params.block_length,
            num_samples=params.num_samples, confidence=params.confidence, seed=params.seed,
        ):  # fmt: skip
            low, high = pair.interval
            words.append(
                f"recall@{pair.n} {pair.recall_a:.3f} -> {pair.recall_b:.3f}, difference "
                f"{pair.difference:+.3f} [{low:+.3f}, {high:+.3f}], {len(pair.gained)} gained, "
                f"{len(pair.lost)} lost, p = {pair.p_value:.2g}"
            )
    return "; ".join(words)
