"""What dvc.yaml declares is what the code does."""

from __future__ import annotations

import ast
import dataclasses
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.repositories import ROOT
from vpr.commands.doctor.command import SECTIONS
from vpr.runtime.environment import DISTRIBUTIONS, MODULES
from vpr.runtime.parameters import check_params, read_yaml

TORCH_FREE = (
    "search", "evaluate", "submit", "prepare", "sample", "thumbnails", "report",
    "keypoints", "utility", "inliers", "rerank", "sequence", "whiten", "index",
    "views",
)  # fmt: skip
UNUSED_WHEN_OFF = [("whiten", "sklearn"), ("index", "faiss"), ("utility", "scipy")]


def load_stages() -> dict[str, dict[str, Any]]:
    stages = {}
    for file in (ROOT / "dvc.yaml", ROOT / "data" / "dvc.yaml"):
        stages |= yaml.safe_load(file.read_text())["stages"]
    return stages


STAGES = load_stages()


def module_of(stage: dict[str, Any]) -> str:
    words = shlex.split(stage["cmd"])
    assert words[:2] == ["python", "-m"]
    return words[2]


def first_party(module: str) -> Path | None:
    file = ROOT / f"{module.replace('.', '/')}.py"
    return file if module.split(".")[0] in ("vpr", "stages") and file.is_file() else None


@cache
def imports_of(file: Path) -> tuple[str, ...]:
    found = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            found.append(str(node.module))
    return tuple(found)


def reachable(*files: Path) -> set[Path]:
    seen, waiting = set(files), list(files)
    while waiting:
        for module in imports_of(waiting.pop()):
            target = first_party(module)
            if target and target not in seen:
                seen.add(target)
                waiting.append(target)
    return seen


def stage_file(stage: dict[str, Any]) -> Path:
    file = first_party(module_of(stage))
    assert file is not None
    return file


def code_deps(stage: dict[str, Any]) -> list[str]:
    return [dep for dep in stage["deps"] if dep.startswith(("stages/", "vpr/"))]


def files_of(stage: dict[str, Any]) -> set[Path]:
    """What a stage can import: what its module imports, and any file of the drawers it opens."""
    drawers = [path.rpartition("/")[0] for path in code_deps(stage) if "${" in path]
    plugins = [file for drawer in drawers for file in (ROOT / drawer).glob("[!_]*.py")]
    return reachable(stage_file(stage), *plugins)


def lies_under(file: Path, dep: str) -> bool:
    """Whether a dependency covers a file; one with a parameter in its name, its whole drawer."""
    place = ROOT / (dep.rpartition("/")[0] if "${" in dep else dep)
    return file == place or place in file.parents


def params_read(files: set[Path]) -> Iterator[str]:
    """What the calls of load_params and load_param name."""
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            if is_call and node.func.id in ("load_params", "load_param"):
                assert not isinstance(node.args[0], ast.Name) or file.name == "parameters.py"
                if isinstance(node.args[0], ast.Constant):
                    yield node.args[0].value


def outs_of(stage: dict[str, Any]) -> set[str]:
    entries = [*stage.get("outs", []), *stage.get("metrics", [])]
    return {entry if isinstance(entry, str) else next(iter(entry)) for entry in entries}


def names(group: list[Any]) -> tuple[set[str], set[str]]:
    """Declared parameters of params.yaml, and packages of env.yaml."""
    params, packages = set(), set()
    for entry in group:
        if isinstance(entry, str):
            params.add(entry)
        else:
            packages |= set(entry["env.yaml"])
    return params, packages


each_stage = pytest.mark.parametrize("name", STAGES)


@each_stage
def test_every_imported_file_lies_under_a_declared_dependency(name: str) -> None:
    declared = code_deps(STAGES[name])
    for file in files_of(STAGES[name]):
        assert any(lies_under(file, dep) for dep in declared), f"{name} lacks {file}"


@each_stage
def test_every_declared_dependency_of_code_holds_an_imported_file(name: str) -> None:
    files = files_of(STAGES[name])
    for dep in code_deps(STAGES[name]):
        assert any(lies_under(file, dep) for file in files), f"{name} does not use {dep}"


# Rooms of the stages that take long: they are declared as folders; all else, file by file.
OWN_ROOMS = {
    "trunk_db": ["vpr/features"],
    "trunk_query": ["vpr/features"],
    "views": ["vpr/features"],
    "finetune": ["vpr/training", "vpr/network"],
    "extract_db": ["vpr/network"],
    "extract_query": ["vpr/network"],
    "utility": ["vpr/reranking"],
}


