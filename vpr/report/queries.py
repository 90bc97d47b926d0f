"""What the report's map and gallery show: each query with the first of its predictions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.spatial import cKDTree

from vpr.evaluation.params import By
from vpr.evaluation.query_table import check_sizes, errors_in_metres
from vpr.places.crs import latitude_longitude, list_directions
from vpr.places.index import ImageIndex
from vpr.places.positives import positives_of
from vpr.reranking.verified_pairs import VerifiedPairs
from vpr.retrieval.predictions import Predictions

Columns = Mapping[str, Any]
# Column of the doubt about a first prediction in the table of the queries.
SCORE_COLUMNS: Mapping[By, str] = {"distance": "top1_distance", "inliers": "top1_log10_nfa"}


def describe_places(index: ImageIndex, crs: str | None) -> Columns:
    """Names and positions of one side, a list for each column.

    Args:
        index: The side's images.
        crs: Reference system of the coordinates; None: no latitude and longitude.

    Returns:
        `path`, `east`, `north` in metres, None where unknown, `lat`, `lon` in degrees or None; and
        where headings are known, `towards` in degrees clockwise from the northing axis.
    """
    globe = latitude_longitude(index.coordinates, crs) if crs and index.has_places else None
    towards = list_directions(index, crs)
    east, north = _known(index.coordinates.T.round(2))
    return {
        "path": index.paths,
        "east": east,
        "north": north,
        "lat": None if globe is None else globe[:, 0].round(6).tolist(),
        "lon": None if globe is None else globe[:, 1].round(6).tolist(),
        **({} if towards is None else {"towards": towards}),
    }


def describe_predictions(
    predictions: Predictions,
    verified: VerifiedPairs,
    positives: csr_array,
    database: ImageIndex,
    query: ImageIndex,
    table: pd.DataFrame,
    *,
    depth: int,
    by: By,
) -> Columns:
    """Collect the first predictions of each query, and how right and how sure they are.

    Args:
        predictions: The ranked database of each query.
        verified: Inliers of the predictions; of no query where re-ranking is off.
        positives: Query x database; stored entries are the positives.
        database: Index of the database.
        query: Index of the queries.
        table: Table of the queries, as text.
        depth: Predictions shown; the ranking may be shorter.
        by: Source of the doubt about a first prediction.

    Returns:
        A list over queries for each column; `index`, `metres`, `distance` and `correct` hold a list
        of at most depth values for each query. `margin` is how much farther the nearest other
        prediction is than the first (below 0 where re-ranking put it before a nearer one), None at
        depth 1. `score` is the doubt about the first prediction. `inliers` is there if predictions
        were verified, None of those that were not.
    """
    check_sizes(predictions, positives, database, query)
    shown = predictions.indices[:, :depth]
    ranks = pd.to_numeric(table["first_correct_rank"]).to_numpy(dtype=np.float64)
    columns = {
        "index": shown.tolist(),
        "metres": _known(errors_in_metres(shown, database, query).round(3)),
        "distance": predictions.distances[:, :depth].astype(np.float64).round(4).tolist(),
        "correct": [
            np.isin(ranking, positives_of(positives, row)).tolist()
            for row, ranking in enumerate(shown)
        ],
        "rank": [None if np.isnan(rank) else int(rank) for rank in ranks],
        "accepted": [{"True": True, "False": False}.get(text) for text in table["accepted"]],
        "positives": np.diff(positives.indptr).tolist(),
        "score": pd.to_numeric(table[SCORE_COLUMNS[by]]).tolist(),
        "margin": _margins(predictions.distances),
    }
    if verified.candidates.size:
        columns["inliers"] = [
            [(verified.evidence_of(query, image) or (None,))[0] for image in images]
            for query, images in enumerate(shown.tolist())
        ]
    return columns


def _known(numbers: NDArray[np.float64]) -> list[list[float | None]]:
    """Write numbers for JSON, which has no NaN: None."""
    rows: list[list[float | None]] = np.where(np.isnan(numbers), None, numbers).tolist()  # type: ignore[call-overload]
    return rows


def _margins(distances: NDArray[np.float32]) -> list[float] | None:
    if distances.shape[1] < 2:
        return None
    exact = distances.astype(np.float64)
    return [round(float(margin), 4) for margin in exact[:, 1:].min(axis=1) - exact[:, 0]]


def describe_set(
    database: ImageIndex, query: ImageIndex, positives: csr_array
) -> list[tuple[str, str]]:
    """List facts of the data set, as pairs of name and value."""
    images = [
        ("Database images", f"{len(database.paths):,}"),
        ("Query images", f"{len(query.paths):,}"),
    ]
    places = np.concatenate([database.coordinates, query.coordinates])
    if np.isnan(places).any():
        return [*images, ("Positions", "unknown, of a side or both")]
    east, north = np.ptp(places, axis=0)
    counts = np.diff(positives.indptr)
    farthest = positives.data.max() if positives.nnz else 0.0
    apart = np.asarray(cKDTree(database.coordinates).query(database.coordinates, k=2)[0])[:, 1]
    return [
        *images,
        ("Extent", f"{east:,.0f} m east-west, {north:,.0f} m north-south"),
        ("Positives of a query", f"{counts.min()} to {counts.max()}, mean {counts.mean():.2f}"),
        ("Queries without a positive", f"{np.count_nonzero(counts == 0):,}"),
        ("Largest recall there can be", f"{np.count_nonzero(counts) / len(counts):.1%}"),
        ("Farthest positive", f"{farthest:.1f} m"),
        ("Spacing of the database", f"{np.median(apart):.3g} m to the nearest image (median)"),
    ]
