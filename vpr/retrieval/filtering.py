"""Where a drive is, photo by photo: a Bayesian filter over the database's positions.

A hidden Markov model whose states are the database's places and one more, off the map. Its filter
uses the photos so far; its smoother uses the later ones too. Discrete Bayes filter and smoothing:
Thrun, Burgard and Fox, Probabilistic Robotics, 2005, chapters 2 and 8; Rabiner, Proc. IEEE 1989.
For place recognition: Hansen and Browning, Visual Place Recognition Using HMM Sequence Matching,
IROS 2014; with a state off the map, Xu, Sünderhauf and Milford, Probabilistic Visual Place
Recognition for Hierarchical Localization, IEEE RA-L 2021. Unlike the lines of SeqSLAM (Milford and
Wyeth, ICRA 2012) it needs no speed: stops, loops and turning back are moves like any other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

LEAVE = 0.05  # probability to leave the map from one photo to the next
ENTER = 0.05  # probability to enter it, at any place alike
STARTS_OFF = 0.5  # probability that a drive begins off the map
# Likelihood of a place nearer than the metres moved: the road bends, or one turned back.
BEND = 0.05
DRIFT = 0.1  # standard error of measured metres, as a share of them
FARTHEST = 5.0  # mean steps, or standard errors, to the farthest place that a move reaches
TAIL = 2.0  # of steps that are not measured: the shape of Lomax's distribution
LEAST = 1e-7  # probability of a place that a belief keeps
RARE = 1e-300  # the least probability: long stops would else multiply one to 0, and 0 / 0 is NaN
MOST_STATES = 1000  # places that it keeps: with more, the filter is a beam search
LEVEL = 0.9  # probability that the stated circle is to hold
SURE = 0.9  # probability of a place from which it is known

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Evidence = Callable[[Ints], Floats]  # log likelihood ratios of places for a photo


class Move(NamedTuple):
    """How far a drive went.

    Args:
        metres: From one photo to the next, or the mean of that.
        is_measured: Whether it is not the mean.
    """

    metres: float
    is_measured: bool


@dataclass(frozen=True)
class Belief:
    """Where a photo may have been taken; places that are not named have no probability.

    Args:
        places: Database indices, ascending, shape (num_states,).
        probability: Of each place, shape (num_states,).
        off_map: Probability that it is off the map; all add up to 1.
        expected: Probability of each place before the photo was seen, shape (num_states,).
        expected_off: The same of being off the map.
        move: From the place of the belief before; None: too short so far to count.
        waiting_m: Metres that were too few to count so far.
    """

    places: Ints
    probability: Floats
    off_map: float
    expected: Floats
    expected_off: float
    move: Move | None
    waiting_m: float = 0.0


@dataclass(frozen=True)
class Estimate:
    """What a belief says in numbers.

    Args:
        place: Database index of the most probable place.
        probability: That the photo was taken within the radius of it.
        position: Mean of the places within the radius of it, easting and northing, shape (2,).
        circle_m: Radius around the position that holds 90 % of the probability on the map, where a
            place stands for what lies within half a spacing of it.
        off_map: Probability that it is off the map.
    """

    place: int
    probability: float
    position: Floats
    circle_m: float
    off_map: float

    @property
    def state(self) -> Literal["known", "unsure", "unknown"]:
        """Unknown: more probably off the map than on it; known: one place is all but certain."""
        if self.off_map > 0.5:
            return "unknown"
        return "known" if self.probability >= SURE else "unsure"


class PlaceFilter:
    """Beliefs about one drive after another through the same places.

    Its beliefs are the caller's to keep, so any number of drives may share it.

    Args:
        positions: Easting and northing of the database's places, shape (num_places, 2).
        step_m: Mean metres from one photo to the next, where they are not measured. It is a guess:
            of a length of which only the mean is known, the exponential distribution assumes least,
            and if that mean is uncertain as a gamma distribution of its rate says, the length has
            the distribution of Lomax (Pareto II), whose tail is longer.
        spacing_m: Metres between neighbouring places: what a position is worth.
    """

    def __init__(self, positions: Floats, *, step_m: float, spacing_m: float) -> None:
        """Build the tree that finds neighbours."""
        from scipy.spatial import cKDTree  # here, since only this way of ordering uses it

        self.origin = positions.mean(axis=0).round()  # a common offset costs digits
        self.positions = positions - self.origin
        self.step_m, self.spacing_m = step_m, spacing_m
        self.tree = cKDTree(self.positions)

    def step(
        self,
        before: Belief | None,
        evidence: Evidence,
        candidates: Ints,
        moved_m: float = math.nan,
        pace: float = 1.0,
    ) -> Belief:
        """Follow the drive to the next photo.

        Args:
            before: Belief about the photo before; None: the drive begins.
            evidence: Log likelihood ratio of each of some places against a photo of another one.
            candidates: Places where the drive may enter the map, ascending, besides those that
                it may reach from the places of the belief before.
            moved_m: Metres moved since the photo before; NaN: unknown.
            pace: Seconds since the photo before, in the drive's usual ones.

        Returns:
            The new belief; exact, but for places less probable than 1e-7, as long as it has at most
            1,000 places and every place is a candidate.
        """
        is_measured = not math.isnan(moved_m)
        move: Move | None = None
        weight, waiting_m = 1.0, 0.0
        if before is not None:
            # Small moves add up: a drive of one metre a photo would else never leave its place.
            total_m = moved_m + before.waiting_m
            if is_measured:
                weight = min(1.0, moved_m / self.spacing_m)
            if is_measured and total_m < self.spacing_m / 2:
                waiting_m = total_m
            else:
                move = Move(total_m if is_measured else pace * self.step_m, is_measured)
        places, expected, expected_off = self._predict(before, candidates, move)
        found = expected * np.exp(weight * evidence(places))
        least = min(LEAST * (found.sum() + expected_off), found.max())  # one place at least
        kept = np.flatnonzero(found >= least)
        if len(kept) > MOST_STATES:
            kept = np.sort(kept[np.argpartition(-found[kept], MOST_STATES)[:MOST_STATES]])
        places, expected, found = places[kept], expected[kept], found[kept]
        total = found.sum() + expected_off
        return Belief(
            places, np.maximum(found / total, RARE), max(expected_off / total, RARE), expected,
            expected_off, move, waiting_m,
        )  # fmt: skip

    def _predict(
        self, before: Belief | None, candidates: Ints, move: Move | None
    ) -> tuple[Ints, Floats, float]:
        """Compute where the next photo is to be expected, before it is seen."""
        each = 1 / len(self.positions)
        if before is None:
            share = (1 - STARTS_OFF) * each
            expected = np.full(len(candidates), share)
            return candidates, expected, 1 - expected.sum()
        if move is None:
            return before.places, before.probability, before.off_map
        sources, targets, shares = self._moves(before.places, move)
        places = np.union1d(targets, candidates)
        expected = np.zeros(len(places))
        np.add.at(
            expected, np.searchsorted(places, targets),
            (1 - LEAVE) * before.probability[sources] * shares,
        )  # fmt: skip
        expected += before.off_map * ENTER * each
        return places, expected, 1 - expected.sum()

    def _moves(self, places: Ints, move: Move) -> tuple[Ints, Ints, Floats]:
        """Find the places that a move may lead to.

        Returns:
            Rows of `places`, database indices and probabilities, one of each for each move; the
            probabilities of a row add up to 1.
        """
        from scipy.spatial import cKDTree

        error = math.hypot(self.spacing_m, DRIFT * move.metres)
        reach = FARTHEST * move.metres
        if move.is_measured:
            reach = move.metres + FARTHEST * error
        pairs = cKDTree(self.positions[places]).sparse_distance_matrix(
            self.tree, reach, output_type="ndarray"
        )
        sources, metres = pairs["i"], pairs["v"]
        if move.is_measured:
            weights = np.exp(-0.5 * ((metres - move.metres) / error) ** 2)
            weights = np.where(metres < move.metres, np.maximum(weights, BEND), weights)
        else:
            weights = (1 + metres / (TAIL * move.metres)) ** -(TAIL + 1)
        sums = np.bincount(sources, weights, minlength=len(places))
        return sources, pairs["j"], weights / sums[sources]

    def smooth(self, beliefs: Sequence[Belief]) -> list[Belief]:
        """Let each belief of a drive also know the photos after it (forward-backward).

        Returns:
            As many beliefs, of the same places.
        """
        smoothed = list(beliefs[-1:])
        for before, after in zip(beliefs[-2::-1], beliefs[:0:-1], strict=True):
            later = smoothed[-1]
            gain = later.probability / np.maximum(after.expected, np.finfo(float).tiny)
            gain_off = later.off_map / after.expected_off
            if after.move is None:
                probability = before.probability * _gain_at(before.places, after.places, gain)
                off_map = before.off_map * gain_off
            else:
                sources, targets, shares = self._moves(before.places, after.move)
                shares = shares * _gain_at(targets, after.places, gain)
                ahead = np.bincount(sources, shares, minlength=len(before.places))
                probability = before.probability * ((1 - LEAVE) * ahead + LEAVE * gain_off)
                each = ENTER / len(self.positions)
                off_map = before.off_map * (each * gain.sum() + (1 - each * len(gain)) * gain_off)
            total = probability.sum() + off_map
            smoothed.append(
                replace(before, probability=probability / total, off_map=off_map / total)
            )
        return smoothed[::-1]

    def estimate(self, belief: Belief, *, radius_m: float) -> Estimate:
        """Say where a belief is.

        Args:
            belief: Of a photo.
            radius_m: Within which two photos show the same place.
        """
        here = self.positions[belief.places]
        best = int(np.argmax(belief.probability))
        near = np.linalg.norm(here - here[best], axis=1) <= radius_m
        mass = belief.probability[near].sum()
        middle = belief.probability[near] @ (here[near] - here[best]) / mass + here[best]
        far = np.linalg.norm(here - middle, axis=1)
        order = np.argsort(far)
        held = np.cumsum(belief.probability[order]) >= LEVEL * belief.probability.sum()
        circle_m = float(far[order][np.argmax(held)]) + self.spacing_m / 2
        return Estimate(
            int(belief.places[best]), float(mass), middle + self.origin, circle_m, belief.off_map
        )


def _gain_at(places: Ints, known: Ints, gain: Floats) -> Floats:
    """Gain of places, by those of a belief; none of those that it does not keep."""
    rows = np.searchsorted(known, places).clip(max=len(known) - 1)
    found: Floats = np.where(known[rows] == places, gain[rows], 0.0)
    return found
