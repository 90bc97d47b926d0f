"""Stage sequence: queries in the order of their route, each with its neighbours."""

from __future__ import annotations

import shutil
from pathlib import Path

from vpr.console.entry import run_stage

import numpy as np
from numpy.typing import NDArray

from vpr.places.index import load_index
from vpr.places.recordings import Recording, find_recordings
from vpr.retrieval.descriptors import load_descriptors
from vpr.retrieval.params import SequenceParams
from vpr.retrieval.predictions import Predictions, load_predictions, save_predictions
from vpr.retrieval.sequence_ranking import find_distances, rank_descriptors
from vpr.runtime.artefacts import built_aside
from vpr.runtime.parameters import load_params


def load_recordings(index: Path, descriptors: NDArray[np.float32]) -> list[Recording]:
    """Load the recordings of a side, whose index must have an image for each descriptor."""
    images = load_index(index)
    if len(images.paths) != len(descriptors):
        raise ValueError(
            f"{index}: {len(images.paths)} images, but there are {len(descriptors)} descriptors"
        )
    return find_recordings(images.sequence, len(descriptors))


def sequence(
    *, predictions: Path, database_descriptors: Path, query_descriptors: Path,
    database: Path, query: Path, sequenced: Path,
) -> None:  # fmt: skip
    """Rank the database for each query by the lines of similarity that pass through both.

    Args:
        predictions: The ranking of single images, whose depth is kept.
        database_descriptors: What the search looked at.
        query_descriptors: What the search looked for, in the order of the route.
        database: Index of the database; only its recordings are looked at.
        query: Index of the queries; only its recordings are looked at.
        sequenced: The ranking to write; with length 1 a copy of that of single images.
    """
    params = load_params("sequence", SequenceParams)
    with built_aside(sequenced) as (aside,):
        if params.length == 1:
            shutil.copyfile(predictions, aside)
            return
        database_rows, query_rows = (
            load_descriptors(database_descriptors),
            load_descriptors(query_descriptors),
        )
        runs = [load_recordings(*pair) for pair in ((query, query_rows), (database, database_rows))]
        indices = rank_descriptors(
            database_rows, query_rows, *runs, length=params.length, velocities=params.velocities,
            reach=params.contrast_reach, top_k=load_predictions(predictions).indices.shape[1],
        )  # fmt: skip
        distances = find_distances(database_rows, query_rows, indices)
        save_predictions(aside, Predictions(indices, distances, len(database_rows)))


if __name__ == "__main__":
    run_stage(sequence)
