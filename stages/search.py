"""Stage search: the database ranked for each query."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from vpr.runtime.entry import run_stage

from pydantic import Field

from vpr.retrieval.descriptors import load_descriptors
from vpr.retrieval.predictions import Predictions, save_predictions
from vpr.retrieval.ranking import rank_database
from vpr.runtime.artefacts import built_aside
from vpr.runtime.parameters import load_params


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
    database_rows, query_rows = load_descriptors(database), load_descriptors(query)
    indices, distances = rank_database(
        database_rows, query_rows, top_k=load_params("search", SearchParams).top_k
    )
    with built_aside(predictions) as (aside,):
        save_predictions(aside, Predictions(indices, distances, len(database_rows)))


if __name__ == "__main__":
    run_stage(search)
