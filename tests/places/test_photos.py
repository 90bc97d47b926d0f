"""An image is found by its name as a person reads it, and only in the data set's folder."""

from __future__ import annotations

from pathlib import Path
from unicodedata import normalize

import pytest

from vpr.places.photos import find_image

NAME = "서울 거리/Café äöü 하나.jpg"


@pytest.mark.parametrize("on_disk", ["NFC", "NFD"])
@pytest.mark.parametrize("in_table", ["NFC", "NFD"])
def test_both_unicode_forms_of_a_name_are_one(tmp_path: Path, on_disk: str, in_table: str) -> None:
    file = tmp_path / normalize(on_disk, NAME)  # type: ignore[arg-type]
    file.parent.mkdir()
    file.touch()
    assert find_image(tmp_path, normalize(in_table, NAME)).samefile(file)  # type: ignore[arg-type]


def test_a_file_that_comes_later_is_found(tmp_path: Path) -> None:
    decomposed = normalize("NFD", "길.jpg")
    with pytest.raises(FileNotFoundError, match=r"'길\.jpg': there is no such file"):
        find_image(tmp_path, "길.jpg")
    (tmp_path / decomposed).touch()
    assert find_image(tmp_path, "길.jpg").name == decomposed


def test_backslashes_are_slashes(tmp_path: Path) -> None:
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b/c.jpg").touch()
    assert find_image(tmp_path, "a b\\c.jpg").samefile(tmp_path / "a b/c.jpg")


@pytest.mark.parametrize(
    "name", ["..\\out.jpg", "a\\..\\..\\out.jpg", "\\out.jpg", "..\\set/b.jpg"]
)
def test_backslashes_lead_nowhere_else(tmp_path: Path, name: str) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "out.jpg").touch()
    with pytest.raises(ValueError, match="expected a path below the data set's folder"):
        find_image(tmp_path / "set", name)


def test_a_decomposed_name_of_a_link_that_leads_out_is_refused(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "out.jpg").touch()
    (tmp_path / "set" / normalize("NFD", "길.jpg")).symlink_to(tmp_path / "out.jpg")
    with pytest.raises(ValueError, match="a link leads out"):
        find_image(tmp_path / "set", normalize("NFC", "길.jpg"))
