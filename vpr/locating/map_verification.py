"""Verification in a map: keypoints of its photos, and what their matches say without any query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vpr.evaluation.acceptance import find_map_limit
from vpr.evaluation.calibration import Calibration
from vpr.evaluation.params import EvaluateParams
from vpr.images.image_files import Photo, read_image
from vpr.matchers.base.detection import detect_keypoints
from vpr.matchers.base.keypoints import load_keypoints, save_keypoints
from vpr.matchers.base.matcher import Folders, load_matcher
from vpr.matchers.base.params import KeypointsParams
from vpr.matchers.base.photos import PhotoMatcher
from vpr.reranking.params import InliersParams, RerankParams
from vpr.reranking.reranker import Reranker
from vpr.run_files import FOREIGN, MATCHER_WEIGHTS
from vpr.runtime.parameters import load_params

KEYPOINTS = "keypoints"


class Sections(NamedTuple):
    """Sections of parameters, each under its name in params.yaml."""

    keypoints: KeypointsParams
    inliers: InliersParams
    rerank: RerankParams
    evaluate: EvaluateParams


def load_sections(params: Path) -> Sections:
    """Load them from a params.yaml, or from the settings of a map.

    Raises:
        ValueError: If one is missing or refused.
    """
    return Sections(
        load_params("keypoints", KeypointsParams, path=params),
        load_params("inliers", InliersParams, path=params),
        load_params("rerank", RerankParams, path=params),
        load_params("evaluate", EvaluateParams, path=params),
    )


def find_keypoints(folder: Path, files: Sequence[Photo], *, params: Path) -> dict[str, Any]:
    """Find the keypoints of a map's photos as the stage keypoints does, and write them.

    Args:
        folder: The map; nothing is written with `rerank.method: none`.
        files: The photos.
        params: A params.yaml; the folders of models are beside it.

    Returns:
        The sections of parameters that `load_verification` reads.

    Raises:
        ValueError: If a section is refused, or the matcher sees photos, which a map does not keep.
    """
    found = load_sections(params)
    order, home = found.rerank, params.parent
    matcher = load_matcher(
        order.method, order.model, Folders(home / MATCHER_WEIGHTS, home / FOREIGN)
    )
    if isinstance(matcher, PhotoMatcher):
        raise ValueError(
            f"rerank.method = {order.method}: it matches photos, which a map does not keep: "
            "choose one that matches keypoints, as xfeat, or none"
        )
    if matcher is not None:
        read = partial(read_image, scale_to=found.keypoints.max_side_px)
        most = found.keypoints.max_keypoints
        detected = detect_keypoints(matcher, files, read, max_keypoints=most)
        save_keypoints(folder / KEYPOINTS, detected)
    return {name: asdict(section) for name, section in found._asdict().items()}


def load_verification(
    folder: Path, settings: Path, *, top_k: int, radius_m: float
) -> tuple[Reranker | None, Calibration | None]:
    """Load what verifies a photo, and derives from the matches whether it is of the map.

    Without queries no evidence tells a right place of the map from a wrong one, so a photo is
    unsure or unknown and never known. The limit between the two is that of the background model,
    which needs no photo from elsewhere; by distance there is none.

    Args:
        folder: The map.
        settings: Its file of parameters.
        top_k: Photos that are ranked.
        radius_m: Within which photos show the same place.

    Returns:
        Both None if photos are not verified.
    """
    points, inliers, order, evaluate = load_sections(settings)
    matcher = load_matcher(order.method, order.model, Folders(MATCHER_WEIGHTS, FOREIGN))
    if matcher is None:
        return None, None
    limit = find_map_limit(
        np.empty(0), by="inliers", num_candidates=min(inliers.top, top_k),
        rate=evaluate.accept_false_rate, confidence=evaluate.confidence,
    )  # fmt: skip
    calibration = Calibration("inliers", top_k, radius_m, evaluate.confidence, limit, None, {})
    return Reranker(
        matcher, load_keypoints(folder / KEYPOINTS), points, inliers, order
    ), calibration
