"""Networks of the library transformers: SuperPoint with SuperGlue or LightGlue, and EfficientLoFTR.

DeTone et al., SuperPoint, CVPR Workshops 2018; Sarlin et al., SuperGlue, CVPR 2020; Lindenberger et
al., LightGlue, ICCV 2023. The published weights of SuperPoint and SuperGlue, with which LightGlue's
come too, are under Magic Leap's licence: for non-commercial research only. Those of EfficientLoFTR
are under Apache-2.0.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vpr.matchers.base.efficient_loftr import EfficientLoFTR
from vpr.matchers.base.matcher import Folders, LocalPoints, Rules
from vpr.matchers.base.matching import PointMatcher, refuse_ratio
from vpr.runtime.device import find_device
from vpr.runtime.external_code import external_code

EXAMPLE = (
    "a folder of models/matchers with config.json, model.safetensors and preprocessor_config.json, "
    "or an id of Hugging Face, as magic-leap-community/superglue_outdoor"
)
KINDS = {"superglue": "SuperGlue", "lightglue": "LightGlue"}  # with SuperPoint
LOFTR = "efficientloftr"
MAGIC_LEAP = "as published under Magic Leap's licence: for non-commercial research only"
LICENCES = {
    "superglue": MAGIC_LEAP,
    "lightglue": MAGIC_LEAP,
    LOFTR: "as published by zju-community/efficientloftr under Apache-2.0",
}


class Glue(PointMatcher):
    """Keypoints of an image, and a network that sees all keypoints of two.

    Args:
        network: One of `KINDS`, with its detector and weights, in evaluation mode.
        processor: What the library resizes photos with, to one size.
    """

    def __init__(self, network: Any, processor: Any) -> None:  # noqa: ANN401
        """Move the network to a GPU if there is one."""
        self._device = find_device()
        self._network, self._processor = network.to(self._device), processor
        self.name = KINDS[network.config.model_type]
        self._size = int(processor.size["height"]), int(processor.size["width"])
        self.uses_gpu = self._device.type == "cuda"

    def detect(self, pixels: NDArray[np.uint8], *, max_keypoints: int) -> LocalPoints:
        """Find the keypoints of highest score, best first.

        Returns:
            Descriptors of 256 values, and the score, as float32.
        """
        # By default the library keeps colours, of which SuperPoint sees red alone.
        photos = self._processor(
            [pixels.copy(), pixels.copy()], do_grayscale=True, return_tensors="pt",
            input_data_format="channels_last",
        )  # fmt: skip
        detector = self._network.keypoint_detector
        detector.keypoint_decoder.max_keypoints = max_keypoints
        with torch.inference_mode():
            found = detector(photos["pixel_values"][:, 0].to(self._device))
        scores, order = found.scores[0].sort(descending=True, stable=True)
        rows = torch.cat([found.descriptors[0][order], scores[:, None]], dim=1)
        height, width, _ = pixels.shape
        points: NDArray[np.float32] = found.keypoints[0][order].cpu().numpy()
        return LocalPoints(
            points * np.array([width, height], np.float32), rows.cpu().numpy(), (height, width)
        )

    def match(self, query: LocalPoints, database: LocalPoints, rules: Rules) -> NDArray[np.int64]:
        """Match keypoints, in the query's order; a ratio is refused."""
        refuse_ratio(rules, self.name)
        counts = len(query.points), len(database.points)
        if 0 in counts:
            return np.empty((0, 2), np.int64)
        rows, places = (
            np.zeros((1, 2, max(counts), width), np.float32)
            for width in (query.descriptors.shape[1], 2)
        )
        for side, image in enumerate((query, database)):
            rows[0, side, : counts[side]] = image.descriptors
            places[0, side, : counts[side]] = image.points / image.size[::-1] * self._size[::-1]
        mask = (np.arange(max(counts)) < np.array(counts)[:, None])[None].astype(np.int32)
        described, points, is_point = (
            torch.from_numpy(array).to(self._device) for array in (rows, places, mask)
        )
        scores = [described[..., -1]] if self._network.config.model_type == "superglue" else []
        with torch.inference_mode():  # private: the public call detects again in both photos
            matched = self._network._match_image_pair(
                points, described[..., :-1], *scores, *self._size, mask=is_point
            )
        partners = matched[0].reshape(2, -1)[0].cpu().numpy()[: counts[0]]
        kept = np.flatnonzero((partners >= 0) & (partners < counts[1]))
        return np.stack([kept, partners[kept]], axis=1).astype(np.int64)


def make_matcher_of(model: str, folders: Folders) -> Glue | EfficientLoFTR:
    """Load a matcher of the library, and say under which licence its weights are.

    Args:
        model: A folder of weights, or an id of Hugging Face, with `@` and a commit if its files
            must stay the same.
        folders: Where the folder is.

    Raises:
        ValueError: If it is another kind of model, or weights are missing or left over.
        OSError: If the library is not installed, or the model not found.
    """
    setting = f"rerank.model = {model}"
    try:
        import transformers
    except ImportError:
        raise OSError(
            "rerank.method = transformers: transformers is not installed: install it by `pip "
            "install -r requirements-transformers.txt`"
        ) from None
    name, _, commit = model.partition("@")
    source: dict[str, Any] = {"revision": commit or None, "trust_remote_code": False}
    if folders.weights is not None and (folders.weights / name).is_dir():
        name, source["local_files_only"] = str(folders.weights / name), True
    transformers.utils.logging.disable_progress_bar()
    try:
        with external_code(setting):
            config = transformers.AutoConfig.from_pretrained(name, **source)
            _check_kind(config, setting)
            processor = transformers.AutoImageProcessor.from_pretrained(name, **source)
            network, report = transformers.AutoModelForKeypointMatching.from_pretrained(
                name, config=config, use_safetensors=True, output_loading_info=True,
                dtype=torch.float32, **source,
            )  # fmt: skip
    except OSError as error:
        raise OSError(f"{setting}: expected {EXAMPLE}: {str(error).splitlines()[0]}") from error
    wrong = {kind: sorted(names) for kind, names in report.items() if names}
    if wrong:
        raise ValueError(f"{setting}: the weights do not fit: {wrong!r:.300}")
    kind = EfficientLoFTR if config.model_type == LOFTR else Glue
    matcher = kind(network.eval().requires_grad_(False), processor)
    print(f"{setting}: {matcher.name}'s weights, {LICENCES[config.model_type]}", file=sys.stderr)
    return matcher


def _check_kind(config: Any, setting: str) -> None:  # noqa: ANN401
    detector = getattr(getattr(config, "keypoint_detector_config", None), "model_type", None)
    has_points = config.model_type in KINDS and detector == "superpoint"
    if config.model_type != LOFTR and not has_points:
        raise ValueError(
            f"{setting}: expected SuperPoint with {' or '.join(KINDS)}, or {LOFTR}, found a "
            f"{config.model_type} with detector {detector}"
        )
