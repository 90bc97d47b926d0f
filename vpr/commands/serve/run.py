"""The run that dvc.lock records, which the service answers from: loaded, checked by hash."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from vpr.datasets.params import DatasetParams
from vpr.features.params import TrunkParams
from vpr.images.numbered import NumberedImages
from vpr.locating.loading import check_run, load_places, load_ranker
from vpr.locating.matches import Located, Places, locate_ranked
from vpr.locating.ranking import Ranked, Ranker, rank_photos
from vpr.locating.tracking import Before, Tracker
from vpr.network.describing import describe_photos
from vpr.places.recordings import find_recordings
from vpr.repository.locked_run import locked_params
from vpr.repository.recorded_outs import KnownHashes, hash_out, list_locked
from vpr.repository.revisions import current_commit
from vpr.retrieval.descriptors import load_descriptors
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


@dataclasses.dataclass(frozen=True, eq=False)
class Run:
    """What answers are made of.

    Photos are described one at a time: the last bits of a convolution may depend on how many it
    sees at once (see `vpr.features.batches`), and an answer must not depend on who else asks.

    Args:
        ranker: The network and the search.
        whitened: What is searched, shape (num_places, dim).
        places: Of the database.
        pictures: Small ones of the database's images.
        dataset: Dataset the run was built from.
        trunk: How photos are described.
        sequence: How several photos in order are ranked.
        aggregator: What makes descriptors.
        hashes: MD5 of what it was loaded from, by path, as dvc.lock has them.
        commit: Of git; None outside a repository, unless VPR_COMMIT names it.
        since: When it was loaded, seconds since 1970.
        read: Hashes of the files, so that the next run reads only what changed.
        mapped: The file that `whitened` is mapped from, open, and its state when it was checked.
    """

    ranker: Ranker
    whitened: NDArray[np.float32]
    places: Places
    pictures: NumberedImages
    dataset: DatasetParams
    trunk: TrunkParams
    sequence: SequenceParams
    aggregator: str
    hashes: dict[str, str]
    commit: str | None
    since: float
    read: KnownHashes
    mapped: tuple[IO[bytes], tuple[int, int]]

    @property
    def num_places(self) -> int:
        """Images of the database."""
        return len(self.places.database.paths)

    @cached_property
    def id(self) -> str:
        """Twelve letters that name what answers are made of: files, and parameters of ranking."""
        reranker = self.ranker.reranker
        parts = (
            self.hashes, dataclasses.asdict(self.trunk), dataclasses.asdict(self.sequence),
            *([repr((reranker.keypoints, reranker.inliers, reranker.order))] if reranker else []),
        )  # fmt: skip
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def max_side_px(self) -> int | None:
        """Longer side of the largest image that is looked at; None: photos keep their size."""
        reranker, size = self.ranker.reranker, self.trunk.image_size
        sides = [max(size) if size else self.trunk.max_side_px]
        sides += [] if reranker is None else [reranker.keypoints.max_side_px]
        return None if None in sides else max(filter(None, sides))

    def rank(self, photo: Path, top: int) -> Ranked:
        """Rank the database for a photo as `locate` does.

        Args:
            photo: The file.
            top: Matches to keep.
        """
        self._require_unchanged()
        with _in_silence():
            (ranked,) = rank_photos(self.ranker, [photo], top=top, with_responses=False)
        return ranked

    @cached_property
    def tracker(self) -> Tracker:
        """What drives are followed with; made for the first photo of one."""
        return Tracker(
            self.ranker, self.places, self.whitened, crs=self.dataset.crs,
            step_m=self.sequence.step_m,
        )  # fmt: skip

    def follow(self, photo: Path, before: Before | None, moved_m: float) -> Before:
        """Follow a drive to its next photo, see `Tracker.step`."""
        return self.tracker.step(before, self.rank(photo, 1), moved_m)

    def describe(self, photo: Path) -> NDArray[np.float32]:
        """Row that a photo is searched by, shape (1, dim)."""
        with _in_silence():
            (described,) = describe_photos(self.ranker.network, [photo])
        return self.ranker.whiten(described.descriptors)

    def follow_in_order(
        self, names: Sequence[str], ranked: Sequence[Ranked], top: int
    ) -> list[Located]:
        """Locate the photos of one drive as the stage order does, by its filter or smoother."""
        tracker, follower = self.tracker, self.tracker.follower
        beliefs = list(tracker.follow(ranked))
        if self.sequence.method == "smoother":
            beliefs = follower.filter.smooth(beliefs)
        rows = np.stack([one.row for one in ranked])
        indices = follower.rank(beliefs, rows, top)
        distances = find_distances(self.whitened, rows, indices)
        along = [
            dataclasses.replace(one, indices=images, distances=far)
            for one, images, far in zip(ranked, indices, distances, strict=True)
        ]
        located = self.locate(names, along, top=top, alone=False)
        said = [tracker.describe(belief, "") for belief in beliefs]
        return [
            dataclasses.replace(
                one, state=of.state, probability=of.probability, position=of.position
            )
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
        database = self.whitened
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
        self, names: Sequence[str], ranked: Sequence[Ranked], *, top: int, alone: bool
    ) -> list[Located]:
        """Say what `locate` says; photos that were sent are none of the set's own queries.

        Args:
            names: Of the photos.
            ranked: What was ranked for each.
            top: Matches of each.
            alone: Whether each was ranked by itself; only for such rankings there is a calibration.
        """
        places = self.places if alone else dataclasses.replace(self.places, calibration=None)
        nobody: list[int | None] = [None] * len(names)
        located = locate_ranked([Path()] * len(names), ranked, places, nobody, top=top)
        return [
            dataclasses.replace(one, photo=name)
            for one, name in zip(located, names, strict=True)
        ]  # fmt: skip


@contextlib.contextmanager
def _in_silence() -> Iterator[None]:
    # Not the log's concern: how large a photo's features are, how far 20 ms of work have come.
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stderr(nowhere):
        yield


def load_run(last: Run | None = None) -> Run:
    """Load the run that dvc.lock records, from files that have its hashes.

    Args:
        last: The run that answers now: files that are as they were are not hashed again, and its
            network goes on if it is the same.

    Raises:
        ValueError: If a file is missing, damaged, or not the recorded one.
    """
    check_run(Path(), with_images=False)
    since, read = time.time(), KnownHashes(last.read if last else None)
    hashes = _read_hashes()
    _check_files(ANSWERED_FROM, hashes, read)
    dataset, places = load_places(Path())
    if not places.database.has_places:
        raise ValueError("the positions of this run's database are unknown: serve cannot say where")
    trunk = locked_params("trunk@database", "trunk", TrunkParams)
    network = None
    if last and last.trunk == trunk and last.hashes[NETWORK] == hashes[NETWORK]:
        network = last.ranker.network
    whitened = load_descriptors(WHITENED).view(np.ndarray)
    run = Run(
        load_ranker(Path(), whitened, network=network), whitened, places,
        NumberedImages(THUMBNAILS), dataset, trunk,
        locked_params("order", "sequence", SequenceParams),
        locked_params("finetune", "finetune", FinetuneParams).aggregator,
        hashes, os.environ.get(COMMIT) or current_commit(), since, read, _open(WHITENED),
    )  # fmt: skip
    weakref.finalize(run, run.mapped[0].close)
    if _read_hashes() != hashes:
        raise ValueError("dvc.lock changed while its run was loaded: ask again when it is complete")
    _check_files(LOADED, hashes, read)
    return run


def _open(path: Path) -> tuple[IO[bytes], tuple[int, int]]:
    file = path.open("rb")
    return file, _state(file)


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
        if not path.exists():
            raise ValueError(f"{path} is missing: run `dvc repro`, or fetch it with `dvc pull`")
        recorded, found = hashes[path.as_posix()], hash_out(path, read.hash_file)
        if found != recorded:
            raise ValueError(
                f"{path}: expected MD5 {recorded}, which dvc.lock records, found {found}: "
                "bring the recorded one back with `dvc checkout`, or run `dvc repro`"
            )
