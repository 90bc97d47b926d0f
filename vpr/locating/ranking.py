"""From photos to their ranked database images: the models and data it takes, and each step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from vpr.features.model import Model, load_model
from vpr.features.params import TrunkParams
from vpr.images.image_files import Photo, read_image
from vpr.matchers.base.keypoints import load_keypoints
from vpr.matchers.base.matcher import Folders, load_matcher
from vpr.matchers.base.params import KeypointsParams
from vpr.matchers.base.photos import PhotoMatcher, with_photos
from vpr.network.aggregator import Clustering
from vpr.network.describing import Network, describe_photos, load_network
from vpr.network.head import Head
from vpr.reranking.params import InliersParams, RerankParams
from vpr.reranking.reranker import Reranker
from vpr.reranking.utility_files import load_kept
from vpr.reranking.verified_pairs import NOTHING, VerifiedPairs
from vpr.retrieval.descriptors import load_descriptors
from vpr.retrieval.index_files import Search, open_search
from vpr.retrieval.params import SearchParams
from vpr.retrieval.predictions import Predictions
from vpr.retrieval.whitening import Whitening, load_whitening, whiten_rows
from vpr.runtime.device import find_device


@dataclass(frozen=True)
class Ranked:
    """The ranking of a photo.

    Args:
        indices: Database indices, best first: as many as the run ranks, or more if asked for.
        distances: Euclidean distances, same shape.
        verified: Inliers of its candidates; None if the run does not re-rank.
        responses: Responses of NetVLAD's clusters, and shares in the similarity to the first match;
            None unless asked for, or without NetVLAD.
        row: Descriptor that was searched for, shape (dim,).
    """

    indices: NDArray[np.int64]
    distances: NDArray[np.float32]
    verified: VerifiedPairs | None
    responses: tuple[NDArray[np.float32], NDArray[np.float32]] | None
    row: NDArray[np.float32]

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
        whitened: Rows that are searched: the whitened database, or the database itself.
        search: Search in these rows.
        top_k: Images that the run keeps for each of its queries; it verifies the first of these.
        reranker: Re-ranker of photos; None: the run does not re-rank.
    """

    network: Network
    database: NDArray[np.float32]
    whitening: Whitening | None
    whitened: NDArray[np.float32]
    search: Search
    top_k: int
    reranker: Reranker | None

    def whiten(self, descriptors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Convert descriptors (N, K * C) to the unit rows (N, dim) that are searched for."""
        if self.whitening is None:
            return descriptors
        return np.concatenate(list(whiten_rows(descriptors, self.whitening)))


@dataclass(frozen=True)
class Settings:
    """Parameters that a run ranks its queries with."""

    trunk: TrunkParams
    search: SearchParams
    keypoints: KeypointsParams
    inliers: InliersParams
    order: RerankParams


def make_ranker(
    settings: Settings,
    network: Network | None = None,
    /,
    *,
    model: Path,
    descriptors: Path,
    whitening: Path,
    index: Path,
    keypoints: Path,
    kept: Path,
    folders: Folders,
    whitened: NDArray[np.float32],
) -> Ranker:
    """Load what photos are ranked with.

    `whitened` are the rows that are searched, in memory or mapped; `network` that of the model, if
    it is loaded already; the others are files of a run.

    Raises:
        ValueError: If a file is missing or damaged.
    """
    trunk, search = settings.trunk, settings.search
    return Ranker(
        network or start_network(load_model(model), trunk),
        load_descriptors(descriptors), load_whitening(whitening), whitened,
        open_search(index, search.index, whitened, effort=search.effort), search.top_k,
        _make_reranker(settings, folders, keypoints=keypoints, kept=kept),
    )  # fmt: skip


def start_network(model: Model, trunk: TrunkParams) -> Network:
    """Make a network that describes photos with the run's parameters, on this machine's device."""
    precision = getattr(torch, trunk.precision)
    return load_network(model, precision=precision, scale_to=trunk.scale_to, device=find_device())


def _make_reranker(
    settings: Settings, folders: Folders, *, keypoints: Path, kept: Path
) -> Reranker | None:
    """Load the re-ranker; None if the run does not re-rank."""
    matcher = load_matcher(settings.order.method, settings.order.model, folders)
    if matcher is None:
        return None
    database = load_keypoints(keypoints)
    database = database.only(load_kept(kept, num_keypoints=len(database)))
    if isinstance(matcher, PhotoMatcher):
        database = with_photos(database, keypoints)
    return Reranker(matcher, database, settings.keypoints, settings.inliers, settings.order)


def rank_photos(
    ranker: Ranker, photos: Sequence[Photo], *, top: int, with_responses: bool
) -> Iterator[Ranked]:
    """Rank the database for photos by the steps of the pipeline, `top` images at least.

    Yields:
        One ranking for each photo, in order.

    Raises:
        ValueError: If a photo does not decode or the database has fewer images than asked for.
    """
    reranker, files = ranker.reranker, iter(photos)
    head, database = ranker.network.head, ranker.database
    for features, descriptors in describe_photos(ranker.network, photos):
        depth = min(max(top, ranker.top_k), len(database))  # the candidates, and all wanted
        rows = ranker.whiten(descriptors)
        found = ranker.search(rows, top_k=depth)
        for number, (row, images, far) in enumerate(zip(rows, *found, strict=True)):
            verified, responses = None, None
            if reranker is not None:
                pixels = read_image(next(files), scale_to=reranker.keypoints.max_side_px)
                retrieved = Predictions(images[None], far[None], len(database))
                order, verified = reranker.rerank(pixels, retrieved, num_ranked=ranker.top_k)
                images, far = order.indices[0], order.distances[0]
            if with_responses and isinstance(head.pool, Clustering):
                maps = features.maps([number]).to(ranker.network.device)
                responses = cluster_responses(head, maps, database[images[0]])
            yield Ranked(images, far, verified, responses, row)


def cluster_responses(
    head: Head, features: Tensor, match: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Responses of NetVLAD's clusters to a photo, and each position's share in a similarity.

    A descriptor is a sum over positions, normalised: its dot product with a database image's
    descriptor is exactly a sum of one term for each position.

    `features` are those of one photo, shape (1, C', H, W), and `match` is the descriptor of the
    database image, shape (K * C,).

    Returns:
        Assignment (K, H', W'), averaged over the scales, which sums to 1 at each position, and
        shares (H', W'), summed over the scales, which sum to the dot product of the two
        descriptors.
    """
    pool = head.netvlad()
    with torch.inference_mode():
        maps = head.encode(features)
        height, width = maps.shape[2:]
        unit = functional.normalize(maps, dim=1)
        assignment = pool.assign(unit)[0]  # (K, P)
        positions = unit.flatten(2)[0].T  # (P, C)
        residuals = assignment @ positions - assignment.sum(1, keepdim=True) * pool.centroids
        lengths = residuals.norm(dim=1, keepdim=True).clamp_min(1e-12)  # (K, 1)
        whole = (residuals / lengths).norm().clamp_min(1e-12)
        towards = (
            torch.from_numpy(np.array(match)).to(maps.device).view_as(residuals) / lengths / whole
        )  # (K, C)
        at_centroids = (towards * pool.centroids).sum(dim=1, keepdim=True)  # (K, 1)
        shares = (assignment * (towards @ positions.T - at_centroids)).sum(dim=0)  # (P,)
    grid = (head.num_scales, height // head.num_scales, width)
    means = assignment.view(-1, *grid).mean(dim=1)  # (K, H', W')
    return means.cpu().numpy(), shares.view(grid).sum(dim=0).cpu().numpy()
