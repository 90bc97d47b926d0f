"""Photos added to one side of a set, or taken out of it: its table is replaced whole, or stays."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

from vpr.console.progress import track
from vpr.datasets.formats import find_index
from vpr.datasets.tables import TABLES as SET_TABLES
from vpr.images.image_files import EncodedImage, Photo, count_bytes, encoded_image
from vpr.images.inspection import check_image
from vpr.importing.collection import Collection, LeftOut, Shot, Side
from vpr.importing.placing import number_name, place_shots
from vpr.importing.splitting import find_drives
from vpr.importing.writing import COLUMNS, REQUIRED, TABLES, cells, write_photo
from vpr.places.crs import check_crs
from vpr.places.index import read_rows
from vpr.places.photos import find_photo, plain_name
from vpr.runtime.artefacts import replaced_whole
from vpr.runtime.parameters import suggest

IN_THE_SET = "already in the set"


@dataclass(frozen=True)
class Table:
    """The table of one side of a set.

    Args:
        path: The file, in the set's folder.
        columns: Names of its columns.
        rows: Cells of each photo.
    """

    path: Path
    columns: list[str]
    rows: list[list[str]]

    @property
    def names(self) -> list[str]:
        """Paths of its photos below the set's folder."""
        place = self.columns.index("path")
        return [row[place] for row in self.rows]

    @property
    def has_places(self) -> bool:
        """Whether positions are known."""
        return "easting" in self.columns


@dataclass(frozen=True)
class Change:
    """What was done to a set.

    Args:
        table: The table that was replaced.
        before: Its bytes before.
        photos: Names of the photos that were added, or taken out.
        written: Files that were added to the set's folder.
        left_out: Photos that were not added, by reason.
    """

    table: Path
    before: bytes
    photos: list[str]
    written: Sequence[Path] = ()
    left_out: LeftOut = field(default_factory=LeftOut)

    def undo(self) -> None:
        """Bring the table back as it was, and remove the files that were added."""
        with replaced_whole(self.table) as file:
            file.write(self.before)
        for path in self.written:
            path.unlink(missing_ok=True)


def find_table(folder: Path, index: str | None, side: Side) -> Path:
    """Find the table of one side of a set.

    Raises:
        ValueError: If the set has another form.
    """
    path = find_index(folder, index)
    if path != folder / SET_TABLES[0] or not path.is_file():
        raise ValueError(
            f"dataset.dir = {folder}: add and remove change {' and '.join(SET_TABLES)}, and this "
            f"set has {path.name}: `python -m vpr export data/NAME --to csv` writes it as such "
            "tables; then name that folder in dataset.dir"
        )
    return path.with_name(TABLES[side])


def read_table(path: Path) -> Table:
    """Read the table of one side.

    Raises:
        ValueError: If it is not a table of photos.
    """
    columns, rows = read_rows(path)
    short = next((row for row in rows if len(row) != len(columns)), None)
    if columns.count("path") != 1 or short is not None:
        raise ValueError(
            f"{path}: expected a column path, and as many fields in each row, found "
            f"{short or columns}"
        )
    return Table(path, columns, rows)


def place_among(
    table: Table, parts: Sequence[Collection], *, crs: str | None
) -> tuple[list[Shot], LeftOut]:
    """Put photos on a set's plane, in the order of their drives.

    Args:
        table: Table of the side that they go to.
        parts: What was read.
        crs: The set's reference system; None: of no place on Earth.

    Raises:
        ValueError: If no photo is left, or positions do not fit the set's.
    """
    if table.has_places and crs is None and any(part.crs is not None for part in parts):
        raise ValueError(
            "dataset.crs = null: the set's coordinates have no reference system, so photos with a "
            "position on Earth cannot be placed among them: set it if there is one"
        )
    shots, _, _, left_out = place_shots(
        [(None, part) for part in parts], crs=crs if table.has_places else None,
        labels=table.has_places,
    )  # fmt: skip
    if not table.has_places:
        shots = [replace(shot, at=None) for shot in shots]
    elif crs is not None:
        check_crs(crs, np.array([shot.at for shot in shots]), side="new photos")
    if not any(shot.side for shot in shots):
        shots = [shot for drive in find_drives(shots, left_out).values() for shot in drive]
    return shots, left_out


