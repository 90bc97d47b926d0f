"""The run that dvc.lock records, which the service answers from: loaded, checked by hash."""

from __future__ import annotations

import hashlib
import json
import os
import time
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from vpr.features.params import TrunkParams
from vpr.images.image_files import Photo
from vpr.images.numbered import NumberedImages
from vpr.locating.drives import Before, Tracker
from vpr.locating.matches import Located, Places, locate_ranked
from vpr.locating.ranking import Ranked, Ranker, rank_photos
from vpr.locating.run import Run, check_run, load_run, require_out
from vpr.network.describing import describe_photos
from vpr.places.index import find_recordings
from vpr.repository.locked_run import locked_params
from vpr.repository.recorded_outs import KnownHashes, hash_out, list_locked
from vpr.repository.revisions import current_commit
from vpr.retrieval.params import SequenceParams
from vpr.retrieval.sequences import find_distances, rank_descriptors
from vpr.run_files import (
    CALIBRATION,
    DATABASE,
    DESCRIPTORS,
    INDEX,
    KEPT,
    KEYPOINTS,
    MODEL,
    POSITIVES,
    QUERY,
    THUMBNAILS,
    WHITENED,
    WHITENING,
)
from vpr.training.params import FinetuneParams

NETWORK = MODEL.parent.as_posix()
COMMIT = "VPR_COMMIT"  # environment variable that names it where git's folder is not, as in Docker
LOADED = (
    MODEL.parent, WHITENING, DESCRIPTORS, WHITENED, INDEX, DATABASE,
    QUERY, POSITIVES, CALIBRATION, KEYPOINTS, KEPT.parent,
)  # fmt: skip
ANSWERED_FROM = (*LOADED, THUMBNAILS)  # of which each is read when it is asked for


@dataclass(frozen=True)
class Version:
    """Which run answers.

    Args:
        run: Twelve letters, a hash of all that answers depend on.
        max_side_px: Longer side that photos are scaled down to, in pixels; a client may send them
            smaller than they are, but not smaller than this. null: photos keep their size.
        commit: Commit of git; null outside a repository.
        encoder: Name, and which of its models.
        aggregator: Aggregator of its features.
        dataset: Name of the data set's folder, its reference system and number of places.
        hashes: MD5 by path, as dvc.lock records them.
    """

    run: str
    max_side_px: int | None
    commit: str | None
    encoder: dict[str, str | None]
    aggregator: str
    dataset: dict[str, str | int | None]
    hashes: dict[str, str]


@dataclass(frozen=True, eq=False)
class ServedRun:
    """A loaded run, from which the service answers.

    Photos are described one at a time: the last bits of a convolution may depend on how many it
    sees at once (see `vpr.features.batches`), and an answer must not depend on who else asks.

    Args:
        ranker: The network and the search.
        places: Places of the database.
        pictures: Thumbnails of the database's images.
        crs: Reference system of the places.
        trunk: How photos are described.
        sequence: How several photos in order are ranked.
        version: Identity of the run, for clients.
        since: When it was loaded, seconds since 1970.
        read: Hashes of the files, so that the next run reads only what changed.
        mapped: The open file of the searched rows, and its state when it was checked.
    """

    ranker: Ranker
    places: Places
    pictures: NumberedImages
    crs: str | None
    trunk: TrunkParams
    sequence: SequenceParams
    version: Version
    since: float
    read: KnownHashes
    mapped: tuple[IO[bytes], tuple[int, int]]

    @property
    def num_places(self) -> int:
        """Images of the database."""
        return len(self.places.database.paths)

    def rank(self, photo: Photo, top: int) -> Ranked:
        """Rank the database for a photo as `locate` does.

        Args:
            photo: The photo.
            top: Matches to keep.
        """
        self._require_unchanged()
        (ranked,) = rank_photos(self.ranker, [photo], top=top, with_responses=False)
        return ranked

    @cached_property
    def tracker(self) -> Tracker:
        """Tracker of drives, made for the first photo of one."""
        return Tracker(self.ranker, self.places, crs=self.crs, step_m=self.sequence.step_m)

    def follow(self, photo: Photo, before: Before | None, moved_m: float) -> Before:
        """Follow a drive to its next photo, see `Tracker.step`."""
        return self.tracker.step(before, self.rank(photo, 1), moved_m)

    def describe(self, photo: Photo) -> NDArray[np.float32]:
        """Row that a photo is searched by, shape (1, dim)."""
        (described,) = describe_photos(self.ranker.network, [photo])
        return self.ranker.whiten(described.descriptors)

    def follow_in_order(
        self, photos: Sequence[Path], ranked: Sequence[Ranked], top: int
    ) -> list[Located]:
        """Locate the photos of one drive as the stage order does, by its filter or smoother."""
        tracker, follower = self.tracker, self.tracker.follower
        beliefs = list(tracker.follow(ranked))
        if self.sequence.method == "smoother":
            beliefs = follower.filter.smooth(beliefs)
        rows = np.stack([one.row for one in ranked])
        indices = follower.rank(beliefs, rows, top)
        distances = find_distances(self.ranker.whitened, rows, indices)
        along = [
            replace(one, indices=images, distances=far)
            for one, images, far in zip(ranked, indices, distances, strict=True)
        ]
        located = self.locate(photos, along, top=top, alone=False)
        said = [tracker.describe(belief, "") for belief in beliefs]
        return [
            replace(one, state=of.state, probability=of.probability, position=of.position)
            for one, of in zip(located, said, strict=True)
        ]

    def rank_in_order(self, query: NDArray[np.float32], top: int, length: int) -> list[Ranked]:
        """Rank the database for photos along a route as the stage sequence does.

        Args:
            query: Their rows, in order, shape (num_photos, dim).
            top: Matches of each.
            length: Photos on a line, at least 2.
        """
        self._require_unchanged()
        database = self.ranker.whitened
        indices = rank_descriptors(
            database, query, find_recordings(None, len(query)),
            find_recordings(self.places.database.sequence, len(database)), length=length,
            velocities=self.sequence.velocities, reach=self.sequence.contrast_reach, top_k=top,
        )  # fmt: skip
        distances = find_distances(database, query, indices)
        return [
            Ranked(images, far, None, None, row)
            for images, far, row in zip(indices, distances, query, strict=True)
        ]

    def _require_unchanged(self) -> None:
        """Refuse to rank by rows that are not those that were checked."""
        file, checked = self.mapped
        if _state(file) != checked:
            raise RuntimeError(
                f"{WHITENED}: written to in place, while answers are made from it: DVC and stages "
                "replace files; bring it back with `dvc checkout`, then send SIGHUP"
            )

    def locate(
        self, photos: Sequence[Path], ranked: Sequence[Ranked], *, top: int, alone: bool
    ) -> list[Located]:
        """Locate photos as `locate` does; none of them is a query of the data set.

        Args:
            photos: Their names.
            ranked: Ranking of each.
            top: Matches of each.
            alone: Whether each was ranked by itself; only such rankings are calibrated.
        """
        places = self.places if alone else replace(self.places, calibration=None)
        return locate_ranked(photos, ranked, places, [None] * len(photos), top=top)


