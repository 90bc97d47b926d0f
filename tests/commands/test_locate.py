"""Where was this photo taken: the command on a real run, from the folder a person stands in."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.sparse import csr_array

from tests.support.browsing import chromium
from tests.support.repositories import change, run
from tests.support.synthetic_run import HOSTILE
from vpr.commands.locate.command import find_photos, locate
from vpr.commands.locate.outputs import as_json, as_text, save_csv, save_geojson
from vpr.commands.locate.page import describe_map, write_page
from vpr.evaluation.calibration import Calibration, State
from vpr.features import batches
from vpr.features.params import TrunkParams
from vpr.locating.matches import (
    Located,
    Match,
    Places,
    Position,
    Truth,
    find_globe,
    find_queries,
    locate_ranked,
)
from vpr.locating.ranking import Ranked, rank_photos
from vpr.locating.run import load_ranker
from vpr.places.crs import latitude_longitude
from vpr.places.index import ImageIndex
from vpr.repository.locked_run import locked_params
from vpr.retrieval.predictions import load_retrieval

QUERY = Path("data/sample/queries/0003.jpg")
NAMES = [name.replace("/", "") for name in HOSTILE]  # as a file on the disk may be called


@pytest.fixture
def home(finished_pipeline: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The finished pipeline as the current folder; locate writes nothing into it."""
    monkeypatch.chdir(finished_pipeline)
    return finished_pipeline


@pytest.fixture
def album(home: Path, tmp_path: Path) -> Path:
    """A folder of photos with names that nobody would choose, and something that is no photo."""
    folder = tmp_path / "my album"
    folder.mkdir()
    for name in NAMES:
        shutil.copyfile(home / QUERY, folder / f"{name.removesuffix('.jpg')}.jpg")
    (folder / "notes.txt").write_text("not a photo")
    return folder


