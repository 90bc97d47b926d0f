"""From photos to their ranked database images, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vpr.images.image_files import read_image
from vpr.locating.cluster_responses import cluster_responses
from vpr.network.aggregators import Clustering
from vpr.network.describing import Network, describe_photos
from vpr.reranking.reranker import Reranker
from vpr.reranking.verified_pairs import NOTHING, VerifiedPairs
from vpr.retrieval.index_files import Search
from vpr.retrieval.predictions import Predictions
from vpr.retrieval.whitening import Whitening, whiten_rows


@dataclass(frozen=True)
class Ranked:
    """The ranking of a photo.

    Args:
        indices: Database indices, best first, shape (top,).
        distances: Euclidean distances, shape (top,).
        verified: Inliers of its candidates; None if the run does not re-rank.
        responses: Responses of NetVLAD's clusters, and shares in the similarity to the first match;
            None unless asked for, or without NetVLAD.
    """

    indices: NDArray[np.int64]
    distances: NDArray[np.float32]
    verified: VerifiedPairs | None
    responses: tuple[NDArray[np.float32], NDArray[np.float32]] | None

    @property
    def evidence(self) -> list[tuple[int, float] | None]:
        """Inliers and log10 NFA of each image; None of one that was not verified."""
        pairs = self.verified or NOTHING
        return [pairs.evidence_of(0, image) for image in self.indices.tolist()]


@dataclass(frozen=True, eq=False)
class Ranker:
    """The models and data that photos are ranked with, loaded once for any number of photos.

    Args:
        database: Descriptors of the database, by this network, shape (num_database, K * C).
        whitening: Whitening before the search; None if it is off.
        search: Search in the whitened database, or in the database itself.
        top_k: Images that the run keeps for each of its queries; it verifies the first of these.
        reranker: Re-ranker of photos; None: the run does not re-rank.
    """

    network: Network
    database: NDArray[np.float32]
    whitening: Whitening | None
    search: Search
    top_k: int
    reranker: Reranker | None

    def whiten(self, descriptors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Convert descriptors (N, K * C) to the unit rows (N, dim) that are searched for."""
        if self.whitening is None:
            return descriptors
        return np.concatenate(list(whiten_rows(descriptors, self.whitening)))


def rank_photos(
    ranker: Ranker, photos: Sequence[Path], *, top: int, with_responses: bool
) -> Iterator[Ranked]:
    """Rank the database for photos by the steps of the pipeline, keeping `top` matches.

    Yields:
        One ranking for each photo, in order.

    Raises:
        ValueError: If a photo does not decode or the database has fewer images than asked for.
    """
    reranker, files = ranker.reranker, iter(photos)
    head, database = ranker.network.head, ranker.database
    for features, descriptors in describe_photos(ranker.network, photos):
        depth = min(max(top, ranker.top_k), len(database))  # the candidates, and all wanted
        ranked = ranker.search(ranker.whiten(descriptors), top_k=depth)
        for number, (images, far) in enumerate(zip(*ranked, strict=True)):
            verified, responses = None, None
            if reranker is not None:
                pixels = read_image(next(files), scale_to=reranker.keypoints.max_side_px)
                retrieved = Predictions(images[None], far[None], len(database))
                order, verified = reranker.rerank(pixels, retrieved, num_ranked=ranker.top_k)
                images, far = order.indices[0], order.distances[0]
            if with_responses and isinstance(head.pool, Clustering):
                maps = features.maps([number]).to(ranker.network.device)
                responses = cluster_responses(head, maps, database[images[0]])
            yield Ranked(images[:top], far[:top], verified, responses)
