"""The sections of params.yaml, and the dataclass that each must fit."""

from __future__ import annotations

from vpr.datasets.params import DatasetParams
from vpr.demo.params import SampleParams
from vpr.evaluation.params import EvaluateParams
from vpr.features.params import TrunkParams
from vpr.images.params import ThumbnailsParams
from vpr.matchers.base.params import KeypointsParams
from vpr.places.params import PrepareParams
from vpr.report.params import ReportParams
from vpr.reranking.params import InliersParams, RerankParams, UtilityParams
from vpr.retrieval.params import SearchParams, SequenceParams, WhitenParams
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
