"""Every command that README shows is run here, or by the test that is named."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.pipeline.test_readme import commands
from tests.support.repositories import run

# A command of README, what is smaller in the small pipeline, and what it prints.
SHOWN: list[tuple[str, dict[str, str], str]] = [
    ("dvc exp run -S search.top_k=10", {"=10": "=4"}, "Running stage 'search'"),
    ("dvc exp run -S finetune.num_clusters=32", {"=32": "=3"}, "Running stage 'finetune'"),
    ("dvc exp show", {}, "recall@1"),
    (
        "dvc exp show --drop '.*' --keep "
        "'Experiment|recall@1$|finetune.num_clusters|search.top_k'",
        {},
        r"Experiment +recall@1 +finetune.num_clusters +search.top_k",
    ),
    ("dvc metrics diff", {}, r"metrics/recall.json +recall@"),
    ("dvc plots diff", {}, "dvc_plots/index.html"),
    ("git checkout params.yaml dvc.lock metrics && dvc checkout", {}, "Updated [0-9]+ path"),
    (
        "dvc exp run -S trunk.encoder=xfeat -S trunk.model=null -n xfeat",
        {"trunk.model=null": "trunk.model=null -S trunk.trainable_from=pool"},
        r"Ran experiment\(s\): xfeat",
    ),
    ("git checkout params.yaml dvc.lock metrics && dvc checkout", {}, ""),
    ("python -m vpr compare HEAD xfeat", {}, r"recall@1 .*\n"),
    (
        "python -m vpr gate HEAD xfeat --min recall@1=0.9 --max-drop recall@1=0.02",
        {"0.9 ": "0 ", "0.02": "1"},
        "ok    recall@1",
    ),
    (
        "python -m vpr locate data/sample/queries/0060.jpg --top 3",
        {"0060": "0006"},
        r"(?s)0006\.jpg: .*1  distance .*2  distance .*3  distance",
    ),
    ("python -m vpr verify --mend", {}, "All files here are as recorded"),
    (
        "python -m vpr score --predictions data/predictions.npz --truth data/sample/sample.mat",
        {},
        r"(?s)8 queries, 12 database images.*recall@1 +[0-9.]+ %",
    ),
    ("dvc exp run -S trunk.encoder=xfeat -S trunk.model=null", {
        "trunk.model=null": "trunk.model=null -S trunk.trainable_from=pool"}, "Running stage"),
    (
        "dvc exp run -S trunk.encoder=dense_rootsift -S trunk.model=null "
        "-S pretrained.weights=random",
        {"trunk.model=null": "trunk.model=null -S trunk.trainable_from=pool"},
        "dense RootSIFT at 4 scales",
    ),
    ("git checkout params.yaml dvc.lock metrics && dvc checkout", {}, ""),
    ("python -m vpr doctor", {}, "OK   parameters"),
    ("dvc add /path/to/set -o data/NAME", {"/path/to/set": "../set"}, r"git add data/NAME\.dvc"),
    (
        "git add params.yaml dvc.lock metrics data/berlin.dvc models/pretrained/*.dvc",
        {"data/berlin.dvc models/pretrained/*.dvc": "data/NAME.dvc"},
        "",
    ),
    ('git commit -m "Berlin baseline"', {}, "1 file changed"),
    (
        "dvc exp run -n finetuned -S finetune.epochs=5 -S finetune.lr=1e-5",
        {"epochs=5": "epochs=2"},
        "epoch 2: loss",
    ),
    ("python -m vpr compare HEAD finetuned", {}, "B = finetuned: 8 queries"),
    ("dvc get URL models/netvlad/model.pt", {"URL": "."}, ""),
]  # fmt: skip
# Commands that are run elsewhere, or by CI itself, or need what no test has.
ELSEWHERE = {
    "make run": ".ci/run", "make test": ".ci/run",
    "dvc push --run-cache && git push": "tests/pipeline/test_two_clones.py",
    "dvc pull && dvc repro": "tests/pipeline/test_two_clones.py",
    "dvc repro --pull --allow-missing": "tests/pipeline/test_two_clones.py",
    "dvc exp push origin NAME": "tests/pipeline/test_experiments.py",
    "make berlin DATA=folder-or-zip CHECKPOINT=pittsburgh_checkpoint.pth.tar": (
        "tests/commands/test_berlin.py"
    ),
}  # fmt: skip
COMMAND = re.compile(r"(make|dvc|git|python -m) ")


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory, finished_pipeline: Path) -> Path:
    """A pipeline that the commands are run in, one after the other."""
    folder = tmp_path_factory.mktemp("readme") / "repo"
    shutil.copytree(finished_pipeline, folder, symlinks=True)
    shutil.copytree(folder / "data/sample", folder.parent / "set")
    return folder


def test_every_command_of_the_page_is_run_somewhere() -> None:
    known = {command for command, _, _ in SHOWN} | set(ELSEWHERE)
    named = {line for line in commands("README.md") if COMMAND.match(line)}
    assert named - known == set()
    assert known - named == set()


@pytest.mark.parametrize("number", range(len(SHOWN)))
def test_a_command_prints_what_the_page_promises(shown: Path, number: int) -> None:
    command, smaller, expected = SHOWN[number]
    for old, new in smaller.items():
        assert old in command
        command = command.replace(old, new)
    printed = run(shown, "bash", "-c", command)
    assert re.search(expected, printed), printed
