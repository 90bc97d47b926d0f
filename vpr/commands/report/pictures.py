"""Small pictures of a run, from DVC's cache, whichever run is checked out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from vpr.commands.compare.runs import ComparedRun, recorded_hashes
from vpr.images.image_files import encoded_image
from vpr.images.numbered import NumberedImages
from vpr.places.index import load_index
from vpr.report.pictures import jpeg_address
from vpr.repository.dvc import find_cache
from vpr.repository.recorded_outs import is_whole, stored_at
from vpr.run_files import DATABASE, THUMBNAILS


@dataclass(frozen=True)
class Album:
    """Small pictures of both sides.

    Args:
        query: Pictures of the queries.
        database: Pictures of the database's images.
        numbers: Number of each database image, by name.
    """

    query: NumberedImages
    database: NumberedImages
    numbers: dict[str, int]

    def show_query(self, number: int) -> str:
        """Write the picture of a query as an address that holds it."""
        return jpeg_address(encoded_image(self.query[number]).content)

    def show_image(self, name: str) -> str | None:
        """Write the picture of a database image likewise; None if there is none of that name."""
        if name not in self.numbers:
            return None
        return jpeg_address(encoded_image(self.database[self.numbers[name]]).content)


@contextmanager
def open_album(runs: Sequence[ComparedRun]) -> Iterator[Album | None]:
    """Open the pictures of the first of some runs on the same images whose cache has them.

    None if it has them of no run.
    """
    with TemporaryDirectory() as folder:
        found = (_find(run, Path(folder, str(number))) for number, run in enumerate(runs))
        yield next((album for album in found if album), None)


def _find(run: ComparedRun, folder: Path) -> Album | None:
    made = recorded_hashes(run)
    names = [str(THUMBNAILS), str(THUMBNAILS.with_name("query")), str(DATABASE)]
    if not made.keys() >= set(names):
        return None
    with chdir(run.folder):
        cache = find_cache()
    stored = [stored_at(cache, made[name]) for name in names]
    if not all(is_whole(file, made[name]) for file, name in zip(stored, names, strict=True)):
        return None
    sides = []
    for listing in stored[:2]:
        side = folder / listing.name
        side.mkdir(parents=True)
        for entry in json.loads(listing.read_bytes()):
            file = stored_at(cache, entry["md5"])
            if not file.is_file():
                return None
            (side / entry["relpath"]).symlink_to(file)
        sides.append(NumberedImages(side))
    numbers = {name: number for number, name in enumerate(load_index(stored[2]).paths)}
    return Album(sides[1], sides[0], numbers)
