"""A finished run from Python and from the installed command, outside the repository."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from dataclasses import asdict
from pathlib import Path

import pytest

import vpr
from tests.support.repositories import ROOT, dvc_environment, run
from vpr.places.index import load_index

QUERY = "data/sample/queries/0003.jpg"

FIVE_LINES = """
import sys
import vpr
assert "torch" not in sys.modules
street = vpr.load_run(sys.argv[1])
answer = street.locate(sys.argv[2])
print([(match.database, match.easting, match.correct) for match in answer.matches])
"""


def locate(pipeline: Path, folder: Path, *options: str) -> dict:
    """What the command says from a folder outside the repository."""
    words = ("--run", str(pipeline), "--json", *options)
    text = run(folder, "python", "-m", "vpr", "locate", str(pipeline / QUERY), *words)
    found: dict = json.loads(text[text.index("[\n") : text.index("\n]\n") + 2])[0]
    return found


def test_the_answer_is_the_command_s(
    finished_pipeline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(tmp_path)
    street = vpr.load_run(finished_pipeline)
    answer = street.locate(finished_pipeline / QUERY, top=3)
    said = locate(finished_pipeline, tmp_path, "--top", "3")
    assert answer.state == said["state"] and answer.probability == said["probability"]
    assert answer.position is not None and asdict(answer.position) == said["position"]
    database = load_index(finished_pipeline / "data/prepared/database.csv")
    for match, theirs in zip(answer.matches, said["matches"], strict=True):
        assert (match.database, match.rank) == (theirs["database"], theirs["rank"])
        assert match.database == database.paths[match.image]
        assert [match.easting, match.northing] == database.coordinates[match.image].tolist()
        assert match.distance == pytest.approx(theirs["distance"], abs=1e-6)
        assert match.latitude == theirs["latitude"]
        assert match.correct is theirs["correct"] is not None
    (again,) = street.locate_all([str(finished_pipeline / QUERY)], top=3)
    assert again == answer


def test_what_is_no_run_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"is not the folder of a finished run .*dvc repro"):
        vpr.load_run(tmp_path)


@pytest.mark.long
def test_the_wheel_has_all_that_a_photo_needs_to_be_located(
    finished_pipeline: Path, tmp_path: Path
) -> None:
    source = tmp_path / "source"  # building leaves a folder behind
    for name in run(ROOT, "git", "ls-files", "vpr", "pyproject.toml", "requirements*").split():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    run(tmp_path, "python", "-m", "pip", "wheel", "-q", "--no-deps", "-w", "wheels", str(source))
    (wheel,) = (tmp_path / "wheels").iterdir()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
        (metadata,) = (name for name in archive.namelist() if name.endswith("METADATA"))
        said = archive.read(metadata).decode()
        (entry,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
        assert "vpr = vpr.__main__:run" in archive.read(entry).decode()
    assert "Requires-Dist: torch==" in said
    for extra, package in (("serve", "fastapi"), ("ray", "ray"), ("remotes", "dvc-s3")):
        assert f"Requires-Dist: {package}" in said and f'extra == "{extra}"' in said
    outside = tmp_path / "outside"
    outside.mkdir()
    environment = {**dvc_environment(), "PYTHONPATH": str(tmp_path / "installed")}
    photo = str(finished_pipeline / QUERY)
    done = subprocess.run(
        [sys.executable, "-c", FIVE_LINES, str(finished_pipeline), photo],
        cwd=outside, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "database/" in done.stdout
    page = subprocess.run(
        [sys.executable, "-m", "vpr", "locate", photo, "--run", str(finished_pipeline),
         "--html", "page.html"],
        cwd=outside, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert page.returncode == 0, page.stderr
    assert "</html>" in (outside / "page.html").read_text(encoding="utf-8")
