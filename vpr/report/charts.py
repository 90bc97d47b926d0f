"""The report's charts: curves that other stages wrote, with words to show them by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

TABLE_ROWS = 25  # of the table beside a chart; longer curves are thinned out


@dataclass(frozen=True)
class Curve:
    """A table with a column for each axis, and how to show it.

    Args:
        name: Name of its section in the page.
        title: Title of its section.
        x: Column of the horizontal axis.
        y: Column of the vertical axis.
        x_title: Words for the horizontal axis, with its unit.
        y_title: Words for the vertical axis.
        note: How to read it.
        is_share: Whether the vertical axis ends at 1.
        is_log: Whether the horizontal axis is logarithmic.
        is_corner: Whether the horizontal axis ends where the curve, which falls, is flat.
        diagonal: Whether the ideal is the diagonal.
        leads_to: Queries of a point, as the gallery's address asks for them: `{}` is the value of
            `leads_by`; empty: a point leads nowhere.
        leads_by: Column of the value; empty: `x`.
    """

    name: str
    title: str
    x: str
    y: str
    x_title: str
    y_title: str
    note: str
    is_share: bool = True
    is_log: bool = False
    is_corner: bool = False
    diagonal: bool = False
    leads_to: str = ""
    leads_by: str = ""


CURVES = {
    "recall.csv": Curve(
        "recall", "Recall at N", "n", "recall", "N (predictions looked at)", "recall@N",
        "A query counts as answered at N if one of its first N predictions is a positive. A point "
        "leads to the queries that are not.", leads_to="rank={}..",
    ),
    "radius.csv": Curve(
        "radius", "Recall by radius", "radius_m", "recall@1", "radius (m)", "recall@1",
        "How recall@1 would change if a prediction counted as right within another distance. A "
        "point leads to the queries whose first prediction is farther away.",
        leads_to="metres={}..",
    ),
    "errors.csv": Curve(
        "errors", "Error of the first prediction", "top1_metres", "fraction_of_queries",
        "distance from the query (m)", "fraction of queries",
        "The share of queries whose first prediction is at most that far away, on a logarithmic "
        "axis that begins at 0.1 m. A point leads to the queries that are farther.",
        is_log=True, leads_to="metres={}..",
    ),
    "precision_recall.csv": Curve(
        "precision-recall", "Known or unknown place", "recall", "precision",
        "recall", "precision",
        "Each point accepts the first predictions up to one limit. Precision: right, of the "
        "accepted; every wrong one counts against it, also of queries that have a positive. "
        "Recall: accepted and right, of the queries that have a positive. It ends at recall@1. A "
        "point leads to the queries that it accepts.", leads_to="score=..{}", leads_by="threshold",
    ),
    "map_errors.csv": Curve(
        "map-errors", "Is it this map?", "false_rejection", "false_acceptance",
        "false rejection", "false acceptance",
        "Each point accepts photos up to one limit. False acceptance: of the photos from outside "
        "the map. False rejection: of the queries whose first prediction is right.",
        is_corner=True,
    ),
    "place_errors.csv": Curve(
        "place-errors", "Which place of the map?", "false_rejection", "false_acceptance",
        "false rejection", "false acceptance",
        "The same for the probability of the first prediction. False acceptance: of the best wrong "
        "places, where the right one is masked.", is_corner=True,
    ),
    "risk_coverage.csv": Curve(
        "risk-coverage", "Risk by coverage", "coverage", "risk",
        "coverage", "risk",
        "The surest queries are answered first. Coverage: the share that is answered. Risk: the "
        "share of the answers that are wrong; any wrong first prediction counts.",
    ),
    "reliability.csv": Curve(
        "reliability", "Reliability of the probability", "probability", "share_right",
        "stated probability", "share that is right",
        "Groups of equally many queries, calibrated on other blocks of the route. Ideal is the "
        "diagonal.", diagonal=True,
    ),
    "circles.csv": Curve(
        "circles", "Circles that hold the position", "level", "share_held",
        "stated share", "share that holds",
        "Circles around the estimated position, calibrated on other blocks of the route. Ideal is "
        "the diagonal.", diagonal=True,
    ),
    "loss.csv": Curve(
        "loss", "Training loss", "epoch", "loss", "epoch", "mean loss",
        "On the database only; training does not see queries.", is_share=False,
    ),
}  # fmt: skip


def collect_charts(files: Sequence[Path]) -> list[dict[str, Any]]:
    """Collect the charts of the curves that were written, in the page's order.

    Args:
        files: CSV files; the name says which curve.

    Returns:
        For each the fields of `Curve`, with lists of numbers for `x`, `y` and, where points lead
        somewhere, `leads_by`, and the rows of a table `rows` (at most 25, evenly spread) with the
        address of each. A curve without rows (an untrained model has no loss) is left out.
    """
    by_name = {file.name: file for file in files}
    charts = []
    for name, curve in CURVES.items():
        if name in by_name and len(points := _read(by_name[name], curve)):
            charts.append(asdict(curve) | _listed(points, curve.leads_to))
    return charts


def _read(file: Path, curve: Curve) -> pd.DataFrame:
    """Read a curve's columns: horizontal, vertical, and the value that leads to queries."""
    columns = [curve.x, curve.y, curve.leads_by or curve.x]
    return pd.read_csv(file)[columns].astype(float).dropna()


def _listed(points: pd.DataFrame, leads_to: str) -> dict[str, Any]:
    x, y, by = ([float(f"{of:.6g}") for of in column] for column in points.to_numpy().T.tolist())
    step = max(1, -(-len(x) // TABLE_ROWS))
    kept = sorted({*range(0, len(x), step), len(x) - 1})
    rows = [(x[row], y[row], leads_to.format(f"{by[row]:g}")) for row in kept]
    return {"x": x, "y": y, "leads_by": by if leads_to else [], "rows": rows}
