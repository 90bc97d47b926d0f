"""The Python API: a finished run, and locating photos with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from vpr.datasets.params import DatasetParams
from vpr.images.image_files import list_images, path_of
from vpr.locating.loading import check_run, load_places, load_ranker
from vpr.locating.matches import Located, Places, find_queries, locate_ranked
from vpr.locating.ranking import Ranked, Ranker, rank_photos
from vpr.retrieval.descriptors import load_descriptors
from vpr.run_files import QUERY_IMAGES, WHITENED


@dataclass(frozen=True, eq=False)
class Run:
    """A finished run, loaded once for any number of photos.

    Args:
        folder: Folder of the repository.
        dataset: Data set that the run was made from.
    """

    folder: Path
    dataset: DatasetParams
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
            ValueError: If the photo does not decode, or the database has fewer images than `top`.
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
        return locate_ranked(photos, ranked, self.places, self._query_numbers(photos), top=top)

    def _query_numbers(self, photos: Sequence[Path]) -> list[int | None]:
        home = self.folder / self.dataset.dir
        named = [home / path for path in self.places.truth.query.paths]
        gathered = list(map(path_of, list_images(self.folder / QUERY_IMAGES)))
        by_set, by_number = find_queries(photos, named), find_queries(photos, gathered)
        return [a if a is not None else b for a, b in zip(by_set, by_number, strict=True)]


def load_run(folder: Path) -> Run:
    """Load a finished run from the folder of its repository, with dvc.lock and data/.

    Raises:
        ValueError: If a file is missing or damaged; the message says how to get it.
    """
    check_run(folder, with_images=False)
    dataset, places = load_places(folder)
    ranker = load_ranker(folder, load_descriptors(folder / WHITENED))
    return Run(folder, dataset, places, ranker)
