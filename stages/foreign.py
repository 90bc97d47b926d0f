"""Stage foreign: photos from elsewhere, ranked and verified as queries are; by default none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vpr.console.entry import run_stage

import numpy as np

from vpr.features.params import TrunkParams
from vpr.images.file_kinds import READ_SUFFIXES, is_junk
from vpr.matchers.base.matcher import Folders
from vpr.matchers.base.params import KeypointsParams
from vpr.reranking.params import InliersParams, RerankParams
from vpr.reranking.verified_pairs import NOTHING, concatenate_pairs, save_foreign
from vpr.retrieval.descriptors import load_descriptors
from vpr.retrieval.params import SearchParams
from vpr.retrieval.predictions import Predictions
from vpr.runtime.artefacts import built_aside
from vpr.runtime.parameters import load_param, load_params


def foreign(
    *, model: Path, whitening: Path, whitened: Path, index: Path, database_keypoints: Path,
    kept: Path, weights: Path, code: Path, ranked: Path,
) -> None:  # fmt: skip
    """Rank the database for the photos in the folder `evaluate.foreign`.

    They are described, searched for and verified by the functions that locate a photo. Without
    photos `ranked` has no rankings. `model` is the folder of the trained network, `weights` and
    `code` those of the weights and of the code that `rerank.model` may name.
    """
    folder = Path(load_param("evaluate.foreign", str))
    if not folder.is_dir():
        raise ValueError(f"evaluate.foreign = {folder}: there is no such folder")
    photos = sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() in READ_SUFFIXES and not is_junk(file.relative_to(folder))
    )
    with built_aside(ranked) as (aside,):
        if not photos:
            save_foreign(aside, photos)
            return
        # Responses of clusters, which need the descriptors before whitening, are not asked for.
        files = {
            "model": model / "model.pt", "descriptors": whitened, "whitening": whitening,
            "index": index, "keypoints": database_keypoints, "kept": kept,
        }  # fmt: skip
        _rank(aside, photos, files, whitened, Folders(weights, code))


def _rank(
    aside: Path,
    photos: Sequence[Path],
    files: dict[str, Path],
    whitened: Path,
    folders: Folders,
) -> None:
    from vpr.locating.ranking import Settings, make_ranker, rank_photos  # torch is slow to import

    settings = Settings(
        load_params("trunk", TrunkParams), load_params("search", SearchParams),
        load_params("keypoints", KeypointsParams), load_params("inliers", InliersParams),
        load_params("rerank", RerankParams),
    )  # fmt: skip
    ranker = make_ranker(settings, whitened=load_descriptors(whitened), folders=folders, **files)
    answers = list(rank_photos(ranker, photos, top=1, with_responses=False))
    predictions = Predictions(
        np.stack([answer.indices for answer in answers]),
        np.stack([answer.distances for answer in answers]),
        len(ranker.database),
    )
    pairs = [answer.verified for answer in answers if answer.verified is not None]
    save_foreign(aside, photos, predictions, concatenate_pairs(pairs) if pairs else NOTHING)


if __name__ == "__main__":
    run_stage(foreign)
