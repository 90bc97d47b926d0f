"""`make berlin`: the challenge's set and checkpoint in, recall beside the published one out."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from scipy.io import savemat
from typer.testing import CliRunner

from tests.support.repositories import ROOT, copy_repository, run
from vpr.__main__ import app
from vpr.commands.berlin.challenge import unpack_set
from vpr.commands.berlin.command import (
    baseline_params,
    compare_with_published,
    copy_checkpoint,
    place_checkpoint,
)
from vpr.datasets.dbstruct import parse_dbstruct, save_dbstruct
from vpr.encoders.vgg16 import random_weights
from vpr.importing.bundles import MAX_FILE_BYTES, opened_bundle, read_file
from vpr.places.index import ImageIndex
from vpr.repository.revisions import find_revision
from vpr.runtime import artefacts
from vpr.weights.checkpoints import parse_checkpoint

NAME = "pittsburgh_checkpoint.pth.tar"

pytestmark = pytest.mark.usefixtures("mat_files_read_once")


@pytest.fixture(scope="session")
def stand_ins(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Berlin's real ground truth with a small picture for each of its 594 images."""
    folder = tmp_path_factory.mktemp("berlin") / "내 드라이브" / "NetVLAD set"
    folder.mkdir(parents=True)
    shutil.copyfile(real_data / "berlin/berlin.mat", folder / "berlin.mat")
    truth = parse_dbstruct(folder / "berlin.mat")
    rng = np.random.default_rng(0)
    for name in (*truth.database.paths, *truth.query.paths):
        (folder / name).parent.mkdir(exist_ok=True)
        pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)
    (folder / "NetVLAD.ipynb").write_text("the notebook, which is no part of the set")
    return folder


@pytest.fixture(scope="session")
def zipped(stand_ins: Path) -> Path:
    """The same as the challenge passes it on: a zip with a folder in it, made on a Mac."""
    file = stand_ins.with_name("Version 2.zip")
    with zipfile.ZipFile(file, "w") as archive:
        for path in sorted(stand_ins.rglob("*")):
            archive.write(path, f"컴퓨터비전/{path.relative_to(stand_ins)}")
        archive.writestr("__MACOSX/컴퓨터비전/berlin.mat", b"resource fork")
    return file


