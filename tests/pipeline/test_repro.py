"""An experiment costs only what it changes: in a real DVC repository."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from ruamel.yaml import YAML

from tests.pipeline.test_declarations import STAGES, names, outs_of
from tests.support.repositories import AFTER_SEARCH, ROOT, change, run, stages_run
from vpr.features.local_features import load_features


def test_a_finished_run_is_clean_and_a_second_one_would_do_nothing(pipeline: Path) -> None:
    assert run(pipeline, "git", "status", "--porcelain") == ""
    assert "up to date" in run(pipeline, "dvc", "status")


def test_contract_files_are_there_in_their_form(finished_pipeline: Path) -> None:
    metrics = json.loads((finished_pipeline / "metrics/recall.json").read_text())
    assert 0 <= metrics["recall@1"] <= metrics["recall@5"] <= 1
    assert "recall@10" not in metrics  # deeper than top_k
    database = np.load(finished_pipeline / "data/descriptors/database.npy")
    assert database.shape == (12, 4 * 512)
    assert database.dtype == np.float32
    shapes = load_features(finished_pipeline / "data/trunk/database").shapes
    assert shapes.tolist() == [[3, 4]] * 12
    submission = json.loads((finished_pipeline / "data/submission/submit.json").read_text())
    assert [entry["id"] for entry in submission["Query"]] == list(range(8))
    assert len(submission["Query"][0]["positive"]) == 5


@pytest.mark.long
def test_another_depth_runs_search_and_what_follows_alone(pipeline: Path) -> None:
    output = run(pipeline, "dvc", "exp", "run", "-S", "search.top_k=3")
    assert stages_run(output) == {"search"} | AFTER_SEARCH


def test_sequences_are_reported_beside_single_images_not_in_their_place(pipeline: Path) -> None:
    before = json.loads((pipeline / "metrics/recall.json").read_text())
    change(pipeline, "length: 1 ", "length: 3 ")
    assert stages_run(run(pipeline, "dvc", "repro", "evaluate")) == {"order", "evaluate"}
    after = json.loads((pipeline / "metrics/recall.json").read_text())
    assert {name: after[name] for name in before} == before
    assert {
        "sequence_recall@1",
        "sequence_recall@5_block_bootstrap",
    } <= after.keys() - before.keys()


def test_without_reranking_the_retrieval_is_passed_on_byte_for_byte(
    finished_pipeline: Path,
) -> None:
    data = finished_pipeline / "data"
    assert (data / "reranked.npz").read_bytes() == (data / "predictions.npz").read_bytes()
    stored = [file for file in (data / "keypoints").rglob("*") if file.is_file()]
    assert len(stored) == 6
    assert sum(file.stat().st_size for file in stored) < 1000  # headers alone


def test_a_small_learning_rate_is_a_number_and_neither_it_nor_other_clusters_run_a_trunk(
    pipeline: Path,
) -> None:
    new = ("-S", "finetune.lr=1e-5", "-S", "finetune.num_clusters=3", "-S", "finetune.epochs=0")
    output = run(pipeline, "dvc", "exp", "run", *new, "extract_db")
    assert "lr: 1e-05" in (pipeline / "params.yaml").read_text()
    assert stages_run(output) == {"finetune", "extract_db"}


def test_an_edit_makes_those_stages_stale_that_use_the_code(pipeline: Path) -> None:
    netvlad, losses = "vpr/aggregators/netvlad.py", "vpr/training/losses.py"
    unused = ("vpr/encoders/dense_rootsift.py", "vpr/matchers/sift.py")  # of other methods
    for file in (netvlad, losses, "vpr/matchers/base/matching.py", *unused):
        with (pipeline / file).open("a") as code:
            code.write("# edited\n")
    found = json.loads(run(pipeline, "dvc", "status", "--json"))
    changed = {
        stage: {path for part in parts for path in part.get("changed deps", {})}
        for stage, parts in found.items()
    }
    base = "vpr/matchers/base"
    assert changed == {
        # It finds out which aggregator weights bring; its outs, and so the trunk, stay.
        "pretrained": {"vpr/aggregators"},
        "finetune": {netvlad, "vpr/training"},
        "extract_db": {netvlad},
        "extract_query": {netvlad},
        "keypoints@database": {base},
        "keypoints@query": {base},
        "inliers": {base},
        "utility": {netvlad, base},
        "foreign": {netvlad, base},
    }


def test_code_has_the_same_bytes_in_a_clone_that_converts_line_ends(
    finished_pipeline: Path, tmp_path: Path
) -> None:
    origin, clone = finished_pipeline, tmp_path / "windows"
    run(tmp_path, "git", "clone", "-q", "-c", "core.autocrlf=true", str(origin), str(clone))
    for name in run(origin, "git", "ls-files", "*.py", "*.yaml", "models").split():
        assert (clone / name).read_bytes() == (origin / name).read_bytes(), name


def test_one_more_query_leaves_the_database_side_untouched(pipeline: Path) -> None:
    change(pipeline, "num_query: 8", "num_query: 9")
    ran = stages_run(run(pipeline, "dvc", "repro", "extract_db", "extract_query"))
    assert {"prepare", "trunk@query", "extract_query"} <= ran
    assert not ran & {"trunk@database", "finetune", "extract_db", "pretrained"}


@pytest.mark.long
def test_a_clone_in_another_folder_runs_to_the_same_locks_byte_for_byte(
    finished_pipeline: Path, tmp_path: Path
) -> None:
    clone = tmp_path / "elsewhere" / "a clone"
    run(tmp_path, "git", "clone", "-q", str(finished_pipeline), str(clone))
    ran = stages_run(run(clone, "dvc", "repro"))  # an out equal to another's comes from the cache
    assert {
        "sample",
        "prepare",
        "trunk@database",
        "trunk@query",
        "finetune",
        "search",
        "evaluate",
    } <= ran
    for lock in ("dvc.lock", "data/dvc.lock"):
        assert (clone / lock).read_bytes() == (finished_pipeline / lock).read_bytes()


# A module: runs a stage without the check of all other sections, of which the folder has none.
ALONE = """
import runpy, sys, types
sys.modules["vpr.sections"] = types.SimpleNamespace(require_sections=lambda: None)
runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_needs_its_declared_deps_and_params_alone(
    finished_pipeline: Path, tmp_path: Path, name: str
) -> None:
    params = YAML(typ="safe", pure=True).load(finished_pipeline / "params.yaml")
    values = {**params, "item": {"side": "query"}}
    text = re.sub(
        r"\$\{(\w+)\.(\w+)\}",
        lambda key: str(values[key[1]][key[2]]),
        yaml.safe_dump(STAGES[name]),
    )
    stage = yaml.safe_load(text)
    for dep in [*stage["deps"], "vpr/console"]:
        target = tmp_path / dep
        target.parent.mkdir(parents=True, exist_ok=True)
        source = finished_pipeline / dep
        (shutil.copytree if source.is_dir() else shutil.copyfile)(source, target)
    keys, packages = names(stage.get("params", []))
    pruned: dict = {}
    for key in keys:
        section, _, one = key.partition(".")
        values = params[section]
        pruned.setdefault(section, {}).update({one: values[one]} if one else values)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(pruned))
    versions = YAML(typ="safe", pure=True).load(ROOT / "env.yaml")
    (tmp_path / "env.yaml").write_text(yaml.safe_dump({p: versions[p] for p in packages}))
    (tmp_path / "alone.py").write_text(ALONE)
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    python, m, *words = shlex.split(stage["cmd"])
    run(tmp_path, python, m, "alone", *words)
    made = {path for path in tmp_path.rglob("*") if path.is_file()} - before
    made = {path for path in made if "__pycache__" not in path.parts}
    outs = {tmp_path / out for out in outs_of(stage)}
    assert all(out.exists() for out in outs)
    assert {path for path in made if not any(path.is_relative_to(out) for out in outs)} == set()


