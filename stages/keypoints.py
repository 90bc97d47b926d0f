"""Stage keypoints, for each side: images -> keypoints, for re-ranking."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from vpr.console.entry import run_stage

from vpr.images.image_files import list_images, read_image
from vpr.images.known_parts import hash_photos
from vpr.images.known_photos import UNKNOWN, known_photos
from vpr.matchers.base.detection import store_keypoints
from vpr.matchers.base.keypoints import save_keypoints
from vpr.matchers.base.keys import matching_key
from vpr.matchers.base.matcher import Folders, load_matcher
from vpr.matchers.base.params import KeypointsParams
from vpr.matchers.base.photos import PhotoMatcher, save_photos
from vpr.runtime.artefacts import built_aside
from vpr.runtime.parameters import load_param, load_params
from vpr.runtime.store import content_key


def keypoints(*, images: Path, weights: Path, keypoints: Path) -> None:
    """Find and describe keypoints, or keep the photos for a matcher that sees them.

    With re-ranking off nothing is written; `weights` is the folder of those that `rerank.model` may
    name.
    """
    params = load_params("keypoints", KeypointsParams)
    model = load_param("rerank.model", str | None)  # type: ignore[arg-type] # mypy: no type
    method = load_param("rerank.method", str)
    matcher = load_matcher(method, model, Folders(weights))
    if matcher is None:
        with built_aside(keypoints) as (aside,):
            save_keypoints(aside, ())
        return
    of_model = [] if model is None else [weights]
    make_key = partial(matching_key, matcher, method, model, params)
    sees_photos = isinstance(matcher, PhotoMatcher)
    files = list_images(images)
    digests = hash_photos(files)
    key = make_key(content_key(*digests), inputs=of_model)
    with built_aside(keypoints, key=key) as (aside,):
        store_keypoints(
            aside, matcher, files, partial(read_image, scale_to=params.max_side_px),
            max_keypoints=params.max_keypoints, digests=digests,
            known=UNKNOWN if sees_photos else known_photos(partial(make_key, inputs=of_model)),
        )  # fmt: skip
        if sees_photos:
            save_photos(aside, images)


if __name__ == "__main__":
    run_stage(keypoints)
