"""What dvc.yaml declares is what the code does."""

from __future__ import annotations

import ast
import dataclasses
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

import vpr.run_files
from tests.support.repositories import ROOT
from vpr.runtime.environment import DISTRIBUTIONS, MODULES
from vpr.runtime.parameters import read_yaml
from vpr.sections import SECTIONS, check_sections

TORCH_FREE = (
    "search", "evaluate", "submit", "prepare", "sample", "report", "keypoints", "utility",
    "inliers", "order", "whiten", "index", "foreign",
)  # fmt: skip
# What a stage uses of these changes no byte of an out: they are not declared.
UNDECLARED = ("vpr/console/", "vpr/cluster/")
UNUSED_WHEN_OFF = [
    ("whiten", "sklearn"),
    ("index", "faiss"),
    ("utility", "scipy"),
    ("evaluate", "sklearn"),
]


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
            if target and target not in seen and not changes_no_byte(target):
                seen.add(target)
                waiting.append(target)
    return seen


def changes_no_byte(file: Path) -> bool:
    return file.relative_to(ROOT).as_posix().startswith(UNDECLARED)


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


def of_each_side(paths: set[str]) -> set[str]:
    return {path.replace("${item.side}", side) for path in paths for side in ("database", "query")}


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
        if (name, dep) == ("pretrained", "vpr/aggregators"):
            continue  # a drawer that it opens whole: the weights say which aggregator they bring
        assert any(lies_under(file, dep) for file in files), f"{name} does not use {dep}"


# Stages that take long: no edit of a file that they do not use runs them again, but of these.
ROOMS = {
    "trunk": {"runtime", "images", "features"},
    "finetune": {"runtime", "places", "features", "network", "training"},
    "extract_db": {"runtime", "images", "features", "network"},
    "extract_query": {"runtime", "images", "features", "network"},
}  # fmt: skip


@pytest.mark.parametrize("name", ROOMS)
def test_a_stage_that_takes_long_depends_on_few_packages(name: str) -> None:
    folders = {dep for dep in code_deps(STAGES[name]) if (ROOT / dep).is_dir()}
    assert folders == {f"vpr/{room}" for room in ROOMS[name]}


def test_stages_that_open_a_drawer_depend_on_the_file_of_the_parameter() -> None:
    templates = (
        "vpr/encoders/${trunk.encoder}.py", "vpr/matchers/${rerank.method}.py",
        "vpr/aggregators/${finetune.aggregator}.py",
    )  # fmt: skip
    opened = {dep: {n for n, s in STAGES.items() if dep in s["deps"]} for dep in templates}
    networks = {
        "pretrained",
        "trunk",
        "finetune",
        "extract_db",
        "extract_query",
        "utility",
        "foreign",
    }
    assert opened == {
        "vpr/encoders/${trunk.encoder}.py": networks,
        "vpr/matchers/${rerank.method}.py": {"keypoints", "inliers", "foreign"},
        "vpr/aggregators/${finetune.aggregator}.py": networks - {"pretrained", "trunk"},
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
    # The value of a parameter is read from params.yaml: in a command it would be shell text.
    named = {dep for dep in deps if not re.search(r"\$\{(?!item\.)", dep)}
    assert paths == named | outs_of(stage)
    assert not re.search(r"\$\{(?!item\.)", stage["cmd"])


@each_stage
def test_deps_are_tracked_by_git_or_made_by_a_stage(name: str) -> None:
    made = of_each_side({out for stage in STAGES.values() for out in outs_of(stage)})
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
    assert check_sections(ROOT / "params.yaml") == []
    for line in (ROOT / "params.yaml").read_text().split("\n"):
        if line.startswith("  ") and ":" in line.split("#")[0]:
            assert "#" in line, f"no comment: {line}"


def test_the_parameters_of_a_section_are_in_a_package_of_the_library() -> None:
    for form in SECTIONS.values():
        assert dataclasses.is_dataclass(form)
        assert re.fullmatch(r"vpr(\.\w+)+\.params", form.__module__)


def test_the_paths_that_commands_read_are_those_of_dvc_yaml() -> None:
    every = {dep for stage in STAGES.values() for dep in stage["deps"]}
    every |= {out for stage in STAGES.values() for out in outs_of(stage)}
    sides = of_each_side(every)
    known = sides | {str(Path(path).parent) for path in sides} | {"dvc.lock"}
    for name, path in vars(vpr.run_files).items():
        if isinstance(path, Path):
            assert path.as_posix() in known or path.parent.as_posix() in sides, name


def test_env_file_agrees_with_the_requirements() -> None:
    lines = [line.split(";")[0] for line in (ROOT / "requirements.txt").read_text().split("\n")]
    pinned = dict(line.strip().split("==") for line in lines if "==" in line)
    for package, version in read_yaml(ROOT / "env.yaml").items():
        for distribution in DISTRIBUTIONS.get(package, (package,)):
            assert pinned[distribution] == version


def test_the_graph_stays_small_enough_to_read() -> None:
    assert len((ROOT / "dvc.yaml").read_text().split("\n")) <= 400
