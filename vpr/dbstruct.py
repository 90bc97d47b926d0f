"""dbStruct .mat files, the form in which place recognition sets are passed on."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat, savemat

from vpr.ground_truth import GroundTruth, check_ground_truth
from vpr.index import ImageIndex

CELLS = 8  # dbImage, locDb, qImage, locQ, numDb, numQ, posDistThr, posDistSqThr
HEADER_BYTES = 116  # text of a MATLAB 5 file; scipy writes the time into it
HEADER = b"MATLAB 5.0 MAT-file, a place recognition data set"
HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"


def parse_dbstruct(path: Path) -> GroundTruth:
    """Read a dbStruct in cell form (Berlin, Oxford, Nordland).

    Names are padded with spaces at their ends; only that padding goes, inner spaces stay (the
    public code strips every space).

    Args:
        path: The .mat file.

    Returns:
        Both sides and the radius.

    Raises:
        ValueError: If the file is no such file, or its parts disagree; the message names them.
    """
    cells = _read_cells(path)
    num_database, num_query = (_scalar(path, cells, cell) for cell in (4, 5))
    radius, squared = (_scalar(path, cells, cell) for cell in (6, 7))
    if not np.isclose(radius**2, squared):
        raise ValueError(f"{path}: posDistThr = {radius}, but posDistSqThr = {squared}")
    truth = GroundTruth(
        _side(path, cells[0], cells[1], num_database, "Db"),
        _side(path, cells[2], cells[3], num_query, "Q"),
        radius,
    )
    check_ground_truth(truth, source=path)
    return truth


def save_dbstruct(path: Path, *, database: ImageIndex, query: ImageIndex, radius_m: float) -> None:
    """Write a dbStruct in cell form; equal sets give equal bytes.

    Args:
        path: The file to write.
        database: The database side.
        query: The query side.
        radius_m: Metres within which a database image is a positive.
    """
    cells = np.empty((1, CELLS), dtype=object)
    parts = [
        np.array(database.paths), database.coordinates, np.array(query.paths), query.coordinates,
        len(database.paths), len(query.paths), radius_m, radius_m**2,
    ]  # fmt: skip
    for number, part in enumerate(parts):
        cells[0, number] = part
    buffer = io.BytesIO()
    savemat(buffer, {"dbStruct": cells}, do_compression=False)  # type: ignore[arg-type]
    path.write_bytes(HEADER.ljust(HEADER_BYTES) + buffer.getvalue()[HEADER_BYTES:])


def _read_cells(path: Path) -> list[Any]:
    with path.open("rb") as file:
        if file.read(len(HDF5_MAGIC)) == HDF5_MAGIC:
            raise ValueError(
                f"{path}: this is a MATLAB 7.3 (HDF5) file; in MATLAB, save it again with "
                "save(..., '-v7')"
            )
    try:
        content = loadmat(path, variable_names=["dbStruct"])
    except Exception as error:  # scipy raises many kinds on damaged bytes
        raise ValueError(f"{path}: not a readable .mat file (truncated?): {error}") from None
    if "dbStruct" not in content:
        raise ValueError(f"{path}: expected a variable dbStruct, which this file does not hold")
    struct = content["dbStruct"]
    if struct.dtype.names or struct.dtype != object or struct.size != CELLS:
        raise ValueError(
            f"{path}: expected dbStruct as {CELLS} cells, found shape {struct.shape} of "
            f"{struct.dtype}"
        )
    return list(struct.reshape(-1))


def _scalar(path: Path, cells: list[Any], cell: int) -> float:
    value = np.asarray(cells[cell])
    if value.size != 1 or value.dtype.kind not in "iuf":
        raise ValueError(
            f"{path}: dbStruct cell {cell}: expected one number, found shape {value.shape} of "
            f"{value.dtype}"
        )
    return float(value.item())


def _side(path: Path, names: Any, places: Any, count: float, side: str) -> ImageIndex:  # noqa: ANN401
    texts = _names(path, np.asarray(names), f"{side.lower()}Image")
    coordinates = np.asarray(places)
    if coordinates.dtype.kind not in "iuf" or coordinates.ndim != 2 or coordinates.shape[1] != 2:
        raise ValueError(
            f"{path}: loc{side}: expected numbers of shape (n, 2), found shape "
            f"{coordinates.shape} of {coordinates.dtype}"
        )
    if not len(texts) == len(coordinates) == count:
        raise ValueError(
            f"{path}: {len(texts)} names in {side.lower()}Image, {len(coordinates)} rows in "
            f"loc{side}, num{side} = {count:g}: these must agree"
        )
    return ImageIndex(texts, coordinates.astype(np.float64))


def _names(path: Path, names: NDArray[Any], field: str) -> list[str]:
    flat = names.reshape(-1)
    if names.dtype == object:  # a cell for each name
        flat = np.array([np.asarray(cell).reshape(-1)[:1] for cell in flat], dtype=object)
        flat = np.array(["".join(map(str, cell)) for cell in flat])
    if flat.dtype.kind != "U":
        raise ValueError(f"{path}: {field}: expected names, found {names.dtype}")
    return [str(name).rstrip() for name in flat]
