"""The forms in which data sets are passed on: which one a folder is in, and reading it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from vpr.datasets.dbstruct import parse_dbstruct
from vpr.datasets.ground_truth import GroundTruth, check_ground_truth
from vpr.datasets.tables import LISTS, PARTS, TABLES, find_files, parse_name_lists, parse_tables
from vpr.datasets.utm_names import SIDES, find_utm_names, parse_utm_names
from vpr.places.index import FORM, ImageIndex
from vpr.places.photos import with_slashes
from vpr.runtime.parameters import suggest


@dataclass(frozen=True)
class Form:
    """One form of data sets.

    Args:
        words: Content of a folder in this form, for messages.
        find: Folder -> the paths in it that `parse` may read.
        parse: One of those paths -> both sides.
        is_one_file: Whether the path holds everything, and so is what messages name.
        gives_way: Whether it counts only in a folder that has no other form.
    """

    words: str
    find: Callable[[Path], list[Path]]
    parse: Callable[[Path], GroundTruth]
    is_one_file: bool = True
    gives_way: bool = False


FORMATS = (
    Form("a dbStruct .mat file", lambda folder: find_files(folder, "*.mat"), parse_dbstruct),
    Form(
        f"an .npz of {', '.join(PARTS[:2])} and {PARTS[2]} beside {' and '.join(LISTS)}",
        lambda folder: find_files(folder, "*.npz"),
        parse_name_lists,
    ),
    Form(
        f"{' and '.join(TABLES)} with {FORM}",
        lambda folder: find_files(folder, TABLES[0]),
        parse_tables,
        is_one_file=False,
    ),
    Form(
        f"folders {' and '.join(SIDES)} of images named @easting@northing@...@.jpg",
        find_utm_names,
        parse_utm_names,
        is_one_file=False,
        gives_way=True,
    ),
)


def parse_set(folder: Path, index: str | None) -> GroundTruth:
    """Read the ground truth of a data set in any known form.

    Args:
        folder: The data set's folder.
        index: Name of the index, see `find_index`.

    Returns:
        Both sides, the radius if the form has one, and the form. Names have slashes, also those
        that Windows wrote.

    Raises:
        ValueError: If the form cannot be told, or what is there does not fit it.
    """
    path = find_index(folder, index)
    form = next((form for form in FORMATS if path in form.find(path.parent)), None)
    if form is None:
        raise ValueError(f"dataset.index: {path} has no known form; known forms are {_known()}")
    truth = form.parse(path)
    # Of several files, one for each side, the folder is named.
    check_ground_truth(truth, source=path if form.is_one_file else path.parent)
    return replace(truth, database=_portable(truth.database), query=_portable(truth.query))


def find_index(folder: Path, index: str | None) -> Path:
    """Find the file, or for names the folder, that a data set's ground truth is read from.

    Args:
        folder: The data set's folder.
        index: Name in the folder: a .mat or .npz file, `database.csv`, or the folder `database`.
            None: the only index that the folder has.

    Raises:
        ValueError: If there is no such thing, or several and none is named.
    """
    if not folder.is_dir():
        near = suggest(folder.name, (entry.name for entry in folder.parent.glob("*/")))
        raise ValueError(f"dataset.dir = {folder}: there is no such folder{near}")
    if index is not None:
        path = folder / index
        if not path.exists():
            inside = ", ".join(sorted(entry.name for entry in folder.iterdir())[:8])
            raise ValueError(
                f"dataset.index = {index}: {path} is missing; the folder has: {inside}"
            )
        return path
    found = [path for form in FORMATS if not form.gives_way for path in form.find(folder)]
    if not found:
        found = [path for form in FORMATS if form.gives_way for path in form.find(folder)]
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise ValueError(
            f"dataset.index = null: expected one ground truth in {folder}, found {names}: name the "
            f"one to use in dataset.index; known forms are {_known()}"
        )
    return found[0]


def _known() -> str:
    return "; ".join(form.words for form in FORMATS)


def _portable(index: ImageIndex) -> ImageIndex:
    return replace(index, paths=[with_slashes(name) for name in index.paths])
