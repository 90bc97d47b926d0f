"""The doctor says of everything that a run needs: OK, or what to do."""

from __future__ import annotations

import inspect
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from stages.prepare import prepare
from tests.support.repositories import ROOT, change, run, set_key
from vpr.__main__ import app
from vpr.commands.doctor import command, machine
from vpr.commands.doctor.command import fit_checkpoint
from vpr.commands.doctor.dataset import (
    check_large,
    check_missing,
    check_small,
    check_training_positives,
)
from vpr.commands.doctor.machine import check_disk
from vpr.commands.doctor.sharing import check_sharing, check_sharing_of_weights
from vpr.datasets.checks import check_positives
from vpr.datasets.coordinate_checks import check_coordinates
from vpr.datasets.findings import Level, load_notes
from vpr.datasets.formats import parse_set
from vpr.datasets.ground_truth import GroundTruth
from vpr.encoders.vgg16 import random_weights
from vpr.features.params import TrunkParams
from vpr.places.gathering import survey_images
from vpr.places.index import ImageIndex
from vpr.runtime.parameters import load_params
from vpr.training.params import FinetuneParams
from vpr.weights.checkpoint_files import save_checkpoint

EAST, NORTH = 389_000.0, 5_818_000.0  # in Berlin, by EPSG:32633
DATABASE = ["fine.png", "길 하나.png", "grey.png", "clear.png", "turned.jpg"]
QUERY = ["again.png", "missing.png", "text.jpg", "wide.png"]


