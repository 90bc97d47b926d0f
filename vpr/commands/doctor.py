"""`python -m vpr doctor`: is everything there that a run needs?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from stages.evaluate import EvaluateParams
from stages.finetune import FinetuneParams
from stages.keypoints import KeypointsParams
from stages.prepare import DatasetParams, PrepareParams
from stages.pretrained import PretrainedParams
from stages.report import ReportParams
from stages.rerank import RerankParams
from stages.sample import SampleParams
from stages.search import SearchParams
from stages.thumbnails import ThumbnailsParams
from stages.trunk import TrunkParams
from stages.whiten import WhitenParams
from vpr.parameters import check_params
from vpr.readiness import Finding, check_dataset, check_packages, check_python, check_weights

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
    "rerank": RerankParams,
    "evaluate": EvaluateParams,
    "report": ReportParams,
    "sample": SampleParams,
}


def doctor(
    quick: Annotated[bool, typer.Option(help="Print only what needs attention.")] = False,
) -> None:
    """Check Python, packages, parameters, data set and weights: each OK, or what to do."""
    problems = check_params(SECTIONS)
    findings = [check_python(), check_packages()]
    findings += [Finding("parameters", problem, ok=False) for problem in problems]
    if not problems:
        findings += [
            Finding("parameters", "params.yaml fits every stage", ok=True),
            check_dataset(Path()),
            check_weights(Path()),
        ]
    for finding in findings:
        if not (quick and finding.ok):
            print(finding)
    if not all(finding.ok for finding in findings):
        sys.exit(1)
