"""The folder of verified pairs: which matches of a query and its candidates are inliers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vpr.retrieval.predictions import Predictions, load_predictions, save_predictions
from vpr.runtime.artefacts import replaced_whole
from vpr.runtime.npz import load_array, load_arrays, write_arrays

WHOLE = 65_535  # a side of an image in the units of places
NOT_VERIFIED = -1  # in place of a number of matches
FORMS: dict[str, tuple[int, type[np.generic]]] = {
    "candidates": (2, np.int64), "matches": (2, np.int64), "inliers": (2, np.int64),
    "log10_nfa": (2, np.float64), "places": (3, np.uint16),
}  # fmt: skip


class Evidence(NamedTuple):
    """What speaks for database images of each query.

    Args:
        inliers: How many, shape (num_queries, depth); 0 of a pair that was not verified.
        log10_nfa: See `VerifiedPairs`, same shape; 0 of a pair that was not verified.
    """

    inliers: NDArray[np.int64]
    log10_nfa: NDArray[np.float64]


@dataclass(frozen=True)
class VerifiedPairs:
    """Queries with their candidates, and the matches that geometry explains.

    Args:
        candidates: Database indices, in the retrieval's order, shape (num_queries, num_candidates);
            of no queries where nothing was verified.
        matches: How many matches of local features each has, same shape; `NOT_VERIFIED` of a
            candidate that was not looked at, since it could not come first (`inliers.stop`).
        inliers: Number of inliers of each candidate, same shape.
        log10_nfa: log10 of how often chance would give so many inliers among the matches, same
            shape; at most 0, see `log10_false_alarms`.
        places: Where the inliers are, pair after pair: x and y in the query and in the database
            image, in 65,535ths of width and height, shape (inliers.sum(), 2, 2).
    """

    candidates: NDArray[np.int64]
    matches: NDArray[np.int64]
    inliers: NDArray[np.int64]
    log10_nfa: NDArray[np.float64]
    places: NDArray[np.uint16]

    def of(self, query: int, image: int) -> NDArray[np.float64]:
        """Find the inliers of a query and a database image, as shares of width and height.

        Returns:
            Shape (num_inliers, 2, 2) as `places`, in [0, 1]; empty for a pair that was not
            verified.
        """
        if not self.candidates.size or image not in self.candidates[query]:
            return np.empty((0, 2, 2))
        pair = query * self.candidates.shape[1] + self.candidates[query].tolist().index(image)
        return self.places[self._starts[pair] : self._starts[pair + 1]] / WHOLE

    def evidence_of(self, query: int, image: int) -> tuple[int, float] | None:
        """Inliers and log10 NFA of a query and a database image; None if they were not verified."""
        if not self.candidates.size or image not in self.candidates[query]:
            return None
        rank = self.candidates[query].tolist().index(image)
        if self.matches[query, rank] == NOT_VERIFIED:
            return None
        return int(self.inliers[query, rank]), float(self.log10_nfa[query, rank])

    @property
    def num_verified(self) -> int:
        """Count the pairs that were verified."""
        return int((self.matches != NOT_VERIFIED).sum())

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        """First place of each pair, and the end."""
        return np.concatenate([[0], np.cumsum(self.inliers.ravel())])

    def evidence_for(self, images: NDArray[np.int64]) -> Evidence:
        """Find the evidence for database images of each query.

        Args:
            images: Database indices, shape (num_queries, depth).

        Raises:
            ValueError: If there are more or fewer queries.
        """
        if len(images) != len(self.candidates):
            raise ValueError(
                f"verified pairs of {len(self.candidates)} queries, images for {len(images)}: they "
                "come from different runs"
            )
        chosen = self.candidates[:, None, :] == images[:, :, None]  # (queries, depth, candidates)
        return Evidence(
            np.einsum("qdc,qc->qd", chosen, self.inliers),
            np.einsum("qdc,qc->qd", chosen, self.log10_nfa),
        )

    def of_predictions(self, ranked: Predictions) -> Evidence | None:
        """Find the evidence for each prediction; None if nothing was verified."""
        return self.evidence_for(ranked.indices) if self.candidates.size else None


_NONE = np.empty((0, 0), np.int64)
NOTHING = VerifiedPairs(
    _NONE, _NONE, _NONE, np.empty((0, 0), np.float64), np.empty((0, 2, 2), np.uint16)
)


def concatenate_pairs(parts: Sequence[VerifiedPairs]) -> VerifiedPairs:
    """Concatenate the queries of several parts."""
    return VerifiedPairs(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in FORMS)
    )


def save_part(file: Path, part: VerifiedPairs) -> None:
    """Write the pairs of some queries, all or none of them, to resume from."""
    with replaced_whole(file) as stream:
        write_arrays(stream, {name: getattr(part, name) for name in FORMS})


def load_part(file: Path) -> VerifiedPairs:
    """Read what `save_part` wrote."""
    return VerifiedPairs(*load_arrays(file, list(FORMS), what="a part of verified pairs"))


def save_verified(folder: Path, verified: VerifiedPairs) -> None:
    """Write an array `NAME.npy` for each name of `FORMS`."""
    folder.mkdir()
    for name in FORMS:
        np.save(folder / f"{name}.npy", getattr(verified, name))


def load_verified(folder: Path) -> VerifiedPairs:
    """Read what `save_verified` wrote.

    Raises:
        ValueError: If a file is damaged, or they disagree.
    """
    arrays = []
    for name, (num_axes, kind) in FORMS.items():
        array = load_array(folder / f"{name}.npy", what="a file of verified pairs")
        if array.ndim != num_axes or array.dtype != kind:
            raise ValueError(
                f"{folder}/{name}.npy: expected {num_axes} axes of {np.dtype(kind)}, found "
                f"{array.shape} of {array.dtype}"
            )
        arrays.append(array)
    verified = VerifiedPairs(*arrays)
    _check(folder, verified)
    return verified


def save_foreign(
    folder: Path,
    photos: Sequence[Path],
    ranked: Predictions | None = None,
    verified: VerifiedPairs = NOTHING,
) -> None:
    """Write the rankings of photos from elsewhere and what verifies them, and the photos' names."""
    folder.mkdir()
    (folder / "photos.txt").write_text("".join(f"{photo}\n" for photo in photos), encoding="utf-8")
    if ranked is not None:
        save_predictions(folder / "predictions.npz", ranked)
        save_verified(folder / "verified", verified)


