"""dbStruct files whose images lie elsewhere than they say: Pittsburgh and Tokyo 24/7.

Pittsburgh's queries lie below `queries_real`; Tokyo's file says `.jpg` where the database's images
are `.png`, and its queries lie in `247query_subset_v2`. A set whose names fit needs no import.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from vpr.datasets.dbstruct import parse_dbstruct
from vpr.importing.collection import Asked, Collection, LeftOut, Shot, Side
from vpr.importing.placing import safe_name
from vpr.places.index import ImageIndex

WORDS = "a dbStruct .mat file and its images (Pittsburgh, Tokyo 24/7)"
GIVES_WAY = False
QUERY_FOLDERS = ("queries_real", "247query_subset_v2")
SUFFIXES = (".jpg", ".png", ".jpeg", ".JPG")
SYSTEMS = {"pitts": "EPSG:32617", "tokyo": "EPSG:32654"}  # the zones of the published files


def recognises(source: Path) -> bool:
    """Return whether a path is such a file, or a folder of them."""
    if source.is_file():
        return source.suffix == ".mat"
    return any(source.glob("*.mat")) or any(source.glob("datasets/*.mat"))


def read(source: Path, asked: Asked) -> Collection:
    """Read the file, or of several in a folder that which `asked.subset` names without `.mat`."""
    file = source if source.is_file() else _choose(source, asked.subset)
    truth = parse_dbstruct(file)
    root = asked.images or (file.parent if source.is_file() else source)
    known = [system for town, system in SYSTEMS.items() if town in file.name.lower()]
    crs = asked.crs or (known[0] if known else None)
    found = Collection(f"{truth.form}, {file.name}", crs=crs, radius_m=truth.radius_m)
    if crs is None:
        found.notes.append("the file names no reference system: for a map, name it by --crs")
    sides: tuple[tuple[Side, ImageIndex], ...] = (
        ("database", truth.database),
        ("query", truth.query),
    )
    for side, index in sides:
        found.shots += _read_side(root, side, index, found.left_out)
    if not found.shots:
        raise ValueError(
            f"{root}: has none of the images that {file.name} names (first "
            f"{truth.database.paths[0]!r}): name their folder by --images"
        )
    return found


def _choose(folder: Path, subset: str | None) -> Path:
    files = sorted([*folder.glob("*.mat"), *folder.glob("datasets/*.mat")])
    chosen = [file for file in files if subset in (None, file.stem)]
    if len(chosen) != 1:
        names = ", ".join(file.stem for file in files)
        raise ValueError(f"{folder}: expected one of {names} to be named by --subset")
    return chosen[0]


def _read_side(root: Path, side: Side, index: ImageIndex, left_out: LeftOut) -> list[Shot]:
    shots = []
    for name, place in zip(index.paths, index.coordinates.tolist(), strict=True):
        image = _find(root, name, side)
        if image is None:
            left_out.add("without an image", name)
        else:
            named = PurePosixPath(name.replace("\\", "/")).with_suffix(image.suffix)
            at = float(place[0]), float(place[1])
            shots.append(Shot(safe_name([side, *named.parts]), image, at=at, side=side))
    return shots


def _find(root: Path, name: str, side: Side) -> Path | None:
    """Find an image by its name, in the side's folders, with its suffix or another."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{root}: {name!r} leads out of the folder of images")
    folders = [root, *(root / folder for folder in QUERY_FOLDERS if side == "query")]
    for folder in reversed(folders):
        for suffix in (path.suffix, *SUFFIXES):
            image = folder / path.with_suffix(suffix)
            if image.is_file():
                return image
    return None
