"""Two rankings of the same queries, compared query by query."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.shared.trials import ROOT
from vpr.evaluation.comparison import compare_ranks
from vpr.evaluation.params import EvaluateParams
from vpr.runtime.parameters import load_params


def compare(before: NDArray[np.int64], after: NDArray[np.int64]) -> str:
    """Difference of recall@1 with its interval, queries gained and lost, exact McNemar test."""
    drawn = load_params("evaluate", EvaluateParams, path=ROOT / "params.yaml")
    (paired,) = compare_ranks(
        before, after, ns=[1], block_length=drawn.block_length, num_samples=drawn.num_samples,
        confidence=drawn.confidence, seed=drawn.seed,
    )  # fmt: skip
    low, high = paired.interval
    return (
        f"{paired.difference:+.3f} ({low:+.3f} to {high:+.3f}), "
        f"+{len(paired.gained)} -{len(paired.lost)}, p = {paired.p_value:.2g}"
    )
