"""Validation recall against the queries' recall, as a chart and as a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import vl_convert
from scipy.stats import spearmanr

from bench.shared import markdown

Trained = dict[str, Any]  # street, recipe, validation, recall@1


def tabulate_validation(found: Sequence[Trained]) -> str:
    """Make one row for each training."""
    rows = [
        [one["street"], one["recipe"], f"{one['validation']:.3f}", f"{one['recall@1']:.3f}"]
        for one in found
    ]
    return markdown.table(["street", "recipe", "validation", "queries' recall@1"], rows)


def correlate(found: Sequence[Trained], *, street: int) -> float:
    """Compute Spearman's rank correlation of both recalls over the trainings of a street."""
    held_out, asked = (
        [float(one[key]) for one in found if one["street"] == street]
        for key in ("validation", "recall@1")
    )
    return float(spearmanr(held_out, asked).statistic)


def draw_validation(found: Sequence[Trained], path: Path) -> None:
    """Write an SVG chart: a point per training, a colour per street, correlations in the legend."""
    streets = sorted({one["street"] for one in found})
    names = {one: f"{one} (Spearman {correlate(found, street=one):.2f})" for one in streets}
    points = [
        {"street": names[one["street"]], "validation": one["validation"], "asked": one["recall@1"]}
        for one in found
    ]
    axes = {"validation": "recall@5 of held-out images", "asked": "recall@1 of queries"}
    chart = {
        "title": "Validation against the queries: a point is a recipe",
        "width": 420,
        "height": 300,
        "data": {"values": points},
        "mark": {"type": "point", "filled": True, "size": 60, "opacity": 0.7},
        "encoding": {
            axis: {
                "field": field, "type": "quantitative", "title": title, "scale": {"zero": False},
            }
            for axis, (field, title) in zip("xy", axes.items(), strict=True)
        } | {"color": {"field": "street", "title": "street"},
             "shape": {"field": "street", "title": "street"}},
    }  # fmt: skip
    path.write_text(vl_convert.vegalite_to_svg(chart) + "\n")
