"""The packages of the library import each other as the table in vpr/__init__.py says."""

from __future__ import annotations

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

import vpr
from tests.support.repositories import ROOT

DRAWERS = ("encoders", "matchers")
MOST_MODULES = 14  # of a package
ROW = re.compile(r"^(\w+) {2,}(.+?) {2,}([\w -]+)$", re.MULTILINE)


def read_table() -> dict[str, set[str]]:
    rows = ROW.findall(str(vpr.__doc__))
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
            if root in ("vpr", "stages"):
                found.add(rest.partition(".")[0] if root == "vpr" else "stages")
    return found - {package}


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


def test_a_drawer_is_imported_by_none() -> None:
    for package in TABLE:
        assert not real_imports(package) & set(DRAWERS), package


def test_a_package_is_neither_a_corridor_nor_a_cupboard() -> None:
    for init in ROOT.glob("vpr/*/**/__init__.py"):
        modules = [file for file in init.parent.glob("*.py") if file != init]
        assert len(modules) <= MOST_MODULES, init.parent
        if init.parent.name not in DRAWERS:
            assert len(modules) > 1, init.parent


def test_packages_hold_only_a_docstring() -> None:
    for file in ROOT.glob("[vs]*/**/__init__.py"):
        body = ast.parse(file.read_text()).body
        assert len(body) == 1 and isinstance(body[0], ast.Expr), file
