"""What a user can get wrong ends a stage with one message, and harms nothing else.

Each case goes through a stage's own entry: exit code, standard error and the files around it. What
the parts refuse in detail stands in test_dbstruct, test_images, test_formats and test_parameters.
"""

from __future__ import annotations

import inspect
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from stages.prepare import prepare
from stages.search import search
from tests.support.repositories import ROOT, change, run
from vpr.console import entry
from vpr.datasets.dbstruct import save_dbstruct
from vpr.places.index import ImageIndex, load_index
from vpr.retrieval.descriptors import save_descriptors
from vpr.retrieval.index_files import write_index
from vpr.runtime.store import FOLDER as STORE

EAST, NORTH = 389_000.0, 5_818_000.0  # in Berlin, by EPSG:32633
DATABASE = ["한국어 이름/하나 둘.jpg", "cmyk.jpg", "deep.png"]
QUERY = ["turned.jpg", "Über die Brücke.jpg"]
PLACES = np.array([[EAST, NORTH], [EAST + 5, NORTH], [EAST + 10, NORTH]])
OUTS = {name: name for name in inspect.signature(prepare).parameters}


def save_truth(*, database: list[str] = DATABASE, places: np.ndarray = PLACES) -> None:
    save_dbstruct(
        Path("set/set.mat"), database=ImageIndex(database, places),
        query=ImageIndex(QUERY, PLACES[:2]), radius_m=6,
    )  # fmt: skip


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A set with every kind of image that is read, and outs of other stages beside it."""
    monkeypatch.chdir(tmp_path)
    for name in ("params.yaml", "env.yaml"):
        shutil.copyfile(ROOT / name, name)
    change(tmp_path, "dir: data/sample", "dir: set")
    change(tmp_path, "index: sample.mat", "index: set.mat")
    for other in (".dvc/cache/files/md5/ab/cd", "data/trunk/database/features.npy"):
        Path(other).parent.mkdir(parents=True)
        Path(other).write_bytes(b"of another stage")
    Path("set/한국어 이름").mkdir(parents=True)
    red = Image.new("RGB", (40, 20), (200, 30, 30))
    exif = Image.Exif()
    exif[0x0112] = 6
    red.save(Path("set") / DATABASE[0])
    red.convert("CMYK").save(Path("set") / DATABASE[1])
    Image.fromarray(np.full((20, 40), 32896, dtype=np.uint16)).save(Path("set") / DATABASE[2])
    red.save(Path("set") / QUERY[0], exif=exif)
    red.save(Path("set") / QUERY[1])
    save_truth()
    return tmp_path


def contents() -> dict[str, bytes]:
    files = (path for path in Path().rglob("*") if path.is_file())
    return {str(path): path.read_bytes() for path in files if not path.is_relative_to(STORE)}


def call(stage: Callable[..., None], monkeypatch: pytest.MonkeyPatch, **paths: str) -> int:
    """Run a stage as its command line does, and give the exit code."""
    words = [word for name, path in paths.items() for word in (f"--{name.replace('_', '-')}", path)]
    monkeypatch.setattr("sys.argv", [stage.__name__, *words])
    try:
        entry.run_stage(stage)
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def test_what_is_odd_but_whole_is_prepared_with_its_bytes(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call(prepare, monkeypatch, **OUTS) == 0
    for side, names in (("database", DATABASE), ("query", QUERY)):
        made = [path.read_bytes() for path in sorted(Path(f"{side}_images").iterdir())]
        assert made == [(Path("set") / name).read_bytes() for name in names]
        assert load_index(Path(side)).paths == names


def cut(name: str, length: int) -> None:
    file = Path("set") / name
    file.write_bytes(file.read_bytes()[:length])


def no_struct() -> None:
    savemat("set/set.mat", {"other": 1})


def counts_disagree() -> None:
    row = np.empty((1, 8), dtype=object)
    parts = [np.array(DATABASE), PLACES, np.array(QUERY), PLACES[:2], 4, 2, 6.0, 36.0]
    for number, part in enumerate(parts):
        row[0, number] = part
    savemat("set/set.mat", {"dbStruct": row})


def not_a_number() -> None:
    save_truth(places=np.array([[EAST, NORTH], [np.nan, NORTH], [EAST, NORTH]]))


def bomb() -> None:
    Image.new("1", (9_500, 9_500)).save("set/deep.png")


def animated() -> None:
    frames = [Image.new("RGB", (8, 8), (shade, 0, 0)) for shade in (0, 200)]
    frames[0].save("set/deep.png", "PNG", save_all=True, append_images=frames[1:])


def gif() -> None:
    Image.new("RGB", (8, 8)).save("set/cmyk.jpg", "GIF")


def mercator() -> None:
    places = np.array([[1_487_000.0, 6_890_000.0]] * 2)
    names = ImageIndex(DATABASE[:2], places), ImageIndex(QUERY, places)
    save_dbstruct(Path("set/set.mat"), database=names[0], query=names[1], radius_m=6)
    change(Path(), "EPSG:32633", "EPSG:3857")


def deep() -> None:
    Image.fromarray(np.array([[0, 2**30]], dtype=np.int32)).save("set/deep.png", "TIFF")


def link_out() -> None:
    Path("set/cmyk.jpg").unlink()
    Path("set/cmyk.jpg").symlink_to("../params.yaml")


BAD = {
    "missing set folder": (
        lambda: shutil.rmtree("set"), "dataset.dir = set: there is no such folder"),
    "missing .mat": (
        lambda: Path("set/set.mat").rename("set/other.mat"), "set.mat is missing; the folder has:"),
    "truncated .mat": (lambda: cut("set.mat", 300), "set/set.mat: not a readable .mat file"),
    "empty .mat": (lambda: cut("set.mat", 0), "set/set.mat: not a readable .mat file"),
    "no dbStruct": (no_struct, "set/set.mat: expected a variable dbStruct"),
    "counts that disagree": (counts_disagree, "3 names in dbImage, but numDb = 4"),
    "missing image": (
        lambda: (Path("set") / QUERY[1]).unlink(), f"query image 1: {QUERY[1]!r}: there is no"),
    "truncated JPEG": (
        lambda: cut(DATABASE[0], 500), f"database image 0: .*{DATABASE[0]}: not a readable image"),
    "0-byte JPEG": (
        lambda: cut(QUERY[0], 0), "query image 0: .*turned.jpg: not a readable image"),
    "text named .jpg": (
        lambda: Path("set/cmyk.jpg").write_text("hello"), "cmyk.jpg: not a readable image"),
    "decompression bomb": (bomb, "database image 2: .*deep.png: too large to be a photo"),
    "animated": (animated, "deep.png: not a readable image .*several frames"),
    "GIF": (gif, "database image 1: .*cmyk.jpg: not a readable image"),
    "NaN coordinates": (not_a_number, r"database image 1 \('cmyk.jpg'\): .* are not finite"),
    "absolute path": (
        lambda: save_truth(database=["/etc/hostname", *DATABASE[1:]]),
        "database image 0: '/etc/hostname': expected a path below the data set's folder"),
    "path with ..": (
        lambda: save_truth(database=["../params.yaml", *DATABASE[1:]]),
        "database image 0: '../params.yaml': expected a path below"),
    "link that leaves": (link_out, "database image 1: 'cmyk.jpg': a link leads out"),
    "unknown parameter": (
        lambda: change(Path(), "prepare:", "prepare:\n  radius: 5"),
        "params.yaml: prepare.radius = 5: unknown key; known are radius_m"),
    "missing parameter": (
        lambda: change(Path(), "  crs: EPSG:32633", "  # crs: EPSG:32633"),
        "params.yaml: dataset.crs: Field required"),
    "wrongly typed parameter": (
        lambda: change(Path(), "radius_m: null", "radius_m: wide"),
        "params.yaml: prepare.radius_m = 'wide'"),
    "coordinates in degrees": (
        lambda: change(Path(), "EPSG:32633", "EPSG:4326"), "dataset.crs = EPSG:4326 .* in degree"),
    "degrees for metres": (
        lambda: save_truth(places=np.array([[13.36, 52.5], [13.361, 52.5], [13.362, 52.5]])),
        "the database coordinates are not in its metres: they look like degrees"),
    "no metre scale": (mercator, "its metres are off by 64%"),
    "no positive at all": (
        lambda: save_truth(places=PLACES + 500), "no query has a positive within 6 m"),
    "32-bit picture of no scale": (deep, "database image 2: .*deep.png: .*white level is unknown"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_one_message_with_file_key_and_index(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    spoil, words = BAD[kind]
    spoil()
    before = contents()
    assert call(prepare, monkeypatch, **OUTS) == 1
    message = capsys.readouterr().err
    assert message.count("error") == message.count("prepare: error: ") == 1
    assert "Traceback" not in message
    assert message.endswith("come back with: git checkout metrics && dvc checkout\n")
    assert re.search(words, message), message
    assert contents() == before


@pytest.mark.parametrize(
    ("top_k", "words"),
    [
        ("0", "params.yaml: search.top_k = 0: Input should be greater than or equal to 1"),
        ("5", "search.top_k = 5, but the database has only 3 images"),
    ],
)
def test_a_depth_that_cannot_be_is_refused(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    top_k: str, words: str,
) -> None:  # fmt: skip
    unit = np.eye(3, dtype=np.float32)
    save_descriptors(Path("d.npy"), iter([unit]), num_images=3)
    write_index(Path("index"), "exact", unit)
    change(workplace, "top_k: 20", f"top_k: {top_k}")
    before = contents()
    paths = {"database": "d.npy", "query": "d.npy", "predictions": "p.npz", "index": "index"}
    assert call(search, monkeypatch, **paths, index_recall="r.json") == 1
    message = capsys.readouterr().err
    assert f"search: error: {words}" in message
    assert "Traceback" not in message
    assert contents() == before


def test_a_broken_image_stops_dvc_by_name_and_the_way_back_works(pipeline: Path) -> None:
    shutil.copytree(pipeline / "data/sample", pipeline / "data/내 사진 set")
    photo = sorted((pipeline / "data/내 사진 set/queries").iterdir())[3]
    photo.write_bytes(photo.read_bytes()[:-200])
    change(pipeline, "dir: data/sample", "dir: data/내 사진 set")
    others = ("data/trunk", "data/descriptors", "data/whitened", "models", ".dvc/cache/files")
    before = {name: _bytes_below(pipeline / name) for name in others}
    output = run(pipeline, "dvc", "repro", code=255)
    assert "prepare: error: query image 3: " in output
    assert f"data/내 사진 set/queries/{photo.name}: not a readable image" in output
    assert output.count("prepare: error:") == 1
    assert "Traceback" not in output
    assert "git checkout metrics && dvc checkout" in output
    assert {name: _bytes_below(pipeline / name) for name in others} == before
    assert not (pipeline / "data/prepared/database.csv").exists()  # DVC removed the stage's own
    run(pipeline, "git", "checkout", "metrics", "params.yaml")
    run(pipeline, "dvc", "checkout")
    assert "up to date" in run(pipeline, "dvc", "status")


def _bytes_below(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
