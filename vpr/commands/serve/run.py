"""The recorded run that the service answers from, in memory and checked by hash."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vpr.datasets.params import DatasetParams
from vpr.features.params import TrunkParams
from vpr.images.image_files import Photo
from vpr.locating.matches import Located, Places, locate_ranked
from vpr.locating.ranking import Ranked, Ranker, rank_photos
from vpr.network.describing import describe_photos
from vpr.places.recordings import find_recordings
from vpr.retrieval.params import SequenceParams
from vpr.retrieval.sequence_ranking import find_distances, rank_descriptors


@dataclasses.dataclass(frozen=True, eq=False)
class Run:
    """What answers are made of.

    Args:
        ranker: The network and the search.
        whitened: What is searched, shape (num_places, dim).
        places: Of the database.
        pictures: Small ones of the database's images.
        dataset: That the run was made of.
        trunk: How photos are described.
        sequence: How several photos in order are ranked.
        aggregator: What makes descriptors.
        hashes: MD5 of what it was loaded from, by path, as dvc.lock has them.
        commit: Of git; None outside a repository, unless VPR_COMMIT names it.
        since: When it was loaded, seconds since 1970.
    """

    ranker: Ranker
    whitened: NDArray[np.float32]
    places: Places
    pictures: Sequence[Photo]
    dataset: DatasetParams
    trunk: TrunkParams
    sequence: SequenceParams
    aggregator: str
    hashes: dict[str, str]
    commit: str | None
    since: float

    @property
    def num_places(self) -> int:
        """Images of the database."""
        return len(self.places.database.paths)

    def rank(self, photos: Sequence[Path], top: int) -> list[Ranked]:
        """Rank the database for photos as `locate` does, each alone.

        Args:
            photos: Their files.
            top: Matches of each.
        """
        return list(rank_photos(self.ranker, photos, top=top, with_responses=False))

    def rank_in_order(self, photos: Sequence[Path], top: int, length: int) -> list[Ranked]:
        """Rank the database for photos along a route as the stage sequence does.

        Args:
            photos: Their files, in order.
            top: Matches of each.
            length: Photos on a line; 1: each alone.
        """
        if length == 1:
            return [one for photo in photos for one in self.rank([photo], top)]
        query = np.concatenate([self._describe(photo) for photo in photos])
        database = self.whitened
        indices = rank_descriptors(
            database, query, find_recordings(None, len(query)),
            find_recordings(self.places.database.sequence, len(database)), length=length,
            velocities=self.sequence.velocities, reach=self.sequence.contrast_reach, top_k=top,
        )  # fmt: skip
        return _unverified(indices, find_distances(database, query, indices))

    def _describe(self, photo: Path) -> NDArray[np.float32]:
        """Row that a photo is searched by, alone: in a batch its last bits may be others."""
        (described,) = describe_photos(self.ranker.network, [photo])
        return self.ranker.whiten(described.descriptors)

    def locate(self, names: Sequence[str], ranked: Sequence[Ranked]) -> list[Located]:
        """Say what `locate` says; photos that were sent are none of the set's own queries.

        Args:
            names: Of the photos.
            ranked: What `rank` gave.
        """
        located = locate_ranked([Path()] * len(names), ranked, self.places, [None] * len(names))
        return [
            dataclasses.replace(one, photo=name)
            for one, name in zip(located, names, strict=True)
        ]  # fmt: skip


def _unverified(indices: NDArray[np.int64], distances: NDArray[np.float32]) -> list[Ranked]:
    rows = zip(indices, distances, strict=True)
    return [Ranked(images, far, None, None) for images, far in rows]
