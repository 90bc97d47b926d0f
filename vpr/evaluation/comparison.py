"""Two runs on the same queries: is one significantly better?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from vpr.evaluation.curves import area_under_risk, coverage_at_risk, risk_coverage_curve
from vpr.evaluation.uncertainty import block_bootstrap_interval, block_bootstrap_samples

RISKS = ("coverage_at_risk_1", "area_under_risk_coverage")


class Answers(NamedTuple):
    """First predictions of a run's queries, in the order of the route.

    Args:
        probability: That each is right, by a calibration that did not see it, (num_queries,).
        right: Whether it is, same shape.
    """

    probability: NDArray[np.float64]
    right: NDArray[np.bool_]


@dataclass(frozen=True)
class PairedRecall:
    """Recall@N of two runs, and the difference B - A on the same queries.

    Args:
        interval: Interval of the difference, by the block bootstrap along the route.
        p_value: p-value of the exact McNemar test.
        gained: Indices of the queries that only B answers.
        lost: Indices of the queries that only A answers.
    """

    n: int
    recall_a: float
    recall_b: float
    difference: float
    interval: tuple[float, float]
    p_value: float
    gained: list[int]
    lost: list[int]


def compare_ranks(
    ranks_a: NDArray[np.int64],
    ranks_b: NDArray[np.int64],
    *,
    ns: Sequence[int],
    block_length: int,
    num_samples: int,
    confidence: float,
    seed: int,
) -> list[PairedRecall]:
    """Compare two runs query by query.

    Ranks are those of each query's first positive, from 1, in the order of the route. For the
    interval see `block_bootstrap_interval`.
    """
    compared = []
    for n in ns:
        hits_a, hits_b = ranks_a <= n, ranks_b <= n
        change = hits_b.astype(np.float64) - hits_a
        gained, lost = np.flatnonzero(change > 0).tolist(), np.flatnonzero(change < 0).tolist()
        interval = block_bootstrap_interval(
            change, block_length=block_length, num_samples=num_samples,
            confidence=confidence, seed=seed,
        )  # fmt: skip
        p_value = mcnemar_p_value(len(gained), len(lost))
        recall_a, recall_b = float(hits_a.mean()), float(hits_b.mean())
        difference = float(change.mean())
        compared.append(
            PairedRecall(n, recall_a, recall_b, difference, interval, p_value, gained, lost)
        )
    return compared


@dataclass(frozen=True)
class PairedRisk:
    """A figure of risk and coverage of two runs, and the difference B - A on the same queries.

    Args:
        figure: `coverage_at_risk_1` or `area_under_risk_coverage`.
        interval: Interval of the difference, by the block bootstrap along the route.
    """

    figure: str
    value_a: float
    value_b: float
    difference: float
    interval: tuple[float, float]


def compare_risks(
    a: Answers, b: Answers, *, block_length: int, num_samples: int, confidence: float, seed: int
) -> list[PairedRisk]:
    """Compare what two runs risk for the queries that they answer, see `risk_coverage_curve`."""
    differences = np.array(
        [
            _risks(b, rows) - _risks(a, rows)
            for rows in block_bootstrap_samples(
                len(a.right), block_length=block_length, num_samples=num_samples, seed=seed
            )
        ]
    )
    tail = (1 - confidence) / 2
    every = np.arange(len(a.right))
    bounds = np.quantile(differences, [tail, 1 - tail], axis=0).T.tolist()
    rows = zip(RISKS, _risks(a, every).tolist(), _risks(b, every).tolist(), bounds, strict=True)
    return [PairedRisk(name, x, y, y - x, (low, high)) for name, x, y, (low, high) in rows]


def _risks(answers: Answers, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    curve = risk_coverage_curve(answers.probability[rows], answers.right[rows])
    return np.array([coverage_at_risk(curve, 0.01), area_under_risk(curve)])


def mcnemar_p_value(num_gained: int, num_lost: int) -> float:
    """Two-sided p-value of McNemar's test, exact (Psychometrika 1947): were the flips a fair coin?

    It takes the flips for independent of each other. Between two models they nearly are; where only
    one of the runs smooths along the route they are not, so rely on the interval.
    """
    flips = num_gained + num_lost
    return float(binomtest(num_gained, flips, 0.5).pvalue) if flips else 1.0


def adjust_by_holm(p_values: Sequence[float]) -> list[float]:
    """Adjust the p-values of several comparisons, so that any false alarm is as rare as p says.

    Holm's step-down method (Scandinavian Journal of Statistics 1979), which needs no independence:
    the smallest of m values counts m times, the next m - 1 times, and none less than one before it.
    """
    order = np.argsort(p_values, kind="stable")
    times = np.arange(len(order), 0, -1)
    stepped = np.maximum.accumulate(times * np.asarray(p_values, dtype=np.float64)[order])
    adjusted = np.empty(len(order))
    adjusted[order] = np.minimum(stepped, 1)
    return [float(value) for value in adjusted]
