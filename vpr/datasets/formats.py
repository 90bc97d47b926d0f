"""The forms in which data sets are passed on: which one a folder is in, and reading it."""

from __future__ import annotations

from pathlib import Path

from vpr.datasets.dbstruct import parse_dbstruct
from vpr.datasets.ground_truth import GroundTruth, check_ground_truth
from vpr.datasets.name_lists import parse_name_lists
from vpr.datasets.utm_names import SIDES, parse_utm_names
from vpr.places.index import parse_index

TABLES = ("database.csv", "query.csv")
FILES = (".mat", ".npz")  # forms with both sides in one file
KNOWN = f"""a dbStruct .mat file; {" and ".join(TABLES)} with path,easting,northing[,sequence]; \
folders {" and ".join(SIDES)} of images named @easting@northing@...@.jpg; or an .npz of utmDb, \
utmQ and posDistThr beside *index.txt and *query.txt"""


def parse_set(folder: Path, index: str | None) -> GroundTruth:
    """Read the ground truth of a data set in any known form.

    Args:
        folder: The data set's folder.
        index: What `find_index` takes.

    Returns:
        Both sides, the radius if the form has one, and the form.

    Raises:
        ValueError: If the form cannot be told, or what is there does not fit it.
    """
    path = find_index(folder, index)
    truth = _parse(path)
    # Of several files, one for each side, the folder is named.
    check_ground_truth(truth, source=path if path.suffix in FILES else path.parent)
    return truth


def find_index(folder: Path, index: str | None) -> Path:
    """The file, or for names the folder, that a data set's ground truth is read from.

    Args:
        folder: The data set's folder.
        index: Its name in the folder: a .mat or .npz file, `database.csv`, or the folder
            `database`. None: what the folder has, if it is one thing.

    Raises:
        ValueError: If there is no such thing, or several and none is named.
    """
    if not folder.is_dir():
        raise ValueError(f"dataset.dir = {folder}: there is no such folder")
    if index is not None:
        path = folder / index
        if not path.exists():
            inside = ", ".join(sorted(entry.name for entry in folder.iterdir())[:8])
            raise ValueError(
                f"dataset.index = {index}: {path} is missing; the folder has: {inside}"
            )
        return path
    found = [*sorted(folder.glob("*.mat")), *sorted(folder.glob("*.npz"))]
    if (folder / TABLES[0]).is_file():
        found.append(folder / TABLES[0])
    if not found and _is_named_by_place(folder / SIDES[0]):  # a file that tells goes first
        found.append(folder / SIDES[0])
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none of them"
        raise ValueError(
            f"dataset.index = null: {folder} has {names}: expected one of {KNOWN}; name the one "
            "that is meant in dataset.index"
        )
    return found[0]


def _parse(path: Path) -> GroundTruth:
    if path.suffix == ".mat":
        return parse_dbstruct(path)
    if path.suffix == ".npz":
        return parse_name_lists(path)
    if path.name == TABLES[0]:
        return GroundTruth(parse_index(path), parse_index(path.with_name(TABLES[1])), None, "CSV")
    if path.is_dir() and path.name == SIDES[0]:
        database, query = (parse_utm_names(path.parent, side) for side in SIDES)
        return GroundTruth(database, query, None, "@easting@northing@ names")
    raise ValueError(f"dataset.index: {path} is in no known form; known are {KNOWN}")


def _is_named_by_place(folder: Path) -> bool:
    return folder.is_dir() and any(path.name.startswith("@") for path in folder.rglob("*@*"))