@pytest.fixture(scope="session")
def checkpoint(stand_ins: Path) -> Path:
    """A checkpoint in the challenge's form, random."""
    torch.manual_seed(0)
    pool = {"pool.conv.weight": torch.rand(16, 512, 1, 1), "pool.centroids": torch.rand(16, 512)}
    content = {
        "epoch": 13, "state_dict": random_weights(0) | pool, "recalls": {1: np.float64(0.84)},
        "best_score": np.float64(0.93), "parallel": False,
        "optimizer": {"state": {0: {"momentum_buffer": torch.ones(3)}}, "param_groups": []},
    }  # fmt: skip
    file = stand_ins.with_name(NAME)
    torch.save(content, file, _use_new_zipfile_serialization=False)
    return file


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to run in."""
    folder = tmp_path / "workplace"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def keep_stages(repo: Path, names: Sequence[str]) -> None:
    """Leave only some stages in a repository, and in place of evaluate a known result."""
    stages = yaml.safe_load((repo / "dvc.yaml").read_text())["stages"]
    kept = {name: stages[name] for name in names}
    intervals = {"block_bootstrap": [0.2, 0.3], "wilson_if_independent": [0.1, 0.4]}
    known = {"recall@1": 0.25, "num_queries": 280, "num_queries_without_positives": 0}
    known |= {f"recall@1_{name}": bounds for name, bounds in intervals.items()}
    (repo / "known.json").write_text(json.dumps(known))
    kept["evaluate"] = {
        "cmd": "cp known.json metrics/recall.json && cp known.json metrics/details.json",
        "deps": ["known.json", "data/prepared/query.csv", "models/initial/frozen.pt"],
        "metrics": [{"metrics/recall.json": {"cache": False}}],
        "outs": ["metrics/details.json"],
    }
    (repo / "dvc.yaml").write_text(yaml.safe_dump({"stages": kept}))


def changed_params(before: str, after: str) -> list[str]:
    """The changed lines without their comments, which must be the same as before."""
    pairs = zip(before.splitlines(), after.splitlines(), strict=True)
    changed = [(old.split(" # "), new.split(" # ")) for old, new in pairs if old != new]
    assert [old[1:] for old, _ in changed] == [new[1:] for _, new in changed]
    return [new[0].strip() for _, new in changed]


def state_of(repo: Path) -> tuple[str, dict[str, bytes]]:
    names = ("params.yaml", "dvc.lock", "data/berlin.dvc", f"models/pretrained/{NAME}.dvc")
    status = run(repo, "git", "status", "--porcelain")
    return status, {name: (repo / name).read_bytes() for name in names}


CHANGED = [
    "dir: data/berlin", "index: berlin.mat", "protocol: berlin-kudamm", f"weights: {NAME}",
    "precision: float32", "num_clusters: 16", "epochs: 0",
    "top_k: 20",
]  # fmt: skip


@pytest.mark.long
def test_one_command_from_zip_then_from_folder_up_to_the_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
    stand_ins: Path, zipped: Path, checkpoint: Path,
) -> None:  # fmt: skip
    repo = copy_repository(tmp_path / "repo")
    keep_stages(repo, ["prepare", "pretrained"])
    monkeypatch.chdir(repo)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    before = Path("params.yaml").read_text()
    done = CliRunner().invoke(app, ["berlin", str(zipped), str(checkpoint)])
    assert done.exit_code == 0, capfd.readouterr()
    assert "recall@1    25.00% (70 of 280)" in done.output
    assert "published   38.21% (107 of 280)" in done.output
    assert changed_params(before, Path("params.yaml").read_text()) == CHANGED
    stages = capfd.readouterr().out
    assert "314 database and 280 query images" in stages
    assert "NetVLAD of 16 clusters x 512 dimensions" in stages
    assert len(list(Path("data/images/query").iterdir())) == 280

    state = state_of(repo)
    done = CliRunner().invoke(app, ["berlin", str(stand_ins), str(checkpoint)])
    assert done.exit_code == 0
    assert done.output.count("exists already, with the same bytes") == 2
    assert "->" not in done.output
    assert "Running stage" not in capfd.readouterr().out
    assert state_of(repo) == state


@pytest.mark.long
def test_the_baseline_is_reproduced_as_an_experiment_that_leaves_the_workspace_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
    stand_ins: Path, checkpoint: Path,
) -> None:  # fmt: skip
    repo = copy_repository(tmp_path / "repo")
    keep_stages(repo, ["prepare", "pretrained"])
    (repo / "data/dvc.yaml").unlink()  # the demo, which never ran
    run(repo, "git", "add", "-A")
    run(repo, "git", "commit", "-qm", "Nothing ran yet")
    monkeypatch.chdir(repo)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    given = ("--data", str(stand_ins), "--weights", str(checkpoint))
    done = CliRunner().invoke(app, ["reproduce", "netvlad", "berlin-kudamm", *given])
    assert done.exit_code == 0, (done.output, capfd.readouterr())
    lines = done.output.split("\n")
    assert "ours        25.00 %  20.00 to 30.00 (block bootstrap), 10.00 to 40.00 (wilson " in (
        done.output
    )
    assert "published   38.21 %  (challenge, 107 of 280 queries)" in lines
    assert "difference  -13.21 points, outside the interval (block bootstrap)" in lines
    assert "314 database and 280 query images" in capfd.readouterr().out
    assert run(repo, "git", "status", "--porcelain") == ""
    assert "protocol: null" in Path("params.yaml").read_text()
    kept = yaml.safe_load(find_revision("netvlad-berlin-kudamm").read_text("dvc.lock"))
    found = kept["stages"]["prepare"]["params"]["params.yaml"]["dataset"]
    assert found["protocol"] == "berlin-kudamm" and found["dir"] == str(stand_ins)

    run(repo, "dvc", "exp", "apply", "netvlad-berlin-kudamm")
    assert "\nprotocol berlin-kudamm\n" in CliRunner().invoke(app, ["summary"]).output

    (less := tmp_path / "less").mkdir()
    truth = parse_dbstruct(stand_ins / "berlin.mat")
    query = ImageIndex(truth.query.paths[:-1], truth.query.coordinates[:-1])
    save_dbstruct(less / "berlin.mat", database=truth.database, query=query, radius_m=50)
    given = ("--data", str(less), "--weights", str(checkpoint))
    done = CliRunner().invoke(app, ["reproduce", "netvlad", "berlin-kudamm", *given])
    assert "expected 280 queries, found 279 (1 missing)" in str(done.exception)


@pytest.mark.soak
def test_the_challenge_in_one_command_through_the_network(
    tmp_path: Path, stand_ins: Path, zipped: Path, checkpoint: Path
) -> None:
    repo = copy_repository(tmp_path / "repo")
    stamps = repo / ".scratch/active"
    stamps.mkdir(parents=True)
    for name in ("python.done", "requirements.done"):
        (stamps / name).touch()
    make = ("make", "berlin", "ENV=active", f"CHECKPOINT={checkpoint}")
    assert "usage: make berlin" in run(repo, *make, code=2)
    output = run(repo, *make, f"DATA={zipped}")
    assert "pool of 16 clusters (vladv1) from the weights" in output
    recall = json.loads((repo / "metrics/recall.json").read_text())["recall@1"]
    assert f"recall@1    {recall:.2%} ({round(recall * 280)} of 280)" in output
    state = state_of(repo)
    assert "Running stage" not in run(repo, *make, f"DATA={stand_ins}")
    assert state_of(repo) == state


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_both_are_unpacked_to_the_same_set_and_a_second_time_to_nothing_new(
    workplace: Path, stand_ins: Path, zipped: Path, kind: str
) -> None:
    source = stand_ins if kind == "folder" else zipped
    assert unpack_set(source, Path("data/berlin"))
    expected = contents(stand_ins)
    del expected["NetVLAD.ipynb"]
    assert len(expected) == 1 + 314 + 280
    assert contents(workplace / "data/berlin") == expected
    stamp = (workplace / "data/berlin/berlin.mat").stat().st_mtime_ns
    assert not unpack_set(source, Path("data/berlin"))
    assert not unpack_set(Path("data/berlin"), Path("data/berlin"))
    assert (workplace / "data/berlin/berlin.mat").stat().st_mtime_ns == stamp
    (workplace / "data/berlin/Query_resized/seq2Image_7.jpg").write_bytes(b"other")
    with pytest.raises(ValueError, match=r"seq2Image_7\.jpg has other bytes there; move it away"):
        unpack_set(source, Path("data/berlin"))


def rebuilt(zipped: Path, file: Path, **changes: Any) -> Path:  # noqa: ANN401
    """The zip again, an entry that ends in a name replaced, or left out where that is None."""
    with zipfile.ZipFile(zipped) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            ending = next((end for end in changes if entry.filename.endswith(end)), None)
            content = old.read(entry) if ending is None else changes[ending]
            if content is not None:
                new.writestr(entry.filename, content)
        for name in changes.keys() - {entry.filename for entry in old.infolist()}:
            if name.startswith("+"):
                new.writestr(name[1:], changes[name])
    return file


def other_set() -> bytes:
    one = ImageIndex(["a.jpg"], np.zeros((1, 2)))
    file = Path("other.mat")
    save_dbstruct(file, database=one, query=one, radius_m=5)
    return file.read_bytes()


def no_struct() -> bytes:
    buffer = io.BytesIO()
    savemat(buffer, {"other": 1})
    return buffer.getvalue()


IMAGE = "seq1Image_195.jpg"
WRONG = {
    "no berlin.mat": ({"berlin.mat": None}, "expected the challenge's data set with berlin.mat"),
    "another set": ({"berlin.mat": other_set}, "found 1 and 1: for another set see the README"),
    "no dbStruct": ({"berlin.mat": no_struct}, "expected a variable dbStruct"),
    "cut .mat": ({"berlin.mat": b"MATLAB 5.0"}, "not a readable .mat file"),
    "a missing image": ({IMAGE: None}, f"1 of the 594 images .* missing below .*{IMAGE}"),
    "no images": ({".jpg": None}, r"names 'Reference_resized/Image_\(2\).jpg', which is nowhere"),
    "a damaged image": ({IMAGE: b"\xff\xd8\xff"}, f"{IMAGE}: not a readable image"),
    "a path that leads out": ({"+../../evil.txt": b"x"}, "evil.txt' leads out of the zip"),
    "a path of Windows that leads out": (
        {"+..\\..\\evil.txt": b"x"},
        "evil.txt' leads out of the zip",
    ),
    "an absolute path": ({"+/tmp/evil.txt": b"x"}, "evil.txt' leads out of the zip"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_zip_is_refused_in_clear_words_and_leaves_nothing(
    workplace: Path, zipped: Path, kind: str
) -> None:
    changes, words = WRONG[kind]
    made = {name: part() if callable(part) else part for name, part in changes.items()}
    file = rebuilt(zipped, workplace / "wrong.zip", **made)
    Path("other.mat").unlink(missing_ok=True)
    with pytest.raises(ValueError, match=words) as caught:
        unpack_set(file, Path("data/berlin"))
    assert str(caught.value).startswith(f"{file}: ")
    assert sorted(contents(workplace)) == ["wrong.zip"]
    assert not (workplace.parent / "evil.txt").exists()


@pytest.mark.long
def test_a_zip_of_windows_has_the_same_files(
    workplace: Path, stand_ins: Path, zipped: Path
) -> None:
    file = workplace / "windows.zip"
    with zipfile.ZipFile(zipped) as old, zipfile.ZipFile(file, "w") as new:
        for entry in old.infolist():
            if not entry.is_dir():
                new.writestr(entry.filename.replace("/", "\\"), old.read(entry))
        for name in ("Thumbs.db", "@eaDir\\berlin.mat", "._berlin.mat"):
            new.writestr(f"컴퓨터비전\\{name}", b"of a system")
    with opened_bundle(file) as windows, opened_bundle(stand_ins) as folder:
        assert windows.sizes == {f"컴퓨터비전/{name}": n for name, n in folder.sizes.items()}
    assert unpack_set(file, Path("set"))
    names = [name for name in contents(stand_ins) if name != "NetVLAD.ipynb"]
    assert contents(Path("set")) == {name: contents(stand_ins)[name] for name in names}


def test_what_is_no_zip_or_a_cut_one_is_refused(workplace: Path, zipped: Path) -> None:
    page, cut = workplace / "page.zip", workplace / "cut.zip"
    page.write_text("<!DOCTYPE html>Google Drive can't scan this file")
    cut.write_bytes(zipped.read_bytes()[:-3000])
    for file in (page, cut):
        with pytest.raises(ValueError, match="expected a folder or a whole zip"):
            unpack_set(file, Path("data/berlin"))
    with pytest.raises(FileNotFoundError, match="no such folder or zip"):
        unpack_set(workplace / "nowhere", Path("data/berlin"))


def test_a_bomb_and_flipped_bytes_are_not_unpacked(workplace: Path) -> None:
    file = workplace / "bomb.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb", bytes(MAX_FILE_BYTES + 1))
        archive.writestr("small", b"abcdefgh" * 100)
    assert file.stat().st_size < 100_000
    data = file.read_bytes()
    place = data.index(b"small") + len(b"small") + 5
    file.write_bytes(data[:place] + bytes([data[place] ^ 255]) + data[place + 1 :])
    with opened_bundle(file) as bundle:
        with pytest.raises(ValueError, match=r"'bomb' would have 67108865 bytes"):
            read_file(bundle, "bomb")
        with pytest.raises(ValueError, match=r"bomb.zip: 'small' cannot be unpacked"):
            read_file(bundle, "small")


def test_links_in_a_folder_lead_nowhere_else(workplace: Path) -> None:
    (workplace / "set").mkdir()
    (workplace / "secret").write_text("not yours")
    (workplace / "set/a.jpg").symlink_to(workplace / "secret")
    with opened_bundle(workplace / "set") as bundle, pytest.raises(ValueError, match="a link"):
        read_file(bundle, "a.jpg")


def test_a_small_disk_is_named_before_and_a_full_one_leaves_nothing(
    workplace: Path, stand_ins: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        usage = shutil.disk_usage(workplace)._replace(free=1000)
        patch.setattr(artefacts.shutil, "disk_usage", lambda folder: usage)
        with pytest.raises(OSError, match=r"1e-06 GB are free: make room"):
            unpack_set(stand_ins, Path("data/berlin"))
    written = iter(range(100))

    def write_bytes(path: Path, data: bytes) -> int:
        if next(written) == 50:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        with path.open("wb") as file:
            return file.write(data)

    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    with pytest.raises(OSError, match="No space left"):
        unpack_set(stand_ins, Path("data/berlin"))
    assert contents(workplace) == {}


def test_a_wrong_checkpoint_or_zip_changes_nothing_at_all(
    workplace: Path, stand_ins: Path, checkpoint: Path
) -> None:
    shutil.copyfile(ROOT / "params.yaml", "params.yaml")
    Path("page.pth.tar").write_text("<!DOCTYPE html>")
    Path("set.zip").write_bytes(b"PK no more")
    before = contents(workplace)
    for data, weights, words in (
        (stand_ins, Path("page.pth.tar"), "page.pth.tar: refused, nothing in it was run: expected"),
        (Path("set.zip"), checkpoint, "set.zip: expected a folder or a whole zip"),
        (stand_ins, Path("nowhere"), "nowhere"),
    ):
        done = CliRunner().invoke(app, ["berlin", str(data), str(weights)])
        assert done.exit_code == 1
        assert words in str(done.exception)
        assert isinstance(done.exception, ValueError | OSError)  # which __main__ tells in one line
        assert contents(workplace) == before


def test_checkpoints_get_a_plain_name_and_never_replace_another(
    workplace: Path, checkpoint: Path
) -> None:
    weights = Path("models/pretrained")
    assert place_checkpoint(Path("a (1) 복사본.pth.tar"), weights) == weights / "a_1_복사본.pth.tar"
    target = place_checkpoint(checkpoint, weights)
    assert copy_checkpoint(checkpoint, target)
    assert not copy_checkpoint(checkpoint, target)
    target.write_bytes(b"other")
    with pytest.raises(ValueError, match="exists already, with other bytes"):
        copy_checkpoint(checkpoint, target)
    assert target.read_bytes() == b"other"


def test_weights_without_a_pool_are_not_the_baselines(tmp_path: Path, checkpoint: Path) -> None:
    params = baseline_params(Path("data/berlin"), checkpoint, parse_checkpoint(checkpoint))
    assert params["finetune.num_clusters"] == 16
    assert params["pretrained.weights"] == NAME
    assert params["trunk.precision"] == "float32"  # the reference's, whatever the demo has
    network = {"trunk.image_size": None, "trunk.store": "all", "finetune.aggregator": "netvlad"}
    assert params.items() >= (network | {"search.index": "exact"}).items()
    torch.save(random_weights(0), tmp_path / "vgg16.pth")
    with pytest.raises(ValueError, match=r"vgg16\.pth: VGG16 without NetVLAD's clusters"):
        baseline_params(
            Path(),
            tmp_path / "vgg16.pth",
            parse_checkpoint(tmp_path / "vgg16.pth"),
        )


def test_recall_is_shown_beside_the_published_one_or_said_to_be_missing() -> None:
    words = compare_with_published({"recall@1": 107 / 280, "num_queries": 280})
    assert words.count("38.21% (107 of 280)") == 2
    words = compare_with_published({"recall@5": 0.9, "num_queries": 280})
    assert "recall@1    not among evaluate.recall_at" in words
