"""The stage that orders along a route, run on files of the current folder."""

from __future__ import annotations

from pathlib import Path

from stages.order import sequence
from vpr.retrieval.predictions import Predictions, load_predictions


def order_along_route(settings: str) -> Predictions:
    """Order `alone.npz` with some settings of `sequence`, and read the result, `along.npz`.

    The descriptors and indices are `database.npy`, `query.npy`, `database.csv` and `query.csv`.
    """
    Path("params.yaml").write_text(
        f"sequence: {{{settings}, contrast_reach: null, step_m: null}}\n"
    )
    sequence(
        predictions=Path("alone.npz"), verified=Path("verified"),
        database_descriptors=Path("database.npy"), query_descriptors=Path("query.npy"),
        database=Path("database.csv"), query=Path("query.csv"), radius=Path("radius.json"),
        sequenced=Path("along.npz"), estimates=Path("estimates.csv"),
    )  # fmt: skip
    return load_predictions(Path("along.npz"))
