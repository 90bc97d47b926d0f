"""From photos to their ranked database images, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from vpr.commands.locate.cluster_responses import cluster_responses
from vpr.commands.locate.features import describe_photos, extract_photos
from vpr.commands.locate.verifying import Verification
from vpr.features.model import Model
from vpr.network.head import load_head
from vpr.network.netvlad import NetVLAD
from vpr.places.pixels import ScaleTo
from vpr.reranking.verified_pairs import VerifiedPairs
from vpr.retrieval.index_files import Search
from vpr.retrieval.whitening import Whitening, whiten_rows
from vpr.runtime.device import find_device


@dataclass(frozen=True)
class Ranked:
    """What the model says of a photo.

    Args:
        indices: Database indices, best first, shape (top,).
        distances: Euclidean, shape (top,).
        verified: The inliers of its candidates; None where the run does not re-rank.
        responses: Of NetVLAD's clusters, and the shares in the likeness to the first match; None
            unless asked for, and without NetVLAD.
    """

    indices: NDArray[np.int64]
    distances: NDArray[np.float32]
    verified: VerifiedPairs | None
    responses: tuple[NDArray[np.float32], NDArray[np.float32]] | None


def rank_photos(
    model: Model,
    photos: Sequence[Path],
    database: NDArray[np.float32],
    *,
    whitening: Whitening | None,
    search: Search,
    precision: torch.dtype,
    scale_to: ScaleTo,
    verification: Verification | None,
    top: int,
    with_responses: bool,
) -> Iterator[Ranked]:
    """Rank the database for photos by the steps of the pipeline.

    Args:
        model: The whole model.
        photos: Image files.
        database: Descriptors of the database, by this model, shape (num_database, K * C).
        whitening: Whitening that the search is done in; None if it is off.
        search: Ranks the whitened database.
        precision: Type that the trunk computes in.
        scale_to: Size that photos are scaled to, as `read_image` takes it.
        verification: What re-ranks them; None: nothing does.
        top: How many matches to keep.
        with_responses: Whether to compute the clusters' responses too.

    Yields:
        One for each photo, in order.

    Raises:
        ValueError: If a photo does not decode or the database has fewer images than asked for.
    """
    device = find_device()
    head, files = load_head(model), iter(photos)
    for features in extract_photos(
        model, photos, precision=precision, scale_to=scale_to, device=device
    ):  # fmt: skip
        described = describe_photos(head, features, device)
        if whitening is not None:
            described = np.concatenate(list(whiten_rows(described, whitening)))
        depth = top if verification is None else max(top, verification.params.top)
        ranked = search(described, top_k=min(depth, len(database)))
        for number, (images, far) in enumerate(zip(*ranked, strict=True)):
            verified, responses = None, None
            if verification is not None:
                order, verified = verification.rerank(next(files), images, far)
                images, far = order.indices[0], order.distances[0]
            if with_responses and isinstance(head.pool, NetVLAD):
                maps = features.maps([number]).to(device)
                responses = cluster_responses(head, maps, database[images[0]])
            yield Ranked(images[:top], far[:top], verified, responses)
