"""Curves of a run, one table each, for DVC's plots and the report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vpr.evaluation.recall import recall_of_ranks
from vpr.places.radius import is_within, metres_between


def recall_curve(ranks: NDArray[np.int64], *, depth: int) -> pd.DataFrame:
    """Recall@N for N = 1..depth, as columns `n` and `recall`."""
    ns = np.arange(1, depth + 1)
    return pd.DataFrame({"n": ns, "recall": recall_of_ranks(ranks, ns.tolist()).values()})


def radius_curve(
    top1: NDArray[np.float64], query: NDArray[np.float64], *, radius_m: Sequence[float]
) -> pd.DataFrame:
    """Recall@1 over a sweep of radii, as columns `radius_m` and `recall@1`.

    Args:
        top1: Easting and northing of the first predictions in metres, shape (num_queries, 2).
        query: The same for the queries.
        radius_m: Radii; a prediction at the edge counts, as it does for positives.
    """
    shares = [float(np.mean(is_within(top1, query, radius_m=radius))) for radius in radius_m]
    return pd.DataFrame({"radius_m": list(radius_m), "recall@1": shares})


def error_curve(metres: NDArray[np.float64]) -> pd.DataFrame:
    """Cumulative distribution of the first predictions' errors in metres, as two columns."""
    shares = np.arange(1, len(metres) + 1) / len(metres)
    columns = {"top1_metres": np.sort(metres).round(3), "fraction_of_queries": shares}
    return pd.DataFrame(columns).drop_duplicates("top1_metres", keep="last")


def save_curves(
    folder: Path,
    *,
    ranks: NDArray[np.int64],
    depth: int,
    top1: NDArray[np.float64],
    query: NDArray[np.float64],
    radii_m: Sequence[float],
    precision_recall: pd.DataFrame,
) -> None:
    """Write every curve into a new folder, one CSV file each.

    `ranks` are those of the first positives, from 1, shape (num_queries,). `top1` and `query` are
    eastings and northings in metres, shape (num_queries, 2), of the first predictions and of the
    queries; where they are unknown (NaN), curves have no rows.
    """
    folder.mkdir()
    metres = metres_between(top1, query)
    curves = {
        "recall": recall_curve(ranks, depth=depth),
        "radius": radius_curve(top1, query, radius_m=radii_m),
        "errors": error_curve(metres), "precision_recall": precision_recall,
    }  # fmt: skip
    num_rows = 0 if np.isnan(metres).any() else None
    for name, curve in curves.items():
        curve[:num_rows].to_csv(folder / f"{name}.csv", index=False)