def test_a_query_is_ranked_as_the_pipeline_ranked_it(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    locate([QUERY, Path("data/images/query/000004.jpg")], top=5, json=True)
    found = json.loads(capsys.readouterr().out)
    predictions = load_retrieval(home / "data/predictions.npz")
    table = pd.read_csv("metrics/queries.csv")
    database = pd.read_csv("data/prepared/database.csv")
    for number, photo in zip((3, 4), found, strict=True):
        matches = pd.DataFrame(photo["matches"])
        assert matches["image"].tolist() == predictions.indices[number].tolist()
        np.testing.assert_allclose(matches["distance"], predictions.distances[number], atol=1e-4)
        assert matches["rank"].tolist() == [1, 2, 3, 4, 5]
        places = database.iloc[matches["image"]][["easting", "northing"]].to_numpy()
        np.testing.assert_array_equal(matches[["easting", "northing"]], places)
        globe = latitude_longitude(places, "EPSG:32633")
        np.testing.assert_allclose(matches[["latitude", "longitude"]], globe, atol=1e-7)
        assert matches["metres"][0] == pytest.approx(table["top1_metres"][number], abs=1e-3)
        right = matches.index[matches["correct"]] + 1
        rank = table["first_correct_rank"][number]
        assert right.min() == rank if len(right) else np.isnan(rank)
        assert photo["state"] is None  # every query lies in the map: not calibrated


def test_a_folder_gives_a_page_a_picture_and_tables(
    home: Path, album: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = album.parent
    locate(
        [album, QUERY], top=3, html=out / "page.html", show=out / "sheet.png",
        csv=out / "table.csv", geojson=out / "places.geojson",
    )  # fmt: skip
    count = len(NAMES) + 1
    text = capsys.readouterr().out
    assert text.count(": not calibrated, ") == count and "accepted" not in text
    assert text.count("distance ") == 3 * count
    assert text.count(" m away") == 3  # of the query alone the truth is known

    table = pd.read_csv(out / "table.csv")
    assert list(table.columns) == [
        "query", "state", "probability", "rank", "database", "distance", "metres", "correct",
    ]  # fmt: skip
    assert table["state"].isna().all()
    assert set(table["query"]) == {str(file) for file in album.glob("*.jpg")} | {str(QUERY)}
    assert table["metres"].notna().sum() == 3
    assert (table.groupby("rank")["database"].nunique() == 1).all()  # the same photo each time

    features = json.loads((out / "places.geojson").read_text())["features"]
    longitude, latitude = features[0]["geometry"]["coordinates"]
    assert (int(longitude), int(latitude)) == (13, 52)  # Berlin, longitude first
    assert len(features) == 3 * count

    with chromium() as browser:
        browser.open(out / "page.html")
        number = browser.run("document.images.length")
        assert number == count * (1 + 3 + 1 + 4)  # photo, matches, likeness, clusters
        assert browser.load_images() == []
        assert browser.texts("h2") == [str(file) for file in sorted(album.glob("*.jpg"))] + [
            str(QUERY)
        ]
        assert browser.run("document.scripts.length") == 0
        parts = browser.run(
            "[...document.querySelectorAll('section > [class]')].map(e => e.className)"
        )
        assert parts[:3] == ["verdict undecided", "places", "row"]
        assert not browser.run("document.querySelector('details').open")
        assert browser.texts(".places .match")[:3] == ["3", "2", "1"]
        browser.resize(390, 844)
        assert browser.run("document.documentElement.scrollWidth") <= 390
        assert browser.run("document.title") == "Where was this photo taken?"
        assert browser.complaints() == []
    with Image.open(out / "sheet.png") as sheet:
        assert sheet.size == (4 * 240, count * 206)


def test_batches_change_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    locate([Path("data/sample/queries")], top=2, json=True)
    at_once = json.loads(capsys.readouterr().out)
    monkeypatch.setitem(batches.POSITIONS_PER_BATCH, "cpu", 1)
    locate([Path("data/sample/queries")], top=2, json=True)
    in_parts = json.loads(capsys.readouterr().out)
    assert [photo["photo"][-8:] for photo in in_parts] == [f"{i:04d}.jpg" for i in range(8)]
    for one, other in zip(at_once, in_parts, strict=True):
        assert [m["image"] for m in one["matches"]] == [m["image"] for m in other["matches"]]
        distances = [[match["distance"] for match in found["matches"]] for found in (one, other)]
        np.testing.assert_allclose(*distances, atol=1e-5)


def test_the_heat_map_s_shares_sum_to_the_likeness(home: Path) -> None:
    (ranked,) = rank_photos(load_ranker(Path()), [QUERY], top=1, with_responses=True)
    assert ranked.responses is not None
    assignment, shares = ranked.responses
    assert shares.sum() == pytest.approx(1 - ranked.distances[0] ** 2 / 2, abs=1e-4)
    np.testing.assert_allclose(assignment.sum(axis=0), np.ones((3, 4)), atol=1e-5)


def test_what_cannot_be_located_is_named(home: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes((home / QUERY).read_bytes()[:500])
    (tmp_path / "empty").mkdir()
    for photos, top, words in (
        ([broken], 5, r"broken\.jpg: not a readable image"),
        ([tmp_path / "nowhere.jpg"], 5, r"nowhere\.jpg: there is no such photo"),
        ([tmp_path / "empty"], 5, "empty: holds no images"),
        ([QUERY], 13, "top = 13: the database has only 12 images"),
    ):
        with pytest.raises(ValueError, match=words):
            locate(photos, top=top)


@pytest.fixture
def copy(finished_pipeline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the run made, without DVC's cache, as the current folder: to be damaged."""
    for name in ("data", "models", "metrics"):
        shutil.copytree(finished_pipeline / name, tmp_path / name)
    shutil.copyfile(finished_pipeline / "dvc.lock", tmp_path / "dvc.lock")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network must not have run when a fault is told."""

    def run_late(*_: object, **__: object) -> None:
        raise AssertionError("the network ran first")

    monkeypatch.setattr("vpr.locating.run.rank_photos", run_late)


def test_truth_and_reference_system_are_those_of_the_run_and_not_of_changed_parameters(
    pipeline: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(pipeline)
    shutil.copytree("data/sample", "data/other")
    change(pipeline, "dir: data/sample", "dir: data/other")
    change(pipeline, "crs: EPSG:32633", "crs: EPSG:32632")
    locate([Path("data/other/queries/0003.jpg"), QUERY], top=2, json=True)
    foreign, own = (photo["matches"] for photo in json.loads(capsys.readouterr().out))
    assert not any({"metres", "correct"} & set(match) for match in foreign)
    assert all(match["metres"] is not None for match in own)
    places = np.array([[match["easting"], match["northing"]] for match in own])
    globe = [[match["latitude"], match["longitude"]] for match in own]
    np.testing.assert_allclose(globe, latitude_longitude(places, "EPSG:32633"), atol=1e-7)


@pytest.mark.usefixtures("no_network")
def test_geojson_needs_a_reference_system(copy: Path) -> None:
    lock = copy / "dvc.lock"
    lock.write_text(lock.read_text().replace("crs: EPSG:32633", "crs:"))
    with pytest.raises(ValueError, match=r"--geojson: needs longitude .*: set dataset\.crs"):
        locate([QUERY], geojson=Path("places.geojson"))


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize(
    "needed",
    ["images/database", "images/query", "prepared/database.csv", "prepared/query.csv",
     "prepared/positives.npz"],
)  # fmt: skip
def test_what_is_missing_of_the_run_is_told_before_the_network_runs(
    copy: Path, needed: str
) -> None:
    (copy / "data" / needed).rename(copy / "away")
    with pytest.raises(ValueError, match=f"data/{needed} is missing: .*dvc pull"):
        locate([QUERY], html=Path("page.html"))


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize(
    "content",
    [b"{", b"\xff", b"[]", b"5", b"[" * 100_000,
     b'{"by": "distance"}'],
)  # fmt: skip
def test_a_damaged_calibration_is_named_before_the_network_runs(copy: Path, content: bytes) -> None:
    (copy / "metrics/calibration.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"^metrics/calibration\.json: damaged: .*git checkout"):
        locate([QUERY])


@pytest.mark.usefixtures("home", "no_network")
@pytest.mark.parametrize("option", ["show", "html", "csv", "geojson"])
def test_a_file_that_cannot_be_written_is_told_before_the_network_runs(
    tmp_path: Path, option: str
) -> None:
    for path, words in (
        (tmp_path / "nodir/a.png", "there is no folder .*nodir: create it first"),
        (tmp_path, "expected a file to write, found a folder"),
    ):
        with pytest.raises(ValueError, match=f"^--{option} {path}: {words}"):
            locate([QUERY], **{option: path})  # type: ignore[arg-type]


@pytest.mark.usefixtures("home", "no_network")
@pytest.mark.parametrize("name", ["x.foo", "x", "x.mpg", "x.xbm"])  # xbm has no colours
def test_a_picture_of_an_unknown_kind_is_told_before_the_network_runs(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(
        ValueError, match=rf"^--show .*{name}: expected a picture's ending, .*\.png"
    ):
        locate([QUERY], show=tmp_path / name)
    assert not (tmp_path / name).exists()


@pytest.mark.usefixtures("home", "no_network")
def test_more_photos_than_a_jpeg_holds_are_told_before_the_network_runs(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^--show .*: expected .* 480x82400 pixels, .*\.png"):
        locate([QUERY] * 400, top=1, show=tmp_path / "x.jpg")


def test_of_a_folder_only_files_are_photos(tmp_path: Path) -> None:
    (tmp_path / "dir.jpg").mkdir()
    for name in ("b.JPG", "a.png", "notes.txt"):
        (tmp_path / name).touch()
    assert find_photos([tmp_path]) == [tmp_path / "a.png", tmp_path / "b.JPG"]
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    with pytest.raises(ValueError, match=r"gone\.jpg: there is no such photo"):
        find_photos([tmp_path])


def test_what_a_folder_holds_beside_photos_is_counted_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in (
        "a.jpg",
        "b.JFIF",
        "IMG_1.HEIC",
        "IMG_2.heic",
        "notes.txt",
        "._a.jpg",
        "Thumbs.db",
    ):
        (tmp_path / name).touch()
    assert find_photos([tmp_path]) == [tmp_path / "a.jpg", tmp_path / "b.JFIF"]
    told = capsys.readouterr()
    assert told.out == ""  # which may be JSON
    assert told.err == (
        f"NOTE {tmp_path}: left out 3 files: 2 .heic ('IMG_1.HEIC'), 1 .txt ('notes.txt'); only "
        "JPEG, PNG, WebP, TIFF, BMP and PPM are read\n"
    )
    for name in ("a.jpg", "b.JFIF"):
        (tmp_path / name).unlink()
    with pytest.raises(ValueError, match=r"holds no images: left out 3 files: 2 \.heic"):
        find_photos([tmp_path])


def test_names_that_no_table_could_hold_are_refused_all_at_once(tmp_path: Path) -> None:
    for name in (b"caf\xe9.jpg", b"\xff.jpg", "카페.jpg".encode()):
        (tmp_path / os.fsdecode(name)).touch()
    with pytest.raises(ValueError, match="expected names in UTF-8") as told:
        find_photos([tmp_path])
    assert str(told.value).startswith(rf"'{tmp_path}/caf\udce9.jpg', '{tmp_path}/\udcff.jpg': ")
    assert "카페" not in str(told.value)


def test_names_cannot_forge_lines_of_the_terminal() -> None:
    match = Match(1, 0, "db\x1b[2K.jpg", 1.0, 2.0, None, None, 0.5, None, None, None, None)
    forged = "a.jpg: known place\n  1  distance 0.1 카페.jpg"
    told = as_text(Located(forged, "unknown", 0.1, (0.0, 0.2), None, [match]))
    assert told.splitlines() == [
        r"'a.jpg: known place\n  1  distance 0.1 카페.jpg': unknown: no place of the map "
        "matches well enough",
        r"   1  distance 0.5000  1.0 E 2.0 N  'db\x1b[2K.jpg'",
    ]
    position = Position(1.0, 2.0, None, None, 7.4, None)
    assert as_text(Located("카페 1.jpg", "known", 0.9871, (0.9, 1.0), position, [])) == (
        "카페 1.jpg: known place, probability 0.987; at 1.0 E 2.0 N, 90 % within 7 m"
    )


def test_each_state_is_said_in_every_output(tmp_path: Path) -> None:
    match = Match(1, 0, "db.jpg", 1.0, 2.0, 52.5, 13.4, 0.5, None, None, 60, -31.5)
    states: dict[State | None, float | None] = {
        "known": 0.9, "unsure": 0.5, "unknown": 0.1, None: None,
    }  # fmt: skip
    located = [
        Located(f"{state}.jpg", state, probability, None, None, [match])
        for state, probability in states.items()
    ]
    save_csv(tmp_path / "a.csv", located)
    save_geojson(tmp_path / "a.json", located)
    table = pd.read_csv(tmp_path / "a.csv", dtype=str, keep_default_na=False)
    assert table["state"].tolist() == ["known", "unsure", "unknown", ""]
    assert table["probability"].tolist() == ["0.9", "0.5", "0.1", ""]
    assert table["log10_nfa"].tolist() == ["-31.5"] * 4
    features = json.loads((tmp_path / "a.json").read_text())["features"]
    assert [feature["properties"]["state"] for feature in features] == list(states)
    assert [photo["state"] for photo in json.loads(as_json(located))] == list(states)
    said = [as_text(one).splitlines()[0].split(": ", 1)[1] for one in located]
    assert [words.split(",")[0].split(":")[0] for words in said] == [
        "known place", "unsure", "unknown", "not calibrated",
    ]  # fmt: skip
    assert ["probability" in words for words in said] == [True, True, False, False]
    entry = {"photo": "", "map": None, "matches": [""], "verified": [], "clusters": None}
    write_page(tmp_path / "a.html", [entry | {"located": one} for one in located])
    looks = re.findall(r'class="verdict (\w+)">([✓?]?)', (tmp_path / "a.html").read_text())
    assert looks == [("right", "✓"), ("unsure", "?"), ("unknown", ""), ("undecided", "")]


def test_the_map_holds_the_matches_and_the_circle_around_the_position() -> None:
    coordinates = np.stack([400_000 + 10.0 * np.arange(300), np.full(300, 5e6)], axis=1)
    database = ImageIndex([f"{n}.jpg" for n in range(300)], coordinates)
    truth = Truth(database, csr_array((300, 300)))
    places = Places(database, np.zeros((300, 2)), None, truth)
    matches = [
        Match(rank, at, f"{at}.jpg", *coordinates[at], None, None, 0.5, None, None, 9, -9.0)
        for rank, at in enumerate((10, 20), start=1)
    ]
    position = Position(400_090.0, 5e6 + 4, None, None, 30.0, None)
    drawn = describe_map(Located("a.jpg", "known", 0.9, None, position, matches), places)
    assert drawn is not None
    assert drawn["matches"] == [(1, 0, 0), (2, 100, 0)]
    assert (drawn["position"], drawn["circle"]) == ([-10, -4], 30)  # north is up: y is negative
    left, top, width, height = drawn["box"]
    assert left < -40 and left + width > 100  # the circle's edge and the second match
    assert top < -34 and top + height > 26
    assert drawn["scale"] == 20
    assert [0, 0] in drawn["dots"] and [2000, 0] not in drawn["dots"]
    assert describe_map(Located("a.jpg", None, None, None, None, []), places) is None


def test_the_command_ends_with_one_line_where_nothing_has_run(home: Path, tmp_path: Path) -> None:
    for name in ("vpr", "stages"):
        (tmp_path / name).symlink_to(home / name)
    output = run(tmp_path, "python", "-m", "vpr", "locate", str(home / QUERY), code=1)
    assert output == (
        f"error: {tmp_path}: is not the folder of a finished run (it has no dvc.lock): name one "
        "with --run, or start one there with `dvc repro`\n"
    )


def test_the_record_of_another_code_is_refused(tmp_path: Path) -> None:
    lock = tmp_path / "dvc.lock"
    lock.write_text(
        "stages:\n  trunk@database:\n    params:\n      params.yaml:\n        trunk: {a: 1}\n"
    )
    with pytest.raises(ValueError, match="last ran with the parameters a, this code has encoder"):
        locked_params("trunk@database", "trunk", TrunkParams, lock=lock)
    with pytest.raises(ValueError, match="stage search has not run"):
        locked_params("search", "search", TrunkParams, lock=lock)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "expected sections with keys, found None"),
        ("stages: {", "not readable as YAML"),
        ("stages: 5", "stages = 5: Input should be a valid dictionary"),
        ("schema: '2.0'", "stages = .*: Field required"),
        ("stages: {trunk@database: 5}", r"stages\.trunk@database = 5: Input should be"),
        (
            "stages: {trunk@database: {params: [1]}}",
            r"stages\.trunk@database\.params = \[1\]: Input should be",
        ),
        (
            "stages: {trunk@database: {params: {params.yaml: {trunk: 5}}}}",
            "trunk@database: trunk = 5: Input",
        ),
        (
            "stages: {trunk@database: {params: {params.yaml: {trunk: {encoder: vgg16, model: null, "
            "trainable_from: conv5_1, precision: 7, max_side_px: null, store: all, "
            "image_size: null}}}}}",
            r"trunk@database: trunk\.precision = 7: Input should be 'float32'",
        ),
    ],
)
def test_a_damaged_record_is_named_with_what_to_do(
    tmp_path: Path, content: str, words: str
) -> None:
    lock = tmp_path / "dvc.lock"
    lock.write_text(content)
    advice = "git checkout dvc.lock`, or make it again with `dvc repro`"
    with pytest.raises(ValueError, match=rf"(?s)^{lock}: .*{words}.*{advice}") as told:
        locked_params("trunk@database", "trunk", TrunkParams, lock=lock)
    assert type(told.value) is ValueError  # and not pydantic's, of several lines


def test_a_terminal_without_the_names_letters_does_not_cost_the_files(
    home: Path, tmp_path: Path
) -> None:
    photo, table = tmp_path / "ø🙂.jpg", tmp_path / "found.csv"
    photo.write_bytes(QUERY.read_bytes())
    command = [sys.executable, "-m", "vpr", "locate", str(photo), "--csv", str(table)]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONIOENCODING": "cp949"}, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert b"database/" in done.stdout
    assert "ø🙂.jpg" in table.read_text(encoding="utf-8")


def test_a_query_is_known_however_its_letters_are_composed(tmp_path: Path) -> None:
    composed, apart = (unicodedata.normalize(form, "길é.jpg") for form in ("NFC", "NFD"))
    assert composed != apart
    assert find_queries([tmp_path / apart], [tmp_path / "x.jpg", tmp_path / composed]) == [1]


def test_frame_numbers_get_no_place_on_earth(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = np.stack([np.arange(3.0), np.zeros(3)], axis=1)
    streets = frames * 10 + [389_000, 5_818_000]
    ranked = Ranked(np.array([2]), np.array([0.5], np.float32), None, None, np.ones(1, np.float32))
    truth = Truth(ImageIndex([], np.empty((0, 2))), csr_array((0, 3)))
    for coordinates, has_globe in ((frames, False), (streets, True)):
        places = Places(
            ImageIndex(["x", "y", "z"], coordinates), find_globe(coordinates, "EPSG:32633"),
            Calibration("distance", 1, 25.0, 0.95, None, None, {"any": 12.5}), truth,
        )  # fmt: skip
        (found,) = locate_ranked([tmp_path / "a.jpg"], [ranked], places, [None], top=1)
        assert (found.matches[0].latitude is not None) == has_globe
        assert found.position is not None and found.position.easting == coordinates[2, 0]
        assert found.position.uncertainty_m == (12.5 if has_globe else None)  # frames: of no metres
        assert ("set dataset.crs to null" in capsys.readouterr().err) != has_globe
