"""Stage search: the database ranked for each query."""

from __future__ import annotations

import json
from pathlib import Path

from vpr.console.entry import run_stage

from vpr.retrieval.approximate import measure_index
from vpr.retrieval.descriptors import load_descriptors
from vpr.retrieval.index_files import open_search
from vpr.retrieval.index_kinds import EXACT
from vpr.retrieval.params import SearchParams
from vpr.retrieval.predictions import Predictions, save_predictions
from vpr.runtime.artefacts import built_aside
from vpr.runtime.parameters import load_params


def search(
    *, index: Path, database: Path, query: Path, predictions: Path, index_recall: Path
) -> None:
    """Find the nearest database descriptors of each query.

    `index_recall` compares the index with exact search. With exact search, `index` is not read and
    `index_recall` is empty.
    """
    params = load_params("search", SearchParams)
    database_rows, query_rows = load_descriptors(database), load_descriptors(query)
    find = open_search(index, params.index, database_rows, effort=params.effort)
    indices, distances = find(query_rows, top_k=params.top_k)
    compared = {}
    if params.index != EXACT:
        compared = measure_index(database_rows, query_rows, indices)
    with built_aside(predictions, index_recall) as (aside, recall):
        save_predictions(aside, Predictions(indices, distances, len(database_rows)))
        recall.write_text(json.dumps(compared, indent=2) + "\n")


if __name__ == "__main__":
    run_stage(search)
