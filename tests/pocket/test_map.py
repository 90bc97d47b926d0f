"""A map in open forms says the same to its readers in Python and in JavaScript."""

from __future__ import annotations

import csv
import json
import re
import shutil
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.support.node import run_node
from tests.support.pictures import texture
from vpr.evaluation.calibration import Calibration, PlaceModel
from vpr.network.describing import describe_photos
from vpr.places.index import load_index
from vpr.pocket.files.read_map import StreetMap
from vpr.pocket.losses import rows_of
from vpr.pocket.map_files import decode_rows, store_rows, write_map
from vpr.pocket.source import READERS, Source, load_source
from vpr.retrieval.descriptors import row_blocks
from vpr.retrieval.whitening import whiten_rows
from vpr.run_files import DATABASE

NAMES = ['a "quoted", name.jpg', "한국어\n길.jpg", "plain.jpg"]
RANK = """
const {loadMap, rank} = await import(HOME + "map.js");
const map = await loadMap(read);
console.log(JSON.stringify({
  found: queries.map((query) => rank(map, query, 5)), places: map.places,
}));
"""
CHECK = """
const {loadMap} = await import(HOME + "map.js");
const {checkModel} = await import(HOME + "judge.js");
const {bytes} = await checkModel(await loadMap(read), "street.json", read);
console.log(bytes.length);
"""
JUDGE = """
const {judge} = await import(HOME + "judge.js");
console.log(JSON.stringify(ranked.map((one) => judge({meta, places}, one))));
"""


