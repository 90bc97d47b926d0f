"""How many inliers are too many for chance: the number of false alarms of a verified pair.

Moisan and Stival, A Probabilistic Criterion to Detect Rigid Point Matches Between Two Images and
Estimate the Fundamental Matrix, IJCV 2004; for the homography Moulon, Monasse and Marlet, Adaptive
Structure from Motion with a Contrario Model Estimation, ACCV 2012.
"""

from __future__ import annotations

import math

from vpr.matchers.base.matcher import Geometry

# Matches that determine a model, and the most models that agree with so many.
MODELS: dict[Geometry, tuple[int, int]] = {"fundamental": (7, 3), "homography": (4, 1)}


def chance_of_inlier(geometry: Geometry, size: tuple[int, int], *, tolerance_px: float) -> float:
    """Bound the probability that a point drawn uniformly in an image agrees with a model.

    It then lies within the tolerance of a line (no longer than the image's diagonal) with a
    fundamental matrix, or of a point with a homography.

    Args:
        geometry: Geometry between the two images.
        size: Height and width of the image in pixels.
        tolerance_px: Largest distance of an inlier, in pixels.
    """
    height, width = size
    if geometry == "fundamental":
        covered = 2 * math.hypot(height, width) * tolerance_px
    else:
        covered = math.pi * tolerance_px**2
    return min(1.0, covered / (height * width))


def log10_false_alarms(
    geometry: Geometry, *, num_matches: int, num_inliers: int, chance: float
) -> float:
    """Compute log10 NFA: how often chance would give a model so many inliers among the matches.

    NFA = outcomes (n - s) C(n, k) C(k, s) chance^(k - s) bounds the expected number of models with
    k inliers among n random matches, where s matches make a sample.

    Args:
        geometry: Model that the inliers agree with.
        num_matches: n, the matches before geometry.
        num_inliers: k.
        chance: See `chance_of_inlier`.

    Returns:
        At most 0, the value of whatever chance is expected to give once or more.
    """
    sample, outcomes = MODELS[geometry]
    if num_inliers <= sample:
        return 0.0
    tests = math.log10(outcomes * (num_matches - sample))
    choices = _log10_choose(num_matches, num_inliers) + _log10_choose(num_inliers, sample)
    return min(0.0, tests + choices + (num_inliers - sample) * math.log10(chance))


def _log10_choose(total: int, chosen: int) -> float:
    return (
        math.lgamma(total + 1) - math.lgamma(chosen + 1) - math.lgamma(total - chosen + 1)
    ) / math.log(10)
