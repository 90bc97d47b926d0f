"""The recorded run in memory: loaded once, for as many photos as one likes."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from vpr.datasets.params import DatasetParams
from vpr.features.model import load_model
from vpr.features.params import TrunkParams
from vpr.locating.features import load_network
from vpr.locating.matches import Places, Truth, find_globe
from vpr.locating.ranking import Ranker
from vpr.locating.recorded_run import (
    DESCRIPTORS,
    INDEX,
    MODEL,
    PREPARED,
    WHITENING,
    load_threshold,
)
from vpr.locating.verifying import load_reranker
from vpr.places.index import load_index
from vpr.places.positives import load_positives
from vpr.repository.locked_run import locked_params
from vpr.retrieval.descriptors import load_descriptors
from vpr.retrieval.index_files import open_search
from vpr.retrieval.params import SearchParams
from vpr.retrieval.whitening import load_whitening
from vpr.runtime.device import find_device


def load_places() -> tuple[DatasetParams, Places]:
    """Load the places of the database and what is known of the queries.

    Returns:
        The data set that the run was made of, whatever params.yaml names by now, and its places.

    Raises:
        ValueError: If a file is damaged.
    """
    dataset = locked_params("prepare", "dataset", DatasetParams)
    database = load_index(PREPARED / "database.csv")
    truth = Truth(load_index(PREPARED / "query.csv"), load_positives(PREPARED / "positives.npz"))
    globe = find_globe(database.coordinates, dataset.crs)
    return dataset, Places(database, globe, load_threshold(), truth)


def load_ranker(whitened: NDArray[np.float32]) -> Ranker:
    """Load the network and the database that photos are ranked with.

    Args:
        whitened: What the file `WHITENED` holds, in memory or mapped.

    Raises:
        ValueError: If a file is damaged.
    """
    trunk = locked_params("trunk_db", "trunk", TrunkParams)
    search = locked_params("search", "search", SearchParams)
    network = load_network(
        load_model(MODEL), precision=getattr(torch, trunk.precision), scale_to=trunk.scale_to,
        device=find_device(),
    )  # fmt: skip
    return Ranker(
        network, load_descriptors(DESCRIPTORS), load_whitening(WHITENING),
        open_search(INDEX, search.index, whitened, effort=search.effort), search.top_k,
        load_reranker(),
    )  # fmt: skip
