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
        is_share: Whether the vertical axis runs from 0 to 1.
    """

    name: str
    title: str
    x: str
    y: str
    x_title: str
    y_title: str
    note: str
    is_share: bool = True


CURVES = {
    "recall.csv": Curve(
        "recall", "Recall at N", "n", "recall", "N (predictions looked at)", "recall@N",
        "A query counts as answered at N if one of its first N predictions is a positive.",
    ),
    "radius.csv": Curve(
        "radius", "Recall by radius", "radius_m", "recall@1", "radius (m)", "recall@1",
        "How recall@1 would change if a prediction counted as right within another distance.",
    ),
    "errors.csv": Curve(
        "errors", "Error of the first prediction", "top1_metres", "fraction_of_queries",
        "distance from the query (m)", "fraction of queries",
        "The share of queries whose first prediction is at most that far away.",
    ),
    "precision_recall.csv": Curve(
        "precision-recall", "Known or unknown place", "recall", "precision",
        "recall", "precision",
        "Each point accepts the first predictions up to one limit. Precision: right, of the "
        "accepted; every wrong one counts against it, also of queries that have a positive. "
        "Recall: accepted and right, of the queries that have a positive. It ends at recall@1.",
    ),
    "map_errors.csv": Curve(
        "map-errors", "Is it this map?", "false_rejection", "false_acceptance",
        "false rejection", "false acceptance",
        "Each point accepts photos up to one limit. False acceptance: of the photos from outside "
        "the map. False rejection: of the queries whose first prediction is right.",
    ),
    "place_errors.csv": Curve(
        "place-errors", "Which place of the map?", "false_rejection", "false_acceptance",
        "false rejection", "false acceptance",
        "The same for the probability of the first prediction. False acceptance: of the best wrong "
        "places, where the right one is masked.",
    ),
    "risk_coverage.csv": Curve(
        "risk-coverage", "Risk by coverage", "coverage", "risk",
        "coverage (share of queries answered)", "risk (share of answers that are wrong)",
        "The surest queries are answered first. Any wrong first prediction counts.",
    ),
    "reliability.csv": Curve(
        "reliability", "Reliability of the probability", "probability", "share_right",
        "stated probability", "share that is right",
        "Groups of equally many queries, calibrated on other blocks of the route. Ideal is the "
        "diagonal.",
    ),
    "circles.csv": Curve(
        "circles", "Circles that hold the position", "level", "share_held",
        "stated share", "share that holds",
        "Circles around the estimated position, calibrated on other blocks of the route. Ideal is "
        "the diagonal.",
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
        For each the fields of `Curve`, with lists of numbers for `x` and `y`, and the rows of a
        table `rows` (at most 25, evenly spread). A curve without rows (an untrained model has no
        loss) is left out.

    Raises:
        ValueError: If a file lacks its columns or holds anything but numbers.
    """
    by_name = {file.name: file for file in files}
    charts = []
    for name, curve in CURVES.items():
        if name in by_name and len(points := _read(by_name[name], curve)):
            charts.append(asdict(curve) | _listed(points))
    return charts


def _read(file: Path, curve: Curve) -> pd.DataFrame:
    table = pd.read_csv(file)
    missing = {curve.x, curve.y} - set(table.columns)
    if missing:
        raise ValueError(f"{file}: column {missing.pop()!r} is missing in {list(table.columns)}")
    try:
        return table[[curve.x, curve.y]].astype(float).dropna()
    except ValueError as error:
        raise ValueError(f"{file}: expected numbers: {error}") from None


def _listed(points: pd.DataFrame) -> dict[str, Any]:
    x, y = (points[name].tolist() for name in points)
    step = max(1, -(-len(x) // TABLE_ROWS))
    kept = sorted({*range(0, len(x), step), len(x) - 1})
    return {"x": x, "y": y, "rows": [(x[row], y[row]) for row in kept]}