@pytest.fixture
def whole_workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warm_dvc: None) -> Path:
    """What the doctor looks at, with a set `data/mine` that has one of each oddity."""
    for name in ("params.yaml", "env.yaml", "data/dvc.yaml", "models/pretrained/imagenet"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    change(tmp_path, "dir: data/sample", "dir: data/mine")
    change(tmp_path, "index: sample.mat", "index: null")
    change(tmp_path, "radius_m: null", "radius_m: 10.0")
    folder = tmp_path / "data/mine"
    folder.mkdir()
    red = Image.new("RGB", (40, 20), (200, 30, 30))
    exif = Image.Exif()
    exif[0x0112] = 6
    red.save(folder / "fine.png")
    red.save(folder / "again.png")
    red.rotate(180).convert("P").save(folder / "길 하나.png")
    red.convert("L").save(folder / "grey.png")
    red.convert("RGBA").save(folder / "clear.png")
    red.save(folder / "turned.jpg", exif=exif)
    red.resize((80, 20)).save(folder / "wide.png")
    (folder / "text.jpg").write_text("no image")
    for table, names in (("database", DATABASE), ("query", QUERY)):
        rows = [f"{name},{EAST + 9 * n},{NORTH}" for n, name in enumerate(names)]
        text = "\n".join(["path,easting,northing", *rows])
        (folder / f"{table}.csv").write_text(text, encoding="utf-8")
    return tmp_path


@pytest.fixture
def workplace(whole_workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, where DVC is not asked, which would take most of the time."""
    monkeypatch.setattr(command, "_check_stores", lambda: ())
    return whole_workplace


def doctor(*options: str, code: int = 0) -> dict[str, str]:
    """What it prints, by subject."""
    done = CliRunner().invoke(app, ["doctor", *options])
    assert done.exit_code == code, done.output
    lines = [line for line in done.stdout.splitlines() if line[:5] in ("OK   ", "NOTE ", "FAIL ")]
    return {line[5:].split(": ", 1)[0]: line for line in lines}


def test_it_counts_what_is_odd_about_a_set_and_says_what_is_done(
    whole_workplace: Path,
) -> None:
    lines = doctor(code=1)
    assert "none is configured" in lines["remote"]
    assert "dvc cache dir: ERROR" in lines["remote and cache"]  # outside a repository
    assert lines["missing images"] == (
        "FAIL missing images: 1 of 9: query image 1 ('missing.png'): there is no such file in "
        f"{whole_workplace / 'data/mine'}"
    )
    assert lines["damaged images"].startswith("FAIL damaged images: 1 of 9: query image 2")
    assert "1 queries are copies of database photos" in lines["copies"]
    assert "database image 0 ('fine.png') = query image 0 ('again.png')" in lines["copies"]
    assert "40x20 (6 images), 80x20 (1 images): nothing to do" in lines["image sizes"]
    for words in (
        "1 greyscale: converted to RGB", "1 with transparency: it is dropped",
        "1 with a palette: converted to RGB", "1 rotated by EXIF: read upright",
    ):  # fmt: skip
        assert words in lines["pixel formats"]
    assert "5 database and 4 query images, within 10 m (CSV)" in lines["ground truth"]
    assert "36 m x 0 m, WGS 84 / UTM zone 33N" in lines["coordinates"]
    assert lines["database images without positives"].startswith("OK ")
    assert "`dvc add data/mine`" in lines["sharing the data set"]
    for subject in ("Python", "packages", "GPU", "disk", "weights"):
        assert lines[subject].startswith("OK ")


def test_the_quick_part_opens_no_image_and_says_nothing_without_need(workplace: Path) -> None:
    assert doctor("--quick") == {}
    shutil.rmtree(workplace / "data/mine")
    assert "data/mine does not exist: put it there" in doctor("--quick", code=1)["data set"]
    Path("data/mine.dvc").touch()
    assert "`dvc pull data/mine.dvc`" in doctor("--quick", code=1)["data set"]
    change(workplace, "dir: data/mine", "dir: data/sample")
    assert "will be made by its stage" in doctor()["data set"]


def test_a_table_that_cannot_be_read_is_a_finding_not_a_crash(workplace: Path) -> None:
    table = workplace / "data/mine/query.csv"
    table.write_text(table.read_text().replace(str(NORTH), "nan"))
    assert "row 0, column northing: expected a finite number" in doctor(code=1)["ground truth"]
    change(workplace, "index: null", "index: other.mat")
    assert "other.mat is missing; the folder has" in doctor(code=1)["data set"]


@pytest.mark.parametrize("name", ["absolute", "../elsewhere"])
def test_a_set_outside_is_told_what_that_means(workplace: Path, name: str) -> None:
    outside = workplace.with_name(workplace.name + " elsewhere")
    shutil.move(workplace / "data/mine", outside)
    given = str(outside) if name == "absolute" else f"../{outside.name}"
    change(workplace, "dir: data/mine", f"dir: {given}")
    line = doctor(code=1)["sharing the data set"]
    assert "lies outside the repository" in line
    assert ("--temp" in line) == (name != "absolute")
    assert f"dvc add {given} -o data/" in line


def write_places(folder: Path, place: str) -> None:
    """Give every image of the set a place, a formula of its number n."""
    for table, names in (("database", DATABASE), ("query", ["again.png", "wide.png"])):
        rows = [f"{name},{eval(place, {'n': n})}" for n, name in enumerate(names)]  # noqa: S307
        (folder / f"{table}.csv").write_text("\n".join(["path,easting,northing", *rows]), "utf-8")


def test_what_cannot_be_right_fails_also_in_the_quick_part(workplace: Path) -> None:
    folder = workplace / "data/mine"
    write_places(folder, "f'{13.36123 + n / 1e4},{52.50012}'")
    assert "they look like degrees" in doctor("--quick", code=1)["coordinates"]
    assert "they look like degrees" in doctor(code=1)["coordinates"]
    change(workplace, "crs: EPSG:32633", "crs: null")
    assert "recall is 1 for any model" in doctor("--quick", code=1)["positives"]
    write_places(folder, "f'{n + 100},{n}'")
    lines = doctor("--quick")  # no failure, and said all the same
    assert list(lines) == ["positives"]
    assert lines["positives"].startswith("NOTE positives: every database image is a positive of")
    (folder / "query.csv").unlink()
    assert "query.csv" in doctor("--quick", code=1)["ground truth"]


def test_frame_numbers_with_a_system_are_told_to_need_none(workplace: Path) -> None:
    write_places(workplace / "data/mine", "f'{9 * n},0'")
    for lines in (doctor("--quick"), doctor()):
        assert lines["coordinates"].startswith("NOTE coordinates: finite, over 36 m x 0 m")
        assert "latitude 0.00" in lines["coordinates"]
        assert "set dataset.crs: null" in lines["coordinates"]


def test_what_lies_beside_the_images_is_counted(workplace: Path) -> None:
    table = workplace / "data/mine/database.csv"
    table.write_text(table.read_text("utf-8").replace("northing", "northing,lens").replace(
        f",{NORTH}", f",{NORTH},90"), "utf-8")  # fmt: skip
    line = doctor(code=1)["listing"]
    assert line == "NOTE listing: database.csv: lens not used"


def test_prepare_and_the_doctor_say_the_same_of_what_changes_a_number(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = workplace / "data/mine"
    rng = np.random.default_rng(0)
    names = [f"photo {number}.png" for number in range(10)]
    for name in names:  # thermal: 2000 of 65536 levels
        pixels = rng.integers(7000, 9000, (20, 40)).astype(np.uint16)
        Image.fromarray(pixels).save(folder / name)
    rows = [f"./{name},{EAST + 9 * (7 * n % 10)},{NORTH}" for n, name in enumerate(names)]
    for table in ("database", "query"):  # the same photos, shuffled
        (folder / f"{table}.csv").write_text("\n".join(["path,easting,northing", *rows]), "utf-8")
        rows = [row.removeprefix("./") for row in rows]
    notes = {line for line in doctor().values() if line.startswith("NOTE ")}
    capsys.readouterr()
    prepare(**{name: Path(name) for name in inspect.signature(prepare).parameters})
    said = {line for line in capsys.readouterr().out.split("\n") if line.startswith("NOTE ")}
    assert {line[5:].split(":")[0] for line in said} == {
        "listing",
        "order",
        "copies",
        "deep photos",
    }
    assert said <= notes
    assert "10 names are on both sides ('photo 0.png')" in "".join(said)
    kept = {
        f"NOTE {note['key'].replace('_', ' ')}: {note['words']}"
        for note in load_notes(Path("notes"))
    }
    assert kept == said


def test_a_large_photo_needs_a_limit(tmp_path: Path) -> None:
    Image.new("L", (12_000, 9_000)).save(tmp_path / "a.jpg")
    facts = survey_images(tmp_path, ["a.jpg"], side="query")
    assert facts[0].problem is None
    assert check_large(facts, 1024).level is Level.FINE
    refused = check_large(facts, None)
    assert refused.level is Level.REFUSED and "set trunk.max_side_px" in refused.words


def places(*coordinates: tuple[float, float]) -> GroundTruth:
    side = ImageIndex([f"{n}.jpg" for n in range(len(coordinates))], np.array(coordinates))
    return GroundTruth(side, side, None, "by hand")


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ((13.32871, 52.50231), "they look like degrees"),
        ((52.50231, 13.32871), "they look like degrees"),
        ((-179.91234, -37.5), "they look like degrees"),
        ((3.0, 0.0), "finite"),  # frame numbers
        ((12.25, 3.5), "finite"),  # metres in a room, to the centimetre
        ((EAST, NORTH), "finite"),
    ],
)
def test_degrees_are_told_from_metres_and_frames(place: tuple[float, float], words: str) -> None:
    truth = places(place, (place[0] + 1, place[1]))
    assert check_coordinates(truth, None).words.startswith(words)


def test_degrees_with_a_system_of_metres_are_refused_or_noted() -> None:
    swapped = check_coordinates(places((NORTH, EAST)), "EPSG:32633")
    assert swapped.level is Level.REFUSED and "swapped?" in swapped.words
    assert "EPSG:4326" in check_coordinates(places((EAST, NORTH)), "EPSG:4326").words


def test_the_real_sets_have_their_known_queries_without_positives(real_data: Path) -> None:
    berlin = parse_set(real_data / "berlin", None)
    for radius_m, count in ((10, 220), (25, 114), (50, 0), (75, 0)):
        found = check_positives(berlin, radius_m=radius_m)
        assert found.numbers["queries_without_positives"] == count
        assert found.level is (Level.NOTE if count else Level.FINE)
    assert check_training_positives(berlin, 50, 5).words == "0 of 314 within 50 m"
    assert "UTM zone 33N" in check_coordinates(berlin, "EPSG:32633").words


def test_nordland_cannot_train_and_is_told_why(real_data: Path) -> None:
    nordland = parse_set(real_data / "nordland", None)
    found = check_training_positives(nordland, 5, 5)
    assert found.level is Level.REFUSED
    assert "1000 of 1000 within 5 m: finetune can form no triplet" in found.words
    assert "finetune.epochs to 0, or prepare.radius_m to more" in found.words
    assert check_training_positives(nordland, 5, 0).level is Level.FINE


def test_the_disk_that_a_run_fills_is_added_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (320, 160)).save(tmp_path / "a.png")
    tuned = replace(
        load_params("finetune", FinetuneParams, path=ROOT / "params.yaml"),
        aggregator="netvlad", num_clusters=100_000, descriptor_dim=None,
    )  # fmt: skip
    # Twice: VGG16's 14,714,688 numbers in 4 bytes twice, 20 x 10 features of 512 in 2 bytes,
    # two descriptors of 100,000 x 512 in 4 bytes; the file's few bytes are lost in rounding.
    trunk = TrunkParams("vgg16", None, "conv5_1", "bfloat16", None, None, "all")
    words = check_disk([tmp_path / "a.png"], trunk, tuned).words
    total = 2 * (2 * 14_714_688 * 4 + 20 * 10 * 512 * 2 + 2 * 100_000 * 512 * 4)
    assert f"writes about {total / 1e9:.2f} GB" in words
    # Of twelve images, 134 MB of features each, those of one on each side are stored, or none.
    for store, count in (("all", 12), (1, 2), (0, 0)):
        large = replace(trunk, precision="float32", image_size=(2048, 8192), store=store)
        words = check_disk([tmp_path / "a.png"] * 12, large, replace(tuned, num_clusters=1)).words
        total = 2 * (2 * 14_714_688 * 4 + count * 128 * 512 * 512 * 4 + 12 * 2 * 512 * 4)
        assert f"writes about {total / 1e9:.2f} GB" in words
    total = 2 * (2 * 14_714_688 * 4 + 20 * 10 * 512 * 2 + 2 * 100_000 * 512 * 4)
    usage = shutil.disk_usage(tmp_path)._replace(free=total // 2)
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda folder: usage)
    small = check_disk([tmp_path / "a.png"], trunk, tuned)
    assert small.level is Level.REFUSED and "make room" in small.words


def test_a_checkpoint_that_does_not_fit_names_the_parameter(workplace: Path) -> None:
    pool = {"pool.conv.weight": torch.rand(4, 512, 1, 1), "pool.centroids": torch.rand(4, 512)}
    file = Path("models/pretrained/a.pth.tar")
    assert fit_checkpoint() == "none to check"  # imagenet
    save_checkpoint(file, random_weights(0) | pool, {}, form="nanne")
    for key, value in {
        "pretrained.weights": file.name, "trunk.encoder": "vgg16", "trunk.model": "null",
        "trunk.trainable_from": "conv5_1", "finetune.aggregator": "gem",
        "finetune.vlad_version": "1",
    }.items():  # fmt: skip
        set_key(workplace, key, value)
    with pytest.raises(ValueError, match=r"set finetune\.aggregator = netvlad"):
        fit_checkpoint()
    set_key(workplace, "finetune.aggregator", "netvlad")
    with pytest.raises(ValueError, match=r"set finetune\.num_clusters = 4"):
        fit_checkpoint()
    set_key(workplace, "finetune.clusters", "refit")
    assert "4 clusters" in fit_checkpoint()
    set_key(workplace, "finetune.clusters", "keep")
    set_key(workplace, "finetune.num_clusters", "4")
    assert "4 clusters" in fit_checkpoint()
    set_key(workplace, "pretrained.sha256", f"'{'0' * 64}'")
    with pytest.raises(ValueError, match="expected SHA-256 000"):
        fit_checkpoint()
    set_key(workplace, "pretrained.sha256", "null")
    file.write_bytes(b"no checkpoint")
    line = doctor(code=1)["checkpoint"]
    assert line.startswith("FAIL") and "refused, nothing in it was run" in line


def test_small_images_and_links_are_found(tmp_path: Path) -> None:
    Image.new("RGB", (40, 15)).save(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to("/etc/hostname")
    facts = [
        *survey_images(tmp_path, ["a.png"], side="database"),
        *survey_images(tmp_path, ["b.png"], side="query"),
    ]
    assert "1 of 2: database image 0 ('a.png'): below 16 pixels" in check_small(facts).words
    assert "a link leads out" in check_missing(facts).words


def test_make_run_says_what_is_missing_before_dvc_does(tmp_path: Path) -> None:
    for name in ("Makefile", "requirements.txt", "requirements-weights.txt", "params.yaml",
                 "env.yaml", "data/dvc.yaml"):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, tmp_path / name)
    for name in ("vpr", "stages", "models/pretrained"):
        shutil.copytree(ROOT / name, tmp_path / name)
    stamps = tmp_path / ".scratch/active"
    stamps.mkdir(parents=True)
    for name in ("python.done", "requirements.done", "requirements-weights.done"):
        (stamps / name).touch()
    change(tmp_path, "dir: data/sample", "dir: data/sampel")
    change(tmp_path, "weights: imagenet", "weights: nowhere.pth")
    output = run(tmp_path, "make", "run", "ENV=active", code=2)
    assert "FAIL data set: data/sampel does not exist: put it there, or set dataset.dir" in output
    assert "did you mean sample?" in output
    assert "FAIL weights: models/pretrained/nowhere.pth does not exist: put it there" in output
    assert "dvc repro" not in output


def test_what_git_or_dvc_tracks_is_shared_and_the_rest_is_to_be_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run(tmp_path, "git", "init", "-q")
    for name in ("data/mine", "models/pretrained"):
        Path(name).mkdir(parents=True)
    Path("data/mine/a.jpg").write_bytes(b"a")
    Path("data/dvc.yaml").write_text("stages: {}\n")
    Path("models/pretrained/own.pth").write_bytes(b"weights")
    Path("params.yaml").write_text("dataset: {dir: data/mine}\npretrained: {weights: own.pth}\n")
    for check, name in (
        (check_sharing, "data/mine"), (check_sharing_of_weights, "models/pretrained/own.pth"),
    ):  # fmt: skip
        assert f"`dvc add {name}`" in check().words and check().level is Level.NOTE
        run(tmp_path, "git", "add", name)
        assert (check().words, check().level) == ("tracked by git", Level.FINE)
        run(tmp_path, "git", "rm", "-rq", "--cached", name)
        Path(f"{name}.dvc").write_text("outs: []\n")
        assert (check().words, check().level) == ("tracked by DVC", Level.FINE)
