"""Where a drive went: the command on a real run, and the files that it writes."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from scipy.sparse import csr_array

from tests.support.browsing import chromium
from vpr.commands.track.command import track
from vpr.commands.track.outputs import as_text, save_csv, save_geojson, save_gpx, write_page
from vpr.evaluation.calibration import State
from vpr.locating.drives import Tracked, find_paces, read_drive
from vpr.locating.matches import Places, Position, Truth
from vpr.places.index import ImageIndex

GPX = "{http://www.topografix.com/GPX/1/1}"


def photo(number: int, state: State = "known", name: str = "") -> Tracked:
    at = Position(10.0 * number, 5.0, 52.5 + number / 1e4, 13.4, 8.0, None)
    place = (None, None) if state == "unknown" else ("d.jpg", at)
    return Tracked(name or f"{number}.jpg", 1.7e9 + number, state, 0.95, 0.01, *place)


PATH = [photo(0), photo(1), photo(2, "unknown"), photo(3, "unsure"), photo(4, name="<b>&\n")]


def test_a_path_is_written_with_its_gaps(tmp_path: Path) -> None:
    save_geojson(tmp_path / "p.geojson", PATH)
    features = json.loads((tmp_path / "p.geojson").read_text())["features"]
    lines = [f for f in features if f["geometry"] and f["geometry"]["type"] == "LineString"]
    assert [len(line["geometry"]["coordinates"]) for line in lines] == [2, 2]
    assert lines[0]["geometry"]["coordinates"][0] == [13.4, 52.5]  # longitude first
    unknown = next(f for f in features if f["properties"].get("state") == "unknown")
    assert unknown["geometry"] is None
    assert unknown["properties"]["uncertainty_m"] is None

    save_gpx(tmp_path / "p.gpx", PATH)
    root = ElementTree.parse(tmp_path / "p.gpx").getroot()  # noqa: S314 - our own
    segments = root.findall(f"{GPX}trk/{GPX}trkseg")
    assert [len(segment) for segment in segments] == [2, 2]
    assert segments[0][0].find(f"{GPX}time").text == "2023-11-14T22:13:20.000Z"

    save_csv(tmp_path / "p.csv", PATH)
    with (tmp_path / "p.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["easting"] for row in rows] == ["0.0", "10.0", "", "30.0", "40.0"]
    assert rows[2]["off_map"] == "0.01"
    text = as_text(PATH)
    assert "2.jpg: unknown" in text
    assert text.endswith("5 photos: 3 known, 1 unsure, 1 unknown")


def test_the_page_shows_the_path_and_asks_nobody(tmp_path: Path) -> None:
    page = tmp_path / "p.html"
    positions = np.array([[0.0, 0.0], [50.0, 10.0]])
    nothing = Truth(ImageIndex([], np.empty((0, 2))), csr_array((0, 2)))
    globe = np.array([[52.5, 13.4], [52.501, 13.4]])
    write_page(page, PATH, Places(ImageIndex(["a.jpg", "b.jpg"], positions), globe, None, nothing))
    assert "<b>" not in page.read_text()
    with chromium() as browser:
        browser.open(page)
        assert browser.driver.title == "Where did this drive go?"
        count = "return document.querySelectorAll(arguments[0]).length"
        assert browser.driver.execute_script(count, "#map path.walk") == 2
        assert browser.driver.execute_script(count, "#map path.photo") == 4
        assert browser.driver.execute_script(count, "#map path.circle") == 4
        assert browser.driver.execute_script(count, "tbody tr") == 5
        browser.resize(390, 844)
        assert browser.run("document.documentElement.scrollWidth") == 390
        click = "dispatchEvent(new MouseEvent('click', {bubbles: true}))"
        browser.run(f"document.querySelectorAll('#map path.photo')[3].{click}")
        browser.wait("location.hash === '#photo-4'")
        assert browser.complaints() == []


def test_a_folder_is_followed_by_a_run(
    finished_pipeline: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(finished_pipeline)
    folder = tmp_path / "my drive"
    folder.mkdir()
    for query in range(2, 8):
        shutil.copy(f"data/images/query/{query:06d}.jpg", folder)
    (folder / "broken.txt").write_text("no photo")
    table = tmp_path / "path.csv"
    track(folder, csv=table)
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 7
    assert "left out: 1 not photos" in said.err
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["photo"][-10:] for row in rows] == [f"{n:06d}.jpg" for n in range(2, 8)]
    for row in rows:
        assert 0 <= float(row["probability"]) <= 1
        assert re.fullmatch(r"known|unsure|unknown", row["state"])


def test_photos_without_a_time_are_in_the_order_that_their_names_count(tmp_path: Path) -> None:
    names = ["drive 2/1.png", "drive 2/2.png", "drive 2/10.png", "drive 10/1.png"]
    for name in reversed(names):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    photos, _ = read_drive(tmp_path, tmp_path)
    assert [photo.file.relative_to(tmp_path).as_posix() for photo in photos] == names


def test_what_is_no_drive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no such film or folder"):
        read_drive(tmp_path / "nothing", tmp_path)
    with pytest.raises(ValueError, match="has no photos: it is empty"):
        read_drive(tmp_path, tmp_path)
    text = tmp_path / "notes.txt"
    text.write_text("x")
    with pytest.raises(ValueError, match=r"notes\.txt: expected a film \("):
        read_drive(text, tmp_path)


def test_a_film_is_followed_frame_by_frame(
    finished_pipeline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    av = pytest.importorskip("av")
    monkeypatch.chdir(finished_pipeline)
    film, page = tmp_path / "drive.mp4", tmp_path / "path.html"
    with av.open(str(film), "w") as container:
        stream = container.add_stream("mpeg4", rate=2)
        stream.width, stream.height, stream.bit_rate = 320, 240, 4_000_000
        for query in np.repeat(range(2, 6), 2):
            with Image.open(f"data/images/query/{query:06d}.jpg") as photo:
                frame = av.VideoFrame.from_image(photo.convert("RGB").resize((320, 240)))
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    track(film, html=page, causal=True)
    assert page.read_text().count('<tr id="photo-') == 4  # one each second


def test_paces_are_seconds_in_the_usual_ones() -> None:
    assert find_paces([0.0, 2.0, 4.0, 10.0, 10.0, 9999.0]).tolist() == [1, 1, 1, 3, 0.1, 10]
    assert find_paces([0.0, None, 4.0]).tolist() == [1, 1, 1]
    assert find_paces([5.0]).tolist() == find_paces([None]).tolist() == [1]