@pytest.mark.parametrize("name", OWN_ROOMS)
def test_a_stage_that_takes_long_declares_nothing_unused_of_foreign_rooms(name: str) -> None:
    folders = [dep for dep in code_deps(STAGES[name]) if (ROOT / dep).is_dir()]
    assert folders == ["vpr/runtime", *OWN_ROOMS[name]]


def test_stages_that_open_a_drawer_depend_on_the_file_of_the_parameter() -> None:
    templates = ("vpr/encoders/${trunk.encoder}.py", "vpr/matchers/${rerank.method}.py")
    opened = {dep: {n for n, s in STAGES.items() if dep in s["deps"]} for dep in templates}
    heads, trunks = (
        {"finetune", "extract_db", "extract_query", "utility"},
        {"trunk_db", "trunk_query", "views"},
    )
    assert opened == {
        "vpr/encoders/${trunk.encoder}.py": {"pretrained"} | trunks | heads,
        "vpr/matchers/${rerank.method}.py": {"keypoints_db", "keypoints_query", "inliers"},
    }


@each_stage
def test_params_are_what_the_stage_reads(name: str) -> None:
    declared, _ = names(STAGES[name].get("params", []))
    assert declared == set(params_read({stage_file(STAGES[name])}))


@each_stage
def test_packages_are_what_the_stage_imports(name: str) -> None:
    _, declared = names(STAGES[name].get("params", []))
    imported = {
        module.split(".")[0] for file in files_of(STAGES[name]) for module in imports_of(file)
    }
    known = read_yaml(ROOT / "env.yaml")
    assert declared == {package for package in known if MODULES.get(package, package) in imported}


@each_stage
def test_paths_in_the_command_are_the_deps_and_outs(name: str) -> None:
    stage = STAGES[name]
    words = shlex.split(stage["cmd"])[3:]
    options = [word for word in words if word.startswith("--")]
    paths = {word for word in words if not word.startswith("--")}
    assert len(options) == len(paths)
    deps = set(stage["deps"]) - set(code_deps(stage))
    assert paths == deps | outs_of(stage)


@each_stage
def test_deps_are_tracked_by_git_or_made_by_a_stage(name: str) -> None:
    made = {out for stage in STAGES.values() for out in outs_of(stage)}
    listing = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    tracked = set(listing.stdout.split("\n"))
    for dep in STAGES[name]["deps"]:
        from_out = any(dep == out or dep.startswith(out + "/") for out in made)
        is_tracked = any(file == dep or file.startswith(dep + "/") for file in tracked)
        assert from_out or is_tracked or "${" in dep, dep


@pytest.mark.parametrize(
    ("name", "package"), [*((name, "torch") for name in TORCH_FREE), *UNUSED_WHEN_OFF]
)
def test_stages_do_not_import_what_they_do_not_compute_with(name: str, package: str) -> None:
    code = f"import sys, stages.{name}; sys.exit({package!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_params_file_fits_every_section_and_each_key_has_a_comment() -> None:
    assert check_params(SECTIONS, path=ROOT / "params.yaml") == []
    for line in (ROOT / "params.yaml").read_text().split("\n"):
        if line.startswith("  ") and ":" in line.split("#")[0]:
            assert "#" in line, f"no comment: {line}"


def test_every_section_belongs_to_dataclasses_of_stage_modules() -> None:
    for section, form in SECTIONS.items():
        assert dataclasses.is_dataclass(form)
        # Of no stage's own, and too long for the file of its stage.
        elsewhere = {"dataset": "vpr.datasets.params", "finetune": "vpr.training.params"}
        assert form.__module__ == elsewhere.get(section, f"stages.{section}")
        assert getattr(import_module(form.__module__), form.__name__) is form


def test_env_file_agrees_with_the_requirements() -> None:
    lines = [line.split(";")[0] for line in (ROOT / "requirements.txt").read_text().split("\n")]
    pinned = dict(line.strip().split("==") for line in lines if "==" in line)
    for package, version in read_yaml(ROOT / "env.yaml").items():
        for distribution in DISTRIBUTIONS.get(package, (package,)):
            assert pinned[distribution] == version


def test_files_stay_small_enough_to_read() -> None:
    for file in (ROOT / "stages").glob("*.py"):
        assert len(file.read_text().split("\n")) <= 100, file
