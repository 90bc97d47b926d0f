"""The Python API: a finished run in memory, loaded once for any number of photos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np

from vpr.datasets.params import DatasetParams
from vpr.evaluation.calibration import load_calibration
from vpr.features.params import TrunkParams
from vpr.images.image_files import list_images, path_of
from vpr.locating.matches import Located, Places, Truth, find_globe, find_queries, locate_ranked
from vpr.locating.ranking import Ranked, Ranker, Settings, make_ranker, rank_photos
from vpr.matchers.base.matcher import Folders
from vpr.matchers.base.params import KeypointsParams
from vpr.network.describing import Network
from vpr.places.index import load_index
from vpr.places.positives import load_positives
from vpr.repository.locked_run import locked_params
from vpr.reranking.params import InliersParams, RerankParams
from vpr.retrieval.descriptors import load_descriptors
from vpr.retrieval.params import SearchParams
from vpr.run_files import (
    CALIBRATION,
    DATABASE,
    DATABASE_IMAGES,
    DESCRIPTORS,
    FOREIGN,
    INDEX,
    KEPT,
    KEYPOINTS,
    LOCK,
    MATCHER_WEIGHTS,
    MODEL,
    POSITIVES,
    QUERY,
    QUERY_IMAGES,
    WHITENED,
    WHITENING,
)

NEEDED = (
    LOCK, MODEL, DESCRIPTORS, WHITENING, WHITENED, INDEX, CALIBRATION, DATABASE, QUERY, POSITIVES,
    QUERY_IMAGES, KEYPOINTS, KEPT,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Locator:
    """Photos whose places are known, loaded once to locate any number of others."""

    places: Places
    ranker: Ranker

    def locate(self, photo: str | PathLike[str], *, top: int = 5) -> Located:
        """Find where a photo was taken.

        Args:
            photo: An image file.
            top: Number of matches.

        Returns:
            The ranked database images with their coordinates, and what follows from them: a state,
            a probability and a position.

        Raises:
            ValueError: If the photo does not decode, or a run's database has fewer images than
                `top`; a map gives all that it has.
        """
        (located,) = self.locate_all([photo], top=top)
        return located

    def locate_all(self, photos: Sequence[str | PathLike[str]], *, top: int = 5) -> list[Located]:
        """Find where each of some photos was taken, in their order; see `locate`."""
        files = [Path(photo) for photo in photos]
        return self.describe(files, self.rank(files, top=top), top=top)

    def rank(
        self, photos: Sequence[Path], *, top: int, with_responses: bool = False
    ) -> list[Ranked]:
        """Rank the database for photos, with NetVLAD's responses if asked for."""
        if top > len(self.places.database.paths):
            raise ValueError(
                f"top = {top}: the database has only {len(self.places.database.paths)} images"
            )
        return list(rank_photos(self.ranker, photos, top=top, with_responses=with_responses))

    def describe(
        self, photos: Sequence[Path], ranked: Sequence[Ranked], *, top: int
    ) -> list[Located]:
        """Add names, coordinates, conclusions and, for the set's own queries, the truth."""
        queries = find_queries(photos, *self.paths_of_queries())
        return locate_ranked(photos, ranked, self.places, queries, top=top)

    def paths_of_queries(self) -> list[list[Path]]:
        """List the paths of the set's queries, in one or more folders; a map has none."""
        return []


@dataclass(frozen=True, eq=False)
class Run(Locator):
    """A finished run.

    Args:
        folder: Folder of the repository.
        dataset: Data set that the run was made from.
    """

    folder: Path
    dataset: DatasetParams

    def paths_of_queries(self) -> list[list[Path]]:
        """List the queries in the data set, and their copies in data/images."""
        home, images = self.folder / self.dataset.dir, list_images(self.folder / QUERY_IMAGES)
        return [[home / path for path in self.places.truth.query.paths], list(map(path_of, images))]


def load_run(folder: Path, *, network: Network | None = None) -> Run:
    """Load a finished run from the folder of its repository, with dvc.lock and data/.

    Args:
        folder: Folder of the repository.
        network: Network of the run, if it is loaded already.

    Raises:
        ValueError: If a file is missing or damaged; the message says how to get it.
    """
    check_run(folder)
    dataset, places = load_places(folder)
    return Run(places, load_ranker(folder, network=network), folder, dataset)


def check_run(run: Path, *, with_images: bool = False) -> None:
    """Check that the files of a run exist.

    The database's images are only needed `with_images`.

    Raises:
        ValueError: If a file is missing; the message says how to get it.
    """
    if not (run / LOCK).is_file():
        raise ValueError(
            f"{run.resolve()}: is not the folder of a finished run (it has no dvc.lock): name one "
            "with --run, or start one there with `dvc repro`"
        )
    for needed in (*NEEDED, *([DATABASE_IMAGES] if with_images else [])):
        require_out(run / needed)


def require_out(path: Path) -> None:
    """Check that an out of a run exists.

    Raises:
        ValueError: If it does not; the message says how to get it.
    """
    if not path.exists():
        raise ValueError(f"{path} is missing: run `dvc repro`, or fetch it with `dvc pull`")


def load_places(run: Path) -> tuple[DatasetParams, Places]:
    """Load the places of the database and the truth about the queries.

    Returns:
        The data set that the run was made from, even if params.yaml names another now, and its
        places.

    Raises:
        ValueError: If a file is damaged.
    """
    dataset = locked_params("prepare", "dataset", DatasetParams, lock=run / LOCK)
    database = load_index(run / DATABASE)
    truth = Truth(load_index(run / QUERY), load_positives(run / POSITIVES))
    globe = find_globe(database.coordinates, dataset.crs)
    return dataset, Places(database, globe, load_calibration(run / CALIBRATION), truth)


def load_ranker(run: Path, *, network: Network | None = None) -> Ranker:
    """Load the network and the database that photos are ranked with, as `load_run` does.

    Raises:
        ValueError: If a file is missing or damaged.
    """
    lock = run / LOCK
    settings = Settings(
        locked_params("trunk@database", "trunk", TrunkParams, lock=lock),
        locked_params("search", "search", SearchParams, lock=lock),
        locked_params("keypoints@database", "keypoints", KeypointsParams, lock=lock),
        locked_params("inliers", "inliers", InliersParams, lock=lock),
        locked_params("order", "rerank", RerankParams, lock=lock),
    )
    return make_ranker(
        settings, network, model=run / MODEL, descriptors=run / DESCRIPTORS,
        whitening=run / WHITENING, index=run / INDEX, keypoints=run / KEYPOINTS, kept=run / KEPT,
        folders=Folders(run / MATCHER_WEIGHTS, run / FOREIGN),
        whitened=load_descriptors(run / WHITENED).view(np.ndarray),
    )  # fmt: skip
