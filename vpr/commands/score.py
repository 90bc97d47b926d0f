"""`python -m vpr score`: recall of predictions, published ones too, without any image."""

from __future__ import annotations

import math
from json import dumps
from pathlib import Path
from typing import Annotated

import typer

from vpr.foreign_rankings import parse_rankings
from vpr.formats import parse_set
from vpr.scoring import score_rankings, tell_score


def score(
    predictions: Annotated[Path, typer.Option(help="Our .npz, a submission, or other JSON.")],
    truth: Annotated[Path, typer.Option(help="Ground truth: a file in a known form, or a folder.")],
    n: Annotated[str | None, typer.Option(help="Depths N, as in 1,5,10,20.")] = None,
    radius: Annotated[float | None, typer.Option(help="Metres. Default: the set's own.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Recall of predictions against a ground truth, over both denominators in use."""
    folder, name = (truth, None) if truth.is_dir() else (truth.parent, truth.name)
    places = parse_set(folder, name)
    radius_m = places.radius_m if radius is None else radius
    if radius_m is None or not 0 < radius_m < math.inf:
        raise ValueError(
            f"--radius: expected metres above 0, found {radius_m} ({truth}, {places.form}, brings "
            f"{places.radius_m})"
        )
    rankings = parse_rankings(
        predictions,
        num_queries=len(places.query.paths),
        num_database=len(places.database.paths),
    )
    result = score_rankings(rankings, places, radius_m=radius_m, ns=_depths(n))
    print(dumps(result, indent=2) if json else tell_score(result))


def _depths(text: str | None) -> list[int] | None:
    try:
        return None if text is None else [int(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"--n: expected whole numbers as in 1,5,10,20, found {text!r}") from None