def load_served_run(last: ServedRun | None = None) -> ServedRun:
    """Load the run that dvc.lock records, from files that have its hashes.

    Args:
        last: The run that answers now; its unchanged files are not hashed again, and its network
            is reused if it is the same.

    Raises:
        ValueError: If a file is missing, damaged, or not the recorded one.
    """
    check_run(Path())
    since, read = time.time(), KnownHashes(last.read if last else None)
    hashes = _read_hashes()
    _check_files(ANSWERED_FROM, hashes, read)
    trunk = locked_params("trunk@database", "trunk", TrunkParams)
    network = None
    if last and last.trunk == trunk and last.version.hashes[NETWORK] == hashes[NETWORK]:
        network = last.ranker.network
    loaded = load_run(Path(), network=network)
    if not loaded.places.database.has_places:
        raise ValueError("serve needs positions, and those of this run's database are unknown")
    sequence = locked_params("order", "sequence", SequenceParams)
    rows = WHITENED.open("rb")
    run = ServedRun(
        loaded.ranker, loaded.places, NumberedImages(THUMBNAILS), loaded.dataset.crs, trunk,
        sequence, _describe(loaded, trunk, sequence, hashes), since, read, (rows, _state(rows)),
    )  # fmt: skip
    weakref.finalize(run, rows.close)
    if _read_hashes() != hashes:
        raise ValueError("dvc.lock changed while its run was loaded: ask again when it is complete")
    _check_files(LOADED, hashes, read)
    return run


def _describe(
    loaded: Run, trunk: TrunkParams, sequence: SequenceParams, hashes: dict[str, str]
) -> Version:
    """Describe the run to clients, without paths of this machine."""
    reranker, size = loaded.ranker.reranker, trunk.image_size
    parts: list[object] = [hashes, asdict(trunk), asdict(sequence)]
    sides = [max(size) if size else trunk.max_side_px]
    if reranker is not None:
        parts.append(repr((reranker.keypoints, reranker.inliers, reranker.order)))
        sides.append(reranker.keypoints.max_side_px)
    dataset, database = loaded.dataset, loaded.places.database
    return Version(
        hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12],
        None if None in sides else max(filter(None, sides)),
        os.environ.get(COMMIT) or current_commit(),
        {"name": trunk.encoder, "model": trunk.model},
        locked_params("finetune", "finetune", FinetuneParams).aggregator,
        {"name": Path(dataset.dir).name, "crs": dataset.crs, "num_places": len(database.paths)},
        hashes,
    )


def _state(file: IO[bytes]) -> tuple[int, int]:
    found = os.fstat(file.fileno())
    return found.st_size, found.st_mtime_ns


def _read_hashes() -> dict[str, str]:
    recorded = {one.path: one.md5 for one in list_locked(Path())}
    for path in ANSWERED_FROM:
        if path not in recorded:
            raise ValueError(f"{path}: dvc.lock does not record it: run `dvc repro`")
    return {path.as_posix(): recorded[path] for path in ANSWERED_FROM}


def _check_files(paths: Sequence[Path], hashes: Mapping[str, str], read: KnownHashes) -> None:
    for path in paths:
        require_out(path)
        recorded, found = hashes[path.as_posix()], hash_out(path, read.hash_file)
        if found != recorded:
            raise ValueError(
                f"{path}: expected MD5 {recorded}, which dvc.lock records, found {found}: "
                "bring the recorded one back with `dvc checkout`, or run `dvc repro`"
            )
