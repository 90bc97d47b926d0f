"""A data set means the same in whichever form it comes."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path
from typing import Any
from unicodedata import normalize

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from stages.prepare import prepare
from tests.support.repositories import run
from vpr.datasets.dbstruct import parse_dbstruct, save_dbstruct
from vpr.datasets.export import export_set
from vpr.datasets.formats import parse_set
from vpr.datasets.ground_truth import GroundTruth
from vpr.datasets.protocol_checks import follow_protocol
from vpr.images.image_files import encoded_image, list_images
from vpr.places.crs import check_crs, parse_metric_crs
from vpr.places.index import ImageIndex, load_index

DATABASE = np.array([[389_000.5, 5_818_000.0], [389_010.1, 5_818_000.3], [389_000.5, 5_818_000.0]])
QUERY = np.array([[389_001.0, 5_818_003.0], [389_300.0, 5_818_000.0]])
PARAMS = """
dataset: {{dir: "{}", index: null, crs: "EPSG:32633", protocol: null}}
prepare: {{radius_m: {}, max_heading_deg: null}}
thumbnails: {{max_side_px: 16, quality: 50}}
"""


def draw(folder: Path, names: list[str]) -> None:
    for shade, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 6), (shade, 90, 90)).save(folder / name)


@pytest.fixture
def named_set(tmp_path: Path) -> Path:
    """A set with the positions in its file names, written by the exporter."""
    names = ["거리/하나 둘.jpg", "b.png", "c.jpg"], ["q.jpg", "거리/q 2.jpg"]
    draw(tmp_path / "source", names[0])
    draw(tmp_path / "source", names[1])
    truth = GroundTruth(ImageIndex(names[0], DATABASE), ImageIndex(names[1], QUERY), None, "hand")
    export_set(truth, tmp_path / "source", tmp_path / "set", to="utm-names", radius_m=25)
    return tmp_path / "set"


def prepared(folder: Path, monkeypatch: pytest.MonkeyPatch, radius_m: str) -> dict[str, bytes]:
    """Every byte that the stage prepare makes of a set."""
    work = folder.with_name(f"{folder.name} prepared")
    work.mkdir()
    monkeypatch.chdir(work)
    Path("params.yaml").write_text(PARAMS.format(folder, radius_m))
    outs = [Path(name) for name in ("d.csv", "q.csv", "p.npz", "t.npz", "database", "query", "r")]
    prepare(
        database=outs[0], query=outs[1], positives=outs[2],
        training_positives=outs[3], database_images=outs[4], query_images=outs[5],
        radius=outs[6], notes=Path("notes.json"), database_thumbnails=Path("dt"),
        query_thumbnails=Path("qt"),
    )  # fmt: skip
    made = {str(path): path.read_bytes() for path in (*outs[:4], outs[6])}
    for side in outs[4:6]:  # in files, or in shards
        images = [encoded_image(image) for image in list_images(side)]
        made |= {f"{side}/{image.path.name}": image.content for image in images}
    return made


def as_fields(truth: GroundTruth, *, stamps: bool) -> dict[str, Any]:
    """A named struct as MATLAB writes it: a cell per name, a column per place."""

    def cells(names: list[str]) -> np.ndarray:
        column = np.empty((len(names), 1), dtype=object)
        column[:, 0] = names
        return column

    count = len(truth.database.paths), len(truth.query.paths)
    fields: dict[str, Any] = {
        "whichSet": "test", "dbImageFns": cells(truth.database.paths),
        "utmDb": truth.database.coordinates.T, "qImageFns": cells(truth.query.paths),
        "utmQ": truth.query.coordinates.T, "numImages": count[0], "numQueries": count[1],
        "posDistThr": 25.0, "posDistSqThr": 625.0, "nonTrivPosDistSqThr": 100.0,
    }  # fmt: skip
    if stamps:
        fields |= {"dbTimeStamp": np.zeros((1, count[0])), "qTimeStamp": np.zeros((1, count[1]))}
    return {"dbStruct": fields}


def test_the_same_set_in_every_form_is_prepared_to_the_same_bytes(
    named_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    expected = prepared(named_set, monkeypatch, "25")
    assert len(expected) == 5 + 3 + 2
    assert "form: @easting@northing@ names" in capsys.readouterr().out
    truth = parse_set(named_set, None)

    for form, words in (("csv", "form: CSV"), ("dbstruct", "form: dbStruct, as cells")):
        export_set(truth, named_set, tmp_path / form, to=form, radius_m=25)  # type: ignore[arg-type]
        radius = "null" if form == "dbstruct" else "25"
        assert prepared(tmp_path / form, monkeypatch, radius) == expected
        assert words in capsys.readouterr().out

    shards = Path(shutil.copytree(tmp_path / "csv", tmp_path / "shards"))
    for side in ("database", "queries"):  # its folder becomes a shard at the top
        with tarfile.open(shards / f"{side}.tar", "w") as archive:
            archive.add(shards / side, side)
        shutil.rmtree(shards / side)
    assert prepared(shards, monkeypatch, "25") == expected
    assert [file.name for file in Path("database").iterdir()] == ["000000.tar"]
    assert "form: CSV" in capsys.readouterr().out

    for stamps, words in ((False, "10 named fields"), (True, "12 named fields and time stamps")):
        folder = Path(shutil.copytree(named_set, tmp_path / words))
        savemat(folder / "set.mat", as_fields(truth, stamps=stamps))
        assert prepared(folder, monkeypatch, "null") == expected
        assert words in capsys.readouterr().out

    folder = Path(shutil.copytree(named_set, tmp_path / "lists"))
    places = {"utmDb": truth.database.coordinates, "utmQ": truth.query.coordinates}
    np.savez(folder / "set.npz", **places, posDistThr=25)
    (folder / "set_imageNames_index.txt").write_text("\n".join(truth.database.paths))
    (folder / "set_imageNames_query.txt").write_text("\n".join(truth.query.paths) + "\n")
    assert prepared(folder, monkeypatch, "null") == expected
    assert "form: npz with lists of names" in capsys.readouterr().out


def test_an_export_keeps_places_pixels_and_which_belongs_to_which(named_set: Path) -> None:
    truth = parse_set(named_set, None)
    places = [tuple(place) for place in truth.database.coordinates]
    assert places == sorted(tuple(place) for place in DATABASE)  # names sort by easting here
    shade = {tuple(place): number for number, place in enumerate(QUERY)}
    for name, place in zip(truth.query.paths, truth.query.coordinates, strict=True):
        with Image.open(named_set / name) as image:
            red, _, blue = image.getpixel((4, 3))  # type: ignore[misc]
        assert abs(red - shade[tuple(place)]) <= 4 and abs(blue - 90) <= 4


def test_a_csv_pair_keeps_its_sequences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "set"
    draw(folder, ["a b.png", "한.png"])
    (folder / "database.csv").write_text(
        "\ufeffpath,easting,northing,sequence\na b.png,389000,5818000,ride 1\n", "utf-8"
    )
    (folder / "query.csv").write_text("path,easting,northing\n한.png,389000.25,5818000\n", "utf-8")
    prepared(folder, monkeypatch, "5")
    database, query = load_index(Path("d.csv")), load_index(Path("q.csv"))
    assert (database.paths, database.sequence) == (["a b.png"], ["ride 1"])
    assert (query.paths, query.sequence) == (["한.png"], None)
    assert query.coordinates.tolist() == [[389000.25, 5818000]]


def write_tables(folder: Path, header: str, row: str) -> None:
    folder.mkdir(exist_ok=True)
    for table, name in (("database", "a"), ("query", "q")):
        (folder / f"{table}.csv").write_text(f"{header}\n{row.format(name)}\n", "utf-8")


def test_other_columns_are_noted_and_those_that_are_needed_are_strict(tmp_path: Path) -> None:
    write_tables(tmp_path, "path,lens,northing,easting,city", "{}.jpg,90,5818000,389000,Ulm")
    truth = parse_set(tmp_path, None)
    assert truth.database.coordinates.tolist() == [[389_000, 5_818_000]]
    assert truth.notes == (
        "database.csv: lens, city not used",
        "query.csv: lens, city not used",
    )
    for header in (
        "path,heading,northing",
        "path,easting,northing,northing",
        "Path,easting,northing",
    ):
        write_tables(tmp_path, header, ",".join(["{}"] + ["1"] * header.count(",")))
        with pytest.raises(ValueError, match=r"database\.csv: expected the columns path,easting"):
            parse_set(tmp_path, None)


def test_rows_are_not_sorted_by_a_column_index_and_that_is_said(tmp_path: Path) -> None:
    for numbers, is_told in (("0 1 2", False), ("0 2 1", True), ("1 2 3", True), ("0 1 1", True)):
        for table in ("database", "query"):
            rows = [
                f"{number},{table}{row}.jpg,{row},0" for row, number in enumerate(numbers.split())
            ]
            text = "\n".join(["index,path,easting,northing", *rows])
            (tmp_path / f"{table}.csv").write_text(text, "utf-8")
        truth = parse_set(tmp_path, None)
        assert truth.database.coordinates[:, 0].tolist() == [0, 1, 2]
        assert [note.startswith("database.csv: the column index does not count 0, 1, 2")
                for note in truth.notes] == ([True, False] if is_told else [])  # fmt: skip


def test_names_typed_on_windows_have_slashes(tmp_path: Path) -> None:
    write_tables(tmp_path, "path,easting,northing", "day 1\\{}.jpg,389000,5818000")
    assert parse_set(tmp_path, None).database.paths == ["day 1/a.jpg"]
    one = ImageIndex(["a\\b.jpg"], np.zeros((1, 2)))
    save_dbstruct(tmp_path / "a.mat", database=one, query=one, radius_m=5)
    assert parse_set(tmp_path, "a.mat").query.paths == ["a/b.jpg"]


def test_hidden_copies_of_a_mac_are_no_second_truth(tmp_path: Path) -> None:
    make_mat(tmp_path, "a.mat")
    (tmp_path / "._a.mat").write_bytes(b"resource fork")
    assert parse_set(tmp_path, None).database.paths == ["a.jpg"]


def test_a_set_typed_on_windows_and_copied_from_a_mac_is_prepared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(tmp_path / "set", [normalize("NFD", "서울/하나.png"), normalize("NFD", "서울/둘.png")])
    for table, name in (("database", "하나"), ("query", "둘")):
        (tmp_path / f"set/{table}.csv").write_text(
            f"path,easting,northing\n서울\\{name}.png,389000,5818000\n", "utf-8"
        )
    made = prepared(tmp_path / "set", monkeypatch, "5")
    assert made["database/000000.png"] != made["query/000000.png"]
    assert load_index(Path("q.csv")).paths == ["서울/둘.png"]


def test_what_is_said_aloud_is_printed_by_prepare(
    named_set: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (named_set / "queries/list.txt").touch()
    prepared(named_set, monkeypatch, "900")
    told = capsys.readouterr().out
    assert "NOTE positives: every database image is a positive of every query" in told
    assert "queries: left out 1 files: 1 .txt ('list.txt')" in told


def test_names_of_the_downloader_are_understood(tmp_path: Path) -> None:
    # A name as the VPR datasets downloader writes it, zone and panorama included.
    name = "@0584475.47@4476914.39@17@T@040.43769@-079.00396@pano@@087@@@@@@.jpg"
    draw(tmp_path, [f"database/0/{name}", f"queries/{name}"])
    truth = parse_set(tmp_path, None)
    assert truth.database.paths == [f"database/0/{name}"]
    assert truth.query.coordinates.tolist() == [[584475.47, 4476914.39]]


def test_a_form_without_a_radius_asks_for_one(named_set: Path) -> None:
    truth = parse_set(named_set, "database")
    assert follow_protocol(truth, None, asked_m=7.5).radius_m == 7.5
    with pytest.raises(ValueError, match=r"prepare.radius_m = null, but .* set it in metres"):
        follow_protocol(truth, None, asked_m=None)


def make_mat(folder: Path, name: str) -> None:
    one = ImageIndex(["a.jpg"], np.zeros((1, 2)))
    save_dbstruct(folder / name, database=one, query=one, radius_m=5)


def test_what_cannot_be_told_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"found none: .*; known forms are a dbStruct"):
        parse_set(tmp_path, None)
    make_mat(tmp_path, "a.mat")
    make_mat(tmp_path, "b.mat")
    with pytest.raises(ValueError, match=r"found a.mat, b.mat: name the one to use"):
        parse_set(tmp_path, None)
    assert parse_set(tmp_path, "b.mat").database.paths == ["a.jpg"]
    with pytest.raises(ValueError, match=r"c.mat is missing; the folder has: a.mat, b.mat"):
        parse_set(tmp_path, "c.mat")
    (tmp_path / "d.txt").touch()
    with pytest.raises(ValueError, match=r"d.txt has no known form; known forms are"):
        parse_set(tmp_path, "d.txt")


PLACED = {"utmDb": [[1, 2]], "utmQ": [[1, 2]], "posDistThr": 5}
BAD_FILES = {
    "query.csv is missing": ({"database.csv": "path,easting,northing\na.jpg,1,2\n"}, "query.csv"),
    "another separator": ({"database.csv": "path;easting;northing\n"}, "found path;easting"),
    "an empty table": ({"database.csv": ""}, "database.csv: not a readable CSV"),
    "not a number": ({"database.csv": "path,easting,northing\na,1,\n"}, "row 0, column northing"),
    "not UTF-8": ({"database.csv": b"path,easting,northing\n\xb1\xe6,1,2\n"}, "in UTF-8"),
    "no position": ({"database/@x@1@.jpg": ""}, "expected a name @easting@northing"),
    "no such key": ({"set.npz": {"utmDb": [[1, 2]]}}, "an .npz of utmDb, utmQ, posDistThr"),
    "no archive": ({"set.npz": "text"}, "posDistThr: this is not an .npz archive"),
    "no list": (
        {"set.npz": PLACED},
        "expected one list of names *index.txt beside set.npz, found none",
    ),
    "counts that disagree": (
        {"set.npz": PLACED,
         "a_index.txt": "a\nb\n"},
        "beside a_index.txt: expected two numbers for each of 2 names, found shape (1, 2)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD_FILES)
def test_what_does_not_fit_its_form_is_named(tmp_path: Path, kind: str) -> None:
    files, words = BAD_FILES[kind]
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        if isinstance(content, dict):
            np.savez(tmp_path / name, **content)
        else:
            data = content if isinstance(content, bytes) else content.encode()
            (tmp_path / name).write_bytes(data)
    with pytest.raises((ValueError, OSError)) as caught:
        parse_set(tmp_path, None)
    assert words in str(caught.value)


def test_an_empty_side_is_not_laid_to_the_other_side_s_file(tmp_path: Path) -> None:
    (tmp_path / "database.csv").write_text("path,easting,northing\na.jpg,1,2\n")
    (tmp_path / "query.csv").write_text("path,easting,northing\n")
    with pytest.raises(ValueError, match=f"^{tmp_path}: the query side has no images"):
        parse_set(tmp_path, None)


def test_a_struct_without_its_fields_names_them(tmp_path: Path) -> None:
    savemat(tmp_path / "set.mat", {"dbStruct": {"whichSet": "test", "utmDb": np.zeros((2, 1))}})
    with pytest.raises(ValueError, match=r"lacks the fields dbImageFns, .*; it has .'whichSet'"):
        parse_dbstruct(tmp_path / "set.mat")


BERLIN = np.array([[383_697.2, 5_817_547.1]])  # beside the Kurfürstendamm


def test_a_projected_system_in_metres_is_named() -> None:
    check_crs("EPSG:32633", BERLIN)
    assert parse_metric_crs("EPSG:32633").name == "WGS 84 / UTM zone 33N"


@pytest.mark.parametrize(
    ("name", "places", "words"),
    [
        ("EPSG:4326", BERLIN, "counts in degree: coordinates must be metres"),
        ("EPSG:2263", BERLIN, "counts in US survey foot"),
        (
            "EPSG:99999999",
            BERLIN,
            "dataset.crs = EPSG:99999999: expected a code such as EPSG:32633",
        ),
        ("UTM", BERLIN, "dataset.crs = UTM: expected a code such as EPSG:32633"),
        ("EPSG:32633", BERLIN[:, ::-1], "easting and northing swapped?"),
    ],
)
def test_another_system_is_refused_with_a_reason(name: str, places: np.ndarray, words: str) -> None:
    with pytest.raises(ValueError, match=name) as caught:
        check_crs(name, places)
    assert words in str(caught.value)


def test_export_on_the_command_line_writes_a_set_that_can_be_prepared(pipeline: Path) -> None:
    command = ("python", "-m", "vpr", "export", "--to", "dbstruct", "new")
    assert "12 + 8 images as dbstruct" in run(pipeline, *command)
    again, truth = (parse_set(pipeline / name, None) for name in ("new", "data/sample"))
    assert again.database.paths == truth.database.paths
    assert again.radius_m == 25
    assert (pipeline / "new" / again.query.paths[7]).is_file()
    assert "a folder that does not exist yet" in run(pipeline, *command, code=1)
    assert "Traceback" not in run(pipeline, *command, code=1)


def test_a_failed_export_leaves_nothing(named_set: Path, tmp_path: Path) -> None:
    truth = parse_set(named_set, None)
    (named_set / truth.query.paths[1]).unlink()
    before = sorted(tmp_path.iterdir())
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        export_set(truth, named_set, tmp_path / "out", to="csv", radius_m=5)
    assert sorted(tmp_path.iterdir()) == before