def load_foreign(folder: Path) -> tuple[Predictions, VerifiedPairs] | None:
    """Read what `save_foreign` wrote; None if there are no such photos.

    Raises:
        ValueError: If a file is damaged.
    """
    if not (folder / "predictions.npz").exists():
        return None
    return load_predictions(folder / "predictions.npz"), load_verified(folder / "verified")


def _check(folder: Path, pairs: VerifiedPairs) -> None:
    total, inliers = int(pairs.inliers.sum()), pairs.inliers
    shapes = {getattr(pairs, name).shape for name, (num_axes, _) in FORMS.items() if num_axes == 2}
    if len(shapes) > 1 or (inliers < 0).any() or pairs.places.shape != (total, 2, 2):
        raise ValueError(
            f"{folder}: expected a count of inliers for each candidate and as many places, found "
            f"candidates {pairs.candidates.shape}, matches {pairs.matches.shape}, inliers "
            f"{inliers.shape} of {total} in all, log10_nfa {pairs.log10_nfa.shape} and places "
            f"{pairs.places.shape}"
        )
    least = np.where(inliers > 0, inliers, NOT_VERIFIED)
    if (pairs.matches < least).any() or not (pairs.log10_nfa <= 0).all():
        raise ValueError(
            f"{folder}: expected at least as many matches as inliers, and log10_nfa of 0 or less"
        )
