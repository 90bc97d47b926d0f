"""dbStruct files are read as they are meant, or refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from vpr.datasets.dbstruct import parse_dbstruct, save_dbstruct
from vpr.datasets.formats import parse_set
from vpr.places.index import ImageIndex, load_index, save_index

PLACES = np.array([[0.0, 1.0], [2.0, 3.5]])
DATABASE = ImageIndex(["a b.jpg", "길/사진.jpg"], PLACES)
QUERY = ImageIndex(["q.jpg"], PLACES[:1])


def cells(**changed: Any) -> dict[str, Any]:  # noqa: ANN401
    parts: dict[str, Any] = {
        "dbImage": np.array(["a.jpg  ", "bcd.jpg"]), "locDb": PLACES,
        "qImage": np.array(["q.jpg"]), "locQ": PLACES[:1],
        "numDb": 2, "numQ": 1, "posDistThr": 5.0, "posDistSqThr": 25.0,
    } | changed  # fmt: skip
    row = np.empty((1, len(parts)), dtype=object)
    for number, part in enumerate(parts.values()):
        row[0, number] = part
    return {"dbStruct": row}


def write(tmp_path: Path, content: dict[str, Any]) -> Path:
    file = tmp_path / "set.mat"
    savemat(file, content)
    return file


def test_there_and_back_keeps_everything(tmp_path: Path) -> None:
    file = tmp_path / "set.mat"
    save_dbstruct(file, database=DATABASE, query=QUERY, radius_m=5)
    truth = parse_dbstruct(file)
    assert truth.database.paths == DATABASE.paths
    assert truth.query.paths == QUERY.paths
    assert truth.radius_m == 5
    np.testing.assert_array_equal(truth.database.coordinates, PLACES)


def test_equal_sets_give_equal_bytes_without_a_time_stamp(tmp_path: Path) -> None:
    for name in ("one.mat", "two.mat"):
        save_dbstruct(tmp_path / name, database=DATABASE, query=QUERY, radius_m=5)
    assert (tmp_path / "one.mat").read_bytes() == (tmp_path / "two.mat").read_bytes()
    assert b"Created on" not in (tmp_path / "one.mat").read_bytes()


def test_the_form_is_that_of_the_real_files(tmp_path: Path, real_data: Path) -> None:
    save_dbstruct(tmp_path / "set.mat", database=DATABASE, query=QUERY, radius_m=5)
    ours = loadmat(tmp_path / "set.mat")["dbStruct"]
    real = loadmat(real_data / "berlin/berlin.mat")["dbStruct"]
    assert ours.shape == real.shape
    assert [cell.dtype.kind for cell in ours[0][[0, 1, 2, 3]]] == ["U", "f", "U", "f"]


def test_only_padding_is_stripped_from_names(tmp_path: Path) -> None:
    file = write(tmp_path, cells(dbImage=np.array([" in side.jpg  ", "bcd.jpg"])))
    assert parse_dbstruct(file).database.paths == [" in side.jpg", "bcd.jpg"]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"numDb": 3}, "numDb = 3"),
        ({"locQ": PLACES}, "locQ: expected two numbers for each of 1 names"),
        ({"locDb": np.array([[0.0, np.nan], [1, 1]])}, "database image 0 ('a.jpg')"),
        ({"posDistSqThr": 5.0}, "posDistSqThr = 5.0"),
        ({"posDistThr": -5.0}, "radius above 0"),
        ({"dbImage": np.array(["   ", "b.jpg"])}, "database image 0 has an empty name"),
        ({"locDb": np.array(["x", "y"])}, "locDb: expected two numbers"),
        ({"dbImage": PLACES}, "dbImage: expected names"),
        ({"numQ": np.array([1, 2])}, "numQ: expected one number"),
    ],
)
def test_parts_that_disagree_are_named(tmp_path: Path, changed: dict[str, Any], words: str) -> None:
    file = write(tmp_path, cells(**changed))
    with pytest.raises(ValueError, match=r"set\.mat") as caught:
        parse_set(tmp_path, file.name)
    assert words in str(caught.value)


def test_a_file_without_dbstruct_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected a variable dbStruct"):
        parse_dbstruct(write(tmp_path, {"other": 1}))


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path, cells())
    file.write_bytes(file.read_bytes()[:300])
    with pytest.raises(ValueError, match=r"not a readable .mat file"):
        parse_dbstruct(file)


def test_matlab_7_3_is_named_with_the_way_out(tmp_path: Path) -> None:
    file = tmp_path / "set.mat"
    file.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(600))
    with pytest.raises(ValueError, match="-v7"):
        parse_dbstruct(file)


def test_an_index_survives_its_file_to_the_last_bit(tmp_path: Path) -> None:
    places = np.random.default_rng(0).uniform(0, 6e6, (2, 2))
    names = ['a,"b".jpg', "길.jpg"]
    save_index(tmp_path / "i.csv", ImageIndex(names, places, ["x", "y"]))
    again = load_index(tmp_path / "i.csv")
    assert again.paths == names
    assert again.sequence == ["x", "y"]
    np.testing.assert_array_equal(again.coordinates, places)


def test_a_damaged_index_names_row_and_column(tmp_path: Path) -> None:
    file = tmp_path / "i.csv"
    file.write_text("index,path,easting,northing\n0,a.jpg,1.0,north\n")
    with pytest.raises(ValueError, match=r"row 0, column northing.*'north'"):
        load_index(file)
    file.write_text("index,path,easting,northing\n1,a.jpg,1.0,2\n")
    with pytest.raises(ValueError, match="count 0, 1, 2"):
        load_index(file)
