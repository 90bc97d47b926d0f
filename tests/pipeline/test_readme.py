"""README.md and README.ko.md say the same, and name only what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.repositories import ROOT
from vpr.__main__ import COMMANDS

PAGES = ("README.md", "README.ko.md")


def lines_of(page: str) -> list[tuple[bool, str]]:
    """Each line of a page, and whether it stands in a code block, fenced or indented."""
    lines, fenced, before = [], False, ""
    for line in (ROOT / page).read_text(encoding="utf-8").splitlines():
        if line.strip().startswith("```"):
            fenced = not fenced
            continue
        code = fenced or (line.startswith("    ") and (before == "" or before.startswith("    ")))
        lines.append((code, line))
        before = line
    return lines


def headings(page: str) -> list[str]:
    return [
        re.match("#+", line)[0] for code, line in lines_of(page) if not code and line[:1] == "#"
    ]


def commands(page: str) -> list[str]:
    """Lines of code without their comments, which are translated."""
    bare = [re.sub(r"\s+# .*", "", line).strip() for code, line in lines_of(page) if code]
    return [line for line in bare if line and not line.startswith("#")]


def links(page: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return [link for link in re.findall(r"\]\(([^)#\s]+)", text) if "://" not in link]


def test_both_languages_have_the_same_headings_commands_and_links() -> None:
    english, korean = PAGES
    assert headings(korean) == headings(english)
    assert commands(korean) == commands(english)
    assert [link for link in links(korean) if link not in PAGES] == [
        link for link in links(english) if link not in PAGES
    ]


@pytest.mark.parametrize("page", [*PAGES, *(str(path.relative_to(ROOT)) for path in
                                            sorted((ROOT / "docs").glob("*.md")))])  # fmt: skip
def test_a_page_names_only_targets_commands_and_files_that_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {line.split()[1] for line in commands(page) if re.match(r"make [a-z]", line)}
    assert named <= targets
    assert set(re.findall(r"python -m vpr ([a-z]+)", text)) <= set(COMMANDS)
    modules = re.findall(r"python -m (bench\.[a-z0-9_.]+[a-z0-9_]|stages\.[a-z_]+)", text)
    assert [name for name in modules if not (ROOT / f"{name.replace('.', '/')}.py").exists()] == []
    folder = Path(page).parent
    assert [link for link in links(page) if not (ROOT / folder / link).exists()] == []