def add_photos(table: Table, shots: Sequence[Shot], left_out: LeftOut, *, copy: bool) -> Change:
    """Add photos to a side; those whose bytes it has already are left out.

    If this fails or is interrupted, the set is as before.

    Args:
        table: Its table.
        shots: Photos on the set's plane.
        left_out: Photos that were left out before; counted on.
        copy: Whether to copy files where a link is possible.
    """
    folder = table.path.parent
    known = _Contents([find_photo(folder, name) for name in table.names])
    taken = {plain_name(name) for side in TABLES.values()
             for name in read_table(table.path.with_name(side)).names}  # fmt: skip
    added, written = [], []
    try:
        for shot in track(shots, total=len(shots), title="photos"):
            try:
                photo = _load(shot)
                check_image(photo)
            except ValueError as error:
                left_out.add(str(error).removeprefix(f"{shot.name}: "), shot.name)
                continue
            if not known.take(photo):
                left_out.add(IN_THE_SET, shot.name)
                continue
            name = next(
                name for name in number_name(shot.name)
                if plain_name(name) not in taken and _is_free(folder / name, photo.content)
            )  # fmt: skip
            taken.add(plain_name(name))
            target = folder / name
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                written.append(target)
                write_photo(target, shot.content, copy=copy)
            added.append(replace(shot, name=name))
        before = table.path.read_bytes()
        if added:
            _write(_with_rows(table, added))
    except BaseException:
        for path in written:
            path.unlink(missing_ok=True)
        raise
    return Change(table.path, before, [shot.name for shot in added], written, left_out)


def remove_photos(table: Table, patterns: Sequence[str]) -> Change:
    """Take photos out of the table of a side; their files stay.

    Args:
        table: Its table.
        patterns: Names in the table, which may have *, ? and [...], or paths of their files.

    Raises:
        ValueError: If a pattern names no photo, or none would be left.
    """
    names, gone = table.names, set()
    for pattern in patterns:
        found = {name for name in names if _names(table.path.parent, pattern, name)}
        if not found:
            raise ValueError(f"{pattern}: names no photo of {table.path}{suggest(pattern, names)}")
        gone |= found
    kept = [row for row, name in zip(table.rows, names, strict=True) if name not in gone]
    if not kept:
        raise ValueError(f"{table.path}: no photo would be left of its {len(names)}")
    before = table.path.read_bytes()
    _write(replace(table, rows=kept))
    return Change(table.path, before, [name for name in names if name in gone])


class _Contents:
    """The bytes of the photos of a side, of which only those of a size asked for are read."""

    def __init__(self, photos: Iterable[Photo]) -> None:
        self._digests: set[bytes] = set()
        self._unread: dict[int, list[Photo]] = {}
        for photo in photos:
            self._unread.setdefault(count_bytes(photo), []).append(photo)

    def take(self, photo: EncodedImage) -> bool:
        """Add a photo; False if it was there."""
        for other in self._unread.pop(len(photo.content), ()):
            self._digests.add(hashlib.sha256(encoded_image(other).content).digest())
        digest = hashlib.sha256(photo.content).digest()
        is_new = digest not in self._digests
        self._digests.add(digest)
        return is_new


def _load(shot: Shot) -> EncodedImage:
    content = shot.content
    return EncodedImage(
        Path(shot.name), content.read_bytes() if isinstance(content, Path) else content()
    )


def _is_free(target: Path, content: bytes) -> bool:
    """Return whether a file may be written; one of the same bytes was left by an earlier change."""
    return not target.exists() or (target.is_file() and target.read_bytes() == content)


def _names(folder: Path, pattern: str, name: str) -> bool:
    below = pattern.removeprefix(f"{folder.as_posix()}/").removeprefix(f"{folder.resolve()}/")
    return plain_name(below) == plain_name(name) or fnmatchcase(name, below)


def _with_rows(table: Table, shots: Sequence[Shot]) -> Table:
    """Append rows; a column that the table lacks is empty in the rows before."""
    found = [dict(zip(COLUMNS, cells(shot), strict=True)) for shot in shots]
    used = [name for name in COLUMNS[REQUIRED:] if any(row[name] is not None for row in found)]
    new = [name for name in used if name not in table.columns]
    columns = [*table.columns, *new]
    rows = [[*row, *[""] * len(new)] for row in table.rows]
    for row in found:
        values = (row.get(name) for name in columns)
        rows.append(["" if value is None else str(value) for value in values])
    return Table(table.path, columns, rows)


def _write(table: Table) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([table.columns, *table.rows])
    with replaced_whole(table.path) as file:
        file.write(text.getvalue().encode())
