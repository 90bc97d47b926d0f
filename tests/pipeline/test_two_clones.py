"""What one clone computed, another gets from the remote: everything, or only what it needs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.pipeline.test_remotes import commands
from tests.support.repositories import AFTER_SEARCH, change, run, stages_run


@pytest.fixture(scope="module")
def ours(finished_pipeline: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone whose finished run was pushed to the remote that the committed settings name."""
    folder = tmp_path_factory.mktemp("clones") / "ours"
    shutil.copytree(finished_pipeline, folder, symlinks=True)
    run(folder, "dvc", "push", "--run-cache")
    assert (folder.parent / "vpr-storage/files").is_dir()
    return folder


@pytest.fixture
def theirs(ours: Path, request: pytest.FixtureRequest) -> Path:
    """A fresh clone beside it: what git has, and nothing of the data."""
    folder = ours.parent / request.node.name
    run(ours.parent, "git", "clone", "-q", str(ours), str(folder))
    assert not (folder / "data/sample").exists()
    return folder


def test_a_clone_that_pulled_runs_nothing_and_has_the_same_metrics(
    ours: Path, theirs: Path
) -> None:
    run(theirs, "dvc", "pull")
    assert stages_run(run(theirs, "dvc", "repro")) == set()
    assert run(theirs, "git", "status", "--porcelain") == ""
    for name in (
        "metrics/recall.json",
        "data/index_recall.json",
        "data/utility/metrics.json",
        "models/netvlad/model.pt",
    ):
        assert (theirs / name).read_bytes() == (ours / name).read_bytes()


@pytest.mark.long
def test_another_depth_in_a_clone_without_data_fetches_what_search_and_its_followers_read(
    theirs: Path,
) -> None:
    change(theirs, "top_k: 5", "top_k: 3")
    output = run(theirs, "dvc", "repro", "--pull", "--allow-missing")
    assert stages_run(output) == {"search"} | AFTER_SEARCH
    assert (theirs / "data/whitened/database.npy").exists()
    for unread in ("data/sample", "data/images", "data/trunk", "data/descriptors"):
        assert not any(path.is_file() for path in (theirs / unread).rglob("*")), unread


@pytest.mark.long
def test_another_learning_rate_in_a_clone_without_data_trains_from_the_stored_features(
    ours: Path, theirs: Path
) -> None:
    change(theirs, "lr: 0.0001", "lr: 0.001")
    output = run(theirs, "dvc", "repro", "--pull", "--allow-missing", "finetune")
    assert stages_run(output) == {"finetune"}
    stored = "data/trunk/database/features/000000.npy"
    assert (theirs / stored).read_bytes() == (ours / stored).read_bytes()
    for unread in ("data/sample", "data/images", "data/trunk/query"):
        assert not any(path.is_file() for path in (theirs / unread).rglob("*")), unread


def test_a_colleague_gets_just_the_model_as_the_page_says(
    ours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))  # as on another machine
    storage = str(ours.parent / "vpr-storage")  # a relative one is looked for elsewhere
    run(ours, "dvc", "remote", "modify", "storage", "url", storage)
    run(ours, "git", "commit", "-qm", "Name the remote by its whole path", ".dvc/config")
    origin = ours.parent / "origin.git"
    run(ours.parent, "git", "clone", "-q", "--bare", str(ours), str(origin))
    run(ours, "git", "remote", "add", "origin", str(origin))
    by_path, naming, by_name = commands("Just the model")
    run(ours, "bash", "-euc", naming)
    for number, script in enumerate((by_path, by_name)):
        assert "-o model.pt" in script
        (tmp_path / str(number)).mkdir()
        here = script.replace("https://git.example.org/vpr.git", str(origin))
        run(tmp_path / str(number), "bash", "-euc", here)
        model = (tmp_path / str(number) / "model.pt").read_bytes()
        assert model == (ours / "models/netvlad/model.pt").read_bytes()
