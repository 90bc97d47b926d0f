"""Loading the run that dvc.lock records, checked by hash."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np

from vpr.commands.serve.run import Run
from vpr.features.params import TrunkParams
from vpr.images.image_files import list_images
from vpr.locating.loading import check_run, load_places, load_ranker
from vpr.repository.git import current_commit
from vpr.repository.locked_run import locked_params
from vpr.repository.recorded_outs import hash_out, list_locked
from vpr.retrieval.descriptors import load_descriptors
from vpr.retrieval.params import SequenceParams
from vpr.run_files import (
    DATABASE,
    DESCRIPTORS,
    DETAILS,
    INDEX,
    KEPT,
    KEYPOINTS,
    MODEL,
    POSITIVES,
    QUERY,
    THUMBNAILS,
    WHITENED,
    WHITENING,
)
from vpr.training.params import FinetuneParams

COMMIT = "VPR_COMMIT"  # environment variable that names it where git's folder is not, as in Docker
ANSWERED_FROM = (
    MODEL.parent, WHITENING, DESCRIPTORS, WHITENED, INDEX, DATABASE,
    QUERY, POSITIVES, DETAILS, KEYPOINTS, KEPT.parent, THUMBNAILS,
)  # fmt: skip


def load_run() -> Run:
    """Load the run that dvc.lock records, from files that have its hashes.

    Raises:
        ValueError: If a file is missing, damaged, or not the recorded one.
    """
    check_run(Path(), with_images=False)
    since, hashes = time.time(), _check_hashes()
    dataset, places = load_places(Path())
    whitened = np.array(load_descriptors(WHITENED))  # in memory, whatever becomes of the file
    run = Run(
        load_ranker(Path(), whitened), whitened, places, list_images(THUMBNAILS), dataset,
        locked_params("trunk@database", "trunk", TrunkParams),
        locked_params("order", "sequence", SequenceParams),
        locked_params("finetune", "finetune", FinetuneParams).aggregator,
        hashes, os.environ.get(COMMIT) or current_commit(), since,
    )  # fmt: skip
    if _check_hashes() != hashes:
        raise ValueError("dvc.lock changed while its run was loaded: ask again when it is complete")
    return run


def _check_hashes() -> dict[str, str]:
    recorded = {one.path: one.md5 for one in list_locked(Path())}
    for path in ANSWERED_FROM:
        if path not in recorded:
            raise ValueError(f"{path}: dvc.lock does not record it: run `dvc repro`")
        if not path.exists():
            raise ValueError(f"{path} is missing: run `dvc repro`, or fetch it with `dvc pull`")
        if (found := hash_out(path)) != recorded[path]:
            raise ValueError(
                f"{path}: expected MD5 {recorded[path]}, which dvc.lock records, found {found}: "
                "bring the recorded one back with `dvc checkout`, or run `dvc repro`"
            )
    return {path.as_posix(): recorded[path] for path in ANSWERED_FROM}
