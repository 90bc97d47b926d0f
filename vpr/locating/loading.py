"""A finished run in memory: loaded once for any number of photos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vpr.datasets.params import DatasetParams
from vpr.evaluation.calibration import load_calibration
from vpr.features.params import TrunkParams
from vpr.locating.matches import Places, Truth, find_globe
from vpr.locating.ranking import Ranker, Settings, make_ranker
from vpr.matchers.base.matcher import Folders
from vpr.matchers.base.params import KeypointsParams
from vpr.network.describing import Network
from vpr.places.index import load_index
from vpr.places.positives import load_positives
from vpr.repository.locked_run import locked_params
from vpr.reranking.params import InliersParams, RerankParams
from vpr.retrieval.params import SearchParams
from vpr.run_files import (
    CALIBRATION,
    DATABASE,
    DATABASE_IMAGES,
    DESCRIPTORS,
    FOREIGN,
    INDEX,
    KEPT,
    KEYPOINTS,
    LOCK,
    MATCHER_WEIGHTS,
    MODEL,
    POSITIVES,
    QUERY,
    QUERY_IMAGES,
    WHITENED,
    WHITENING,
)

NEEDED = (
    LOCK, MODEL, DESCRIPTORS, WHITENING, WHITENED, INDEX, CALIBRATION, DATABASE, QUERY, POSITIVES,
    QUERY_IMAGES,
)  # fmt: skip


def check_run(run: Path, *, with_images: bool) -> None:
    """Check that the files of a run exist.

    The database's images are only needed `with_images`.

    Raises:
        ValueError: If a file is missing; the message says how to get it.
    """
    if not (run / LOCK).is_file():
        raise ValueError(
            f"{run.resolve()}: is not the folder of a finished run (it has no dvc.lock): name one "
            "with --run, or start one there with `dvc repro`"
        )
    for needed in (*NEEDED, *([DATABASE_IMAGES] if with_images else [])):
        if not (run / needed).exists():
            raise ValueError(
                f"{run / needed} is missing: run `dvc repro`, or fetch it with `dvc pull`"
            )


def load_places(run: Path) -> tuple[DatasetParams, Places]:
    """Load the places of the database and the truth about the queries.

    Returns:
        The data set that the run was made from, even if params.yaml names another now, and its
        places.

    Raises:
        ValueError: If a file is damaged.
    """
    dataset = locked_params("prepare", "dataset", DatasetParams, lock=run / LOCK)
    database = load_index(run / DATABASE)
    truth = Truth(load_index(run / QUERY), load_positives(run / POSITIVES))
    globe = find_globe(database.coordinates, dataset.crs)
    return dataset, Places(database, globe, load_calibration(run / CALIBRATION), truth)


def load_ranker(
    run: Path, whitened: NDArray[np.float32], *, network: Network | None = None
) -> Ranker:
    """Load the network and the database that photos are ranked with.

    `whitened` is the content of the run's `WHITENED`, in memory or mapped; `network` that of the
    run, if it is loaded already.

    Raises:
        ValueError: If a file is missing or damaged.
    """
    lock = run / LOCK
    settings = Settings(
        locked_params("trunk@database", "trunk", TrunkParams, lock=lock),
        locked_params("search", "search", SearchParams, lock=lock),
        locked_params("keypoints@database", "keypoints", KeypointsParams, lock=lock),
        locked_params("inliers", "inliers", InliersParams, lock=lock),
        locked_params("order", "rerank", RerankParams, lock=lock),
    )
    return make_ranker(
        settings, network, model=run / MODEL, descriptors=run / DESCRIPTORS,
        whitening=run / WHITENING, index=run / INDEX, keypoints=run / KEYPOINTS, kept=run / KEPT,
        folders=Folders(run / MATCHER_WEIGHTS, run / FOREIGN), whitened=whitened,
    )  # fmt: skip
