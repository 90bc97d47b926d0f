"""dbStruct files whose images lie elsewhere than they say: Pittsburgh and Tokyo 24/7.

Pittsburgh's queries lie below `queries_real`; Tokyo's file says `.jpg` where the database's images
are `.png`, and its queries lie in `247query_subset_v2`. A set whose names fit needs no import.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from vpr.datasets.dbstruct import parse_dbstruct
from vpr.importing.collection import Asked, Collection, Shot, Side
from vpr.importing.placing import safe_name
from vpr.places.index import ImageIndex
from vpr.places.photos import check_name, with_slashes

WORDS = "a dbStruct .mat file and its images (Pittsburgh, Tokyo 24/7)"
GIVES_WAY = False
QUERY_FOLDERS = ("247query_subset_v2", "queries_real")
SUFFIXES = (".jpg", ".png", ".jpeg", ".JPG")
SYSTEMS = {"pitts": "EPSG:32617", "tokyo": "EPSG:32654"}  # the zones of the published files


def recognises(source: Path) -> bool:
    """Return whether a path is such a file, or a folder of them."""
    return source.suffix == ".mat" if source.is_file() else bool(_files_of(source))


def read(source: Path, asked: Asked) -> Collection:
    """Read the file, or of several in a folder that which `asked.subset` names without `.mat`."""
    if source.is_file():
        file, root = source, asked.images or source.parent
    else:
        files = _files_of(source)
        file, root = files[asked.choose_part(source, files, kind="files")], asked.images or source
    truth = parse_dbstruct(file)
    known = [system for town, system in SYSTEMS.items() if town in file.name.lower()]
    crs = asked.crs or (known[0] if known else None)
    found = Collection(f"{truth.form}, {file.name}", crs=crs, radius_m=truth.radius_m)
    if crs is None:
        found.notes.append("the file names no reference system: for a map, name it by --crs")
    _read_side(found, root, "database", truth.database)
    _read_side(found, root, "query", truth.query)
    if not found.shots:
        raise ValueError(
            f"{root}: has none of the images that {file.name} names (first "
            f"{truth.database.paths[0]!r}): name their folder by --images"
        )
    return found


def _files_of(folder: Path) -> dict[str, Path]:
    return {file.stem: file for file in (*folder.glob("*.mat"), *folder.glob("datasets/*.mat"))}


def _read_side(found: Collection, root: Path, side: Side, index: ImageIndex) -> None:
    for name, (east, north) in zip(index.paths, index.coordinates.tolist(), strict=True):
        check_name(name, home=root)
        image = _find(root, PurePosixPath(with_slashes(name)), side)
        if image is None:
            found.left_out.add("without an image", name)
        else:
            named = PurePosixPath(with_slashes(name)).with_suffix(image.suffix)
            path = safe_name([side, *named.parts])
            found.shots.append(Shot(path, image, at=(east, north), side=side))


def _find(root: Path, path: PurePosixPath, side: Side) -> Path | None:
    """Find an image by its name, in the side's folders, with its suffix or another."""
    folders = [*(root / name for name in QUERY_FOLDERS if side == "query"), root]
    images = (
        folder / path.with_suffix(suffix)
        for folder in folders for suffix in (path.suffix, *SUFFIXES)
    )  # fmt: skip
    return next((image for image in images if image.is_file()), None)
