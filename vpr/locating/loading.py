"""A finished run in memory: loaded once for any number of photos."""

from __future__ import annotations

from json import loads
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from vpr.datasets.params import DatasetParams
from vpr.evaluation.details import Threshold, find_threshold
from vpr.features.model import load_model
from vpr.features.params import TrunkParams
from vpr.images.image_files import list_images
from vpr.locating.matches import Places, Truth, find_globe
from vpr.locating.ranking import Ranker
from vpr.matchers.base.keypoints import load_keypoints
from vpr.matchers.base.matcher import Folders, load_matcher
from vpr.matchers.base.params import KeypointsParams
from vpr.matchers.base.photos import PhotoMatcher, with_photos
from vpr.network.describing import load_network
from vpr.places.index import load_index
from vpr.places.positives import load_positives
from vpr.repository.locked_run import locked_params
from vpr.reranking.params import InliersParams, RerankParams
from vpr.reranking.reranker import Reranker
from vpr.reranking.utility_files import load_kept
from vpr.retrieval.descriptors import load_descriptors
from vpr.retrieval.index_files import open_search
from vpr.retrieval.params import SearchParams
from vpr.retrieval.whitening import load_whitening
from vpr.run_files import (
    DATABASE,
    DATABASE_IMAGES,
    DESCRIPTORS,
    DETAILS,
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
from vpr.runtime.device import find_device

NEEDED = (
    LOCK, MODEL, DESCRIPTORS, WHITENING, WHITENED, INDEX, DETAILS, DATABASE, QUERY, POSITIVES,
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


def load_threshold(run: Path) -> Threshold:
    """Load the threshold from which the run accepts a place as known.

    Raises:
        ValueError: If its metrics are damaged.
    """
    path = run / DETAILS
    try:
        return find_threshold(loads(path.read_text(encoding="utf-8")))
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{path}: damaged: {error}: restore it with `git checkout {DETAILS}`, or make it "
            "again with `dvc repro`"
        ) from None


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
    return dataset, Places(database, globe, load_threshold(run), truth)


def load_ranker(run: Path, whitened: NDArray[np.float32]) -> Ranker:
    """Load the network and the database that photos are ranked with.

    `whitened` is the content of the run's `WHITENED`, in memory or mapped.

    Raises:
        ValueError: If a file is damaged.
    """
    trunk = locked_params("trunk@database", "trunk", TrunkParams, lock=run / LOCK)
    search = locked_params("search", "search", SearchParams, lock=run / LOCK)
    network = load_network(
        load_model(run / MODEL), precision=getattr(torch, trunk.precision),
        scale_to=trunk.scale_to, device=find_device(),
    )  # fmt: skip
    return Ranker(
        network, load_descriptors(run / DESCRIPTORS), load_whitening(run / WHITENING),
        open_search(run / INDEX, search.index, whitened, effort=search.effort), search.top_k,
        load_reranker(run),
    )  # fmt: skip


def load_reranker(run: Path) -> Reranker | None:
    """Load the re-ranker of a run; None if it does not re-rank.

    Raises:
        ValueError: If the run's keypoints are missing, or photos that its matcher sees.
    """
    order = locked_params("order", "rerank", RerankParams, lock=run / LOCK)
    folders = Folders(run / MATCHER_WEIGHTS, run / FOREIGN)
    matcher = load_matcher(order.method, order.model, folders)
    if matcher is None:
        return None
    sees_photos = isinstance(matcher, PhotoMatcher)
    for needed in (KEYPOINTS, KEPT, *([DATABASE_IMAGES] if sees_photos else [])):
        if not (run / needed).exists():
            raise ValueError(
                f"{run / needed} is missing: run `dvc repro`, or fetch it with `dvc pull`"
            )
    database = load_keypoints(run / KEYPOINTS)
    database = database.only(load_kept(run / KEPT, num_keypoints=len(database.points)))
    if sees_photos:
        database = with_photos(database, list_images(run / DATABASE_IMAGES))
    keypoints = locked_params("keypoints@database", "keypoints", KeypointsParams, lock=run / LOCK)
    inliers = locked_params("inliers", "inliers", InliersParams, lock=run / LOCK)
    return Reranker(matcher, database, keypoints, inliers, order)