def write_by_hand(folder: Path, dtype: str) -> Path:
    """A map of three places, as the format's page describes it."""
    rows = {"float16": [[1, 0], [0.6, 0.8], [0, 1]], "int8": [[5, 0], [60, 80], [0, 127]]}[dtype]
    folder.mkdir()
    np.save(folder / "descriptors.npy", np.array(rows, dtype=dtype))
    with (folder / "places.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["index", "easting", "northing", "path"])
        table.writerows([number, 10.5 * number, 0, name] for number, name in enumerate(NAMES))
    (folder / "street.onnx").write_bytes(b"a network")
    meta = {"format": "vpr-map", "version": 1, "run": "a" * 16, "count": 3, "dim": 2,
            "dtype": dtype, "files": {name: sha256((folder / name).read_bytes()).hexdigest()
                                      for name in ("descriptors.npy", "places.csv")}}  # fmt: skip
    card = {"format": "vpr-model", "version": 1, "run": "a" * 16, "file": "street.onnx",
            "sha256": sha256(b"a network").hexdigest()}  # fmt: skip
    (folder / "map.json").write_text(json.dumps(meta))
    (folder / "street.json").write_text(json.dumps(card))
    for reader in READERS.glob("*.js"):
        shutil.copyfile(reader, folder / reader.name)
    return folder


@pytest.mark.parametrize("dtype", ["float16", "int8"])
def test_both_readers_rank_places_as_by_hand(tmp_path: Path, dtype: str) -> None:
    folder = write_by_hand(tmp_path / "내 map", dtype)
    expected = [(2, 0.0), (1, 0.4**0.5), (0, 2**0.5)]  # of cosines 1, 0.8 and 0
    found = StreetMap(folder).rank(np.array([0, 1], np.float32), top=5)
    assert found == [(index, pytest.approx(far, abs=1e-3)) for index, far in expected]
    told = run_node(RANK, folder, queries=[[0, 1]])
    assert [(one["index"], one["distance"]) for one in told["found"][0]] == [
        (index, pytest.approx(far, abs=1e-3)) for index, far in expected
    ]
    assert [place["path"] for place in told["places"]] == NAMES
    assert told["places"] == StreetMap(folder).places


def test_damaged_and_mixed_files_are_refused_in_one_sentence(tmp_path: Path) -> None:
    folder = write_by_hand(tmp_path / "map", "int8")
    StreetMap(folder).check_model(folder / "street.json")
    assert run_node(CHECK, folder) == 9
    card, meta = ((folder / name).read_text() for name in ("street.json", "map.json"))
    cut = {name: (folder / name).read_bytes()[:-1]
           for name in ("descriptors.npy", "places.csv", "map.json", "street.onnx")}  # fmt: skip
    other = "missing, damaged, or of another"
    cases: list[tuple[str, bytes | None, str]] = [
        ("descriptors.npy", cut["descriptors.npy"], f"descriptors.npy: {other} map than map.json"),
        ("places.csv", cut["places.csv"], f"places.csv: {other} map than map.json"),
        ("places.csv", None, "places.csv"),
        ("map.json", cut["map.json"], "map.json: missing, damaged, or not a vpr-map"),
        ("map.json", meta.replace('"dim": 2', '"dim": 3').encode(), "map.json: count or dim is no"),
        ("map.json", card.encode(), "map.json: missing, damaged, or not a vpr-map"),
        ("street.onnx", cut["street.onnx"], f"street.onnx: {other} export than"),
        ("street.onnx", None, "street.onnx"),
        ("street.json", card.replace("a" * 16, "b" * 16).encode(),
         f"street.json: of run {'b' * 16}, the map is of {'a' * 16}"),
        ("street.json", re.sub("[0-9a-f]{64}", "0" * 64, card).encode(),
         f"street.onnx: {other} export than"),
    ]  # fmt: skip
    for name, content, said in cases:
        whole = (folder / name).read_bytes()
        if content is None:
            (folder / name).unlink()
        else:
            (folder / name).write_bytes(content)
        told = run_node(CHECK, folder)
        assert isinstance(told, str) and said in told and "\n" not in told
        with pytest.raises(ValueError, match=re.escape(said)) as error:
            StreetMap(folder).check_model(folder / "street.json")
        assert "\n" not in str(error.value)
        (folder / name).write_bytes(whole)


def test_conclusions_in_the_browser_are_the_services_by_distance(tmp_path: Path) -> None:
    shutil.copyfile(READERS / "map.js", tmp_path / "map.js")
    shutil.copyfile(READERS / "judge.js", tmp_path / "judge.js")
    rng = np.random.default_rng(0)
    coordinates = rng.uniform(0, 300, (40, 2))
    place = PlaceModel([3.0, 9.0, 1.0], (0.1 * np.eye(3)).tolist(), 0.5)
    calibration = Calibration(
        "distance", 6, 25.0, 0.95, 0.5, place, {"known": 4.0, "unsure": None, "any": 9.0}
    )
    indices = np.stack([rng.permutation(40)[:8] for _ in range(60)])
    distances = np.sort(rng.uniform(0.3, 1.4, (60, 8)), axis=1)
    answers = calibration.judge(distances[:, :6], coordinates[indices[:, :6]])
    ranked = [
        [{"index": index, "distance": far} for index, far in zip(*rows, strict=True)]
        for rows in zip(indices.tolist(), distances.tolist(), strict=True)
    ]
    places = [{"easting": str(x), "northing": str(y), "latitude": "52.5", "longitude": "13.4",
               "heading": ""} for x, y in coordinates.tolist()]  # fmt: skip
    meta = {"calibration": {**json.loads(json.dumps(vars(calibration) | {"place": vars(place)})),
                            "reach": 1.959963985}}  # fmt: skip
    told = run_node(JUDGE, tmp_path, ranked=ranked, meta=meta, places=places)
    assert {answer.state for answer in answers} == {"known", "unsure", "unknown"}
    for answer, found in zip(answers, told, strict=True):
        assert found["state"] == answer.state
        assert found["probability"] == pytest.approx(answer.probability, abs=2e-6)
        assert found["probability_interval"] == pytest.approx(answer.interval, abs=2e-6)
        if answer.state != "unknown":
            position = found["position"]
            assert [position["easting"], position["northing"]] == pytest.approx(answer.middle)
            assert position["uncertainty_m"] == answer.circle_m
        else:
            assert found["position"] is None

    meta["calibration"] |= {"map_limit": None, "circles_m": {}}
    (found, *_) = run_node(JUDGE, tmp_path, ranked=ranked, meta=meta, places=places)
    (answer, *_) = replace(calibration, map_limit=None, circles_m={}).judge(
        distances[:, :6], coordinates[indices[:, :6]]
    )
    assert (answer.state, answer.probability, answer.interval, answer.circle_m) == (
        found["state"], found["probability"], found["probability_interval"],
        found["position"]["uncertainty_m"],
    ) == (None, None, None, None)  # fmt: skip


def told_by(lines: Iterator[str]) -> str:
    return "\n".join(lines)


def test_a_runs_map_ranks_as_the_run_and_states_its_loss(pipeline: Path, tmp_path: Path) -> None:
    source = load_source(pipeline, dim=6)
    elsewhere = make_foreign(pipeline, source)
    out = tmp_path / "map"
    told = told_by(write_map(out, source, precision="int8", false_rate=0.5))
    assert "12 photos, 6 values each in int8" in told and "recall@1" in told
    database, query = rows_of(source, "database"), rows_of(source, "query")
    read = StreetMap(out)
    assert read.meta["run"] == source.run
    expected = np.argsort(-query @ database.T, axis=1, kind="stable")
    found = run_node(RANK, out, queries=query.tolist())["found"]
    for row, ranked, descriptor in zip(expected, found, query, strict=True):
        assert ranked[0]["index"] == row[0] == read.rank(descriptor, 1)[0][0]
    index = load_index(pipeline / DATABASE)
    assert [place["path"] for place in read.places] == index.paths
    at = np.array([[place["easting"], place["northing"]] for place in read.places], dtype=float)
    np.testing.assert_array_equal(at, index.coordinates)
    assert len(list((out / "thumbnails").glob("*.jpg"))) == 12
    # Of eight photos from elsewhere one may be accepted at 0.5: 9 of 256 cases, less than 0.05.
    assert read.meta["num_negatives"] == 8
    nearest, next_one, *_ = sorted(read.rank(descriptor, 1)[0][1] for descriptor in elsewhere)
    limit = read.meta["calibration"]["map_limit"]
    assert nearest < limit == pytest.approx(next_one, abs=1e-5)
    with pytest.raises(ValueError, match="exists already"):
        told_by(write_map(out, source, precision="int8", false_rate=None))
    (pipeline / "away/3.png").unlink()
    with pytest.raises(ValueError, match=r"away/3\.png: a photo of evaluate\.foreign is missing"):
        told_by(write_map(tmp_path / "b", source, precision="int8", false_rate=None))
    assert not (tmp_path / "b").exists()


def make_foreign(run: Path, source: Source) -> NDArray[np.float32]:
    """Eight photos from elsewhere, in the list of the stage `foreign`; their descriptors."""
    (run / "away").mkdir()
    photos = [run / f"away/{number}.png" for number in range(8)]
    for number, photo in enumerate(photos):
        Image.fromarray(texture(number)[:48, :64]).save(photo)
    listed = run / "data/foreign_ranked/photos.txt"
    listed.unlink()
    listed.write_text("".join(f"away/{photo.name}\n" for photo in photos))
    assert source.whitening is not None
    rows = np.concatenate([b.descriptors for b in describe_photos(source.network(), photos)])
    return np.concatenate(list(whiten_rows(rows, source.whitening)))


@pytest.mark.soak  # a hundred thousand rows
def test_rows_are_stored_block_by_block(tmp_path: Path) -> None:
    rows = np.lib.format.open_memmap(
        tmp_path / "rows", mode="w+", dtype=np.float32, shape=(100_000, 1024)
    )
    rng = np.random.default_rng(0)
    for block in row_blocks(rows):
        drawn = rng.standard_normal(rows[block].shape, dtype=np.float32)
        rows[block] = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    for precision, apart in (("float16", 1e-3), ("int8", 0.1)):
        tracemalloc.start()
        stored = store_rows(tmp_path / precision, rows, precision)
        farthest = 0.0
        for block, decoded in zip(row_blocks(rows), decode_rows(stored), strict=True):
            farthest = max(farthest, float(np.linalg.norm(decoded - rows[block], axis=1).max()))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert 0 < farthest < apart
        assert peak < 0.8 * rows.nbytes
