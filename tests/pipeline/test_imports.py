"""The packages of the library import each other as the table in vpr/__init__.py says."""

from __future__ import annotations

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

import vpr
from tests.support.repositories import ROOT

DRAWERS = ("encoders", "matchers", "aggregators")
ROW = re.compile(r"^(\w+) {2,}(.+?) {2,}([\w -]+)$", re.MULTILINE)


def read_table() -> dict[str, set[str]]:
    rows = ROW.findall(re.sub(r"\n {40,}", " ", str(vpr.__doc__)))
    assert rows[0][0] == "package"
    return {name: set(imports.split()) - {"-"} for name, _, imports in rows[1:]}


TABLE = read_table()


def imports_of(file: Path) -> set[str]:
    modules = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom):
            modules.add(str(node.module))
        elif isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
    return modules


def real_imports(package: str) -> set[str]:
    """Packages of the library, and `stages`, that modules of a package import."""
    found = set()
    for file in (ROOT / "vpr" / package).rglob("*.py"):
        for module in imports_of(file):
            root, _, rest = module.partition(".")
            if root == "vpr":
                found.add(rest.partition(".")[0])
            elif root == "stages":
                found.add("stages")
    return found - {package, "run_files", "sections"}


def test_each_package_has_a_line_and_imports_just_what_it_says() -> None:
    assert set(TABLE) == {path.parent.name for path in ROOT.glob("vpr/*/__init__.py")}
    for package, allowed in TABLE.items():
        if package != "commands":
            assert real_imports(package) == allowed, package


def test_nothing_imports_commands_or_goes_in_a_circle() -> None:
    graph = {name: allowed for name, allowed in TABLE.items() if name != "commands"}
    assert list(TopologicalSorter(graph).static_order())  # raises at a circle
    assert not any("commands" in allowed for allowed in graph.values())
    for file in ROOT.glob("stages/*.py"):
        assert not [m for m in imports_of(file) if m.startswith("vpr.commands")], file


def test_the_library_imports_no_stage() -> None:
    for file in ROOT.glob("vpr/**/*.py"):
        assert not [m for m in imports_of(file) if m.split(".")[0] == "stages"], file


def test_the_files_of_a_drawer_are_imported_by_none() -> None:
    inside = re.compile(rf"vpr\.({'|'.join(DRAWERS)})(?!\.base\b)\b")
    for package in TABLE:
        if package not in DRAWERS:
            for file in (ROOT / "vpr" / package).rglob("*.py"):
                assert not [m for m in imports_of(file) if inside.match(m)], file


def test_packages_hold_only_a_docstring() -> None:
    for file in (*ROOT.glob("vpr/*/**/__init__.py"), ROOT / "stages/__init__.py"):
        body = ast.parse(file.read_text()).body
        assert len(body) == 1 and isinstance(body[0], ast.Expr), file
