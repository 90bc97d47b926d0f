"""Stage search: the database ranked for each query."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from vpr.entry import run_stage

from pydantic import Field

from vpr.artefacts import built_aside
from vpr.descriptors import load_descriptors
from vpr.parameters import load_params
from vpr.predictions import Predictions, save_predictions
from vpr.ranking import rank_database


@dataclass(frozen=True)
class SearchParams:
    """Parameters of the stage search."""

    top_k: Annotated[int, Field(ge=1)]


def search(*, database: Path, query: Path, predictions: Path) -> None:
    """Find the nearest database descriptors of each query, exactly.

    Args:
        database: Descriptors of the database.
        query: Descriptors of the queries.
        predictions: The ranking to write.
    """
    known, asked = load_descriptors(database), load_descriptors(query)
    indices, distances = rank_database(
        known, asked, top_k=load_params("search", SearchParams).top_k
    )
    with built_aside(predictions) as (aside,):
        save_predictions(aside, Predictions(indices, distances, len(known)))


if __name__ == "__main__":
    run_stage(search)