@pytest.mark.long
def test_a_wrong_parameter_is_one_message_and_the_old_outs_stay_in_the_cache(
    pipeline: Path,
) -> None:
    change(pipeline, "top_k: 5", "top_k: 50")
    output = run(pipeline, "dvc", "repro", code=255)
    assert "search.top_k = 50, but the database has only 12 images" in output
    assert "git checkout metrics && dvc checkout" in output
    assert "Traceback" not in output
    run(pipeline, "git", "checkout", "metrics", "params.yaml")
    run(pipeline, "dvc", "checkout")
    assert "up to date" in run(pipeline, "dvc", "status")


def test_other_versions_are_a_warning_and_an_error_where_strict(
    pipeline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = pipeline / "env.yaml"
    env.write_text(re.sub(r"faiss: .*", "faiss: 1.0.0", env.read_text()))
    search = shlex.split(STAGES["search"]["cmd"])
    assert "warning: faiss 1.15.1 is installed" in run(pipeline, *search)
    monkeypatch.setenv("VPR_STRICT_ENV", "1")
    output = run(pipeline, *search, code=1)
    assert "error: faiss 1.15.1 is installed, env.yaml has 1.0.0" in output


def test_doctor_finds_what_would_stop_a_run(pipeline: Path) -> None:
    change(pipeline, "top_k: 5", "top_k: 0")
    assert "search.top_k = 0" in run(pipeline, "python", "-m", "vpr", "doctor", "--quick", code=1)
    change(pipeline, "top_k: 0", "top_k: 5")
    change(pipeline, "dir: data/sample", "dir: data/nowhere")
    output = run(pipeline, "python", "-m", "vpr", "doctor", "--quick", code=1)
    assert "data/nowhere does not exist" in output
