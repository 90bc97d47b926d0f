"""Photos are told from what systems lay beside them."""

from __future__ import annotations

from pathlib import PurePath

import pytest

from vpr.images.file_kinds import describe_left_out, is_junk


@pytest.mark.parametrize(
    "name",
    ["._photo.jpg", ".DS_Store", "Thumbs.db", "thumbs.DB", "desktop.ini", "@eaDir/photo.jpg",
     "a/@eaDir/photo.jpg/SYNOPHOTO_THUMB_M.jpg", "__MACOSX/a/photo.jpg", ".git/a.jpg",
     "$RECYCLE.BIN/a.jpg"],
)  # fmt: skip
def test_files_of_systems_are_none_of_a_person(name: str) -> None:
    assert is_junk(PurePath(name))


@pytest.mark.parametrize(
    "name", ["photo.jpg", "@1@2@.jpg", "a/b.c/photo.PNG", "eaDir/a.jpg", "사진"]
)
def test_files_of_a_person_are_kept(name: str) -> None:
    assert not is_junk(PurePath(name))


def test_what_is_left_out_is_counted_by_ending_and_one_of_each_is_named() -> None:
    words = describe_left_out(map(PurePath, ["b.HEIC", "a.heic", "x/notes.txt", "README"]))
    assert words == (
        "4 files: 2 .heic ('a.heic'), 1 without ending ('README'), 1 .txt ('notes.txt'); "
        "only JPEG, PNG, WebP, TIFF, BMP and PPM are read"
    )
