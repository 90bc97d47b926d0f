"""The sections of params.yaml, and the dataclass that each must fit."""

from __future__ import annotations

from pathlib import Path

from vpr.datasets.params import DatasetParams, PrepareParams
from vpr.demo.params import SampleParams
from vpr.evaluation.params import EvaluateParams
from vpr.features.params import TrunkParams
from vpr.images.params import ThumbnailsParams
from vpr.matchers.base.params import KeypointsParams
from vpr.report.params import ReportParams
from vpr.reranking.params import InliersParams, RerankParams, UtilityParams
from vpr.retrieval.params import SearchParams, SequenceParams, WhitenParams
from vpr.runtime.parameters import PARAMS_FILE, check_params, load_params
from vpr.training.params import FinetuneParams
from vpr.weights.params import PretrainedParams

SECTIONS: dict[str, type] = {
    "dataset": DatasetParams,
    "prepare": PrepareParams,
    "thumbnails": ThumbnailsParams,
    "pretrained": PretrainedParams,
    "trunk": TrunkParams,
    "finetune": FinetuneParams,
    "whiten": WhitenParams,
    "search": SearchParams,
    "keypoints": KeypointsParams,
    "utility": UtilityParams,
    "inliers": InliersParams,
    "rerank": RerankParams,
    "sequence": SequenceParams,
    "evaluate": EvaluateParams,
    "report": ReportParams,
    "sample": SampleParams,
}


def check_sections(path: Path = PARAMS_FILE) -> list[str]:
    """Check every section, and values that must fit another section, before anything runs.

    Returns:
        One message for each fault; empty if all fits.

    Raises:
        ValueError: If the file cannot be read at all.
    """
    if problems := check_params(SECTIONS, path=path):
        return problems
    evaluate = load_params("evaluate", EvaluateParams, path=path)
    top_k = load_params("search", SearchParams, path=path).top_k
    if min(evaluate.recall_at) > top_k:
        problems.append(
            f"{path}: evaluate.recall_at = {list(evaluate.recall_at)}: search.top_k = {top_k} "
            "reaches none of them"
        )
    rerank = load_params("rerank", RerankParams, path=path)
    verified = load_params("inliers", InliersParams, path=path).top
    if rerank.method != "none" and rerank.top > verified:
        problems.append(
            f"{path}: rerank.top = {rerank.top}: only the first inliers.top = {verified} "
            "predictions have inliers"
        )
    if rerank.method == "none" and evaluate.accept_by == "inliers":
        problems.append(
            f"{path}: evaluate.accept_by = inliers: none are counted with rerank.method = none: "
            "set evaluate.accept_by to distance, or a matcher"
        )
    return problems


def require_sections(path: Path = PARAMS_FILE) -> None:
    """Refuse a parameter file that is wrong anywhere, before a stage computes with a part of it.

    Raises:
        ValueError: If anything is wrong; the message lists all of it.
    """
    if problems := check_sections(path):
        raise ValueError("\n  ".join(problems))
