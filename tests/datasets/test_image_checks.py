"""What changes recall without a model is found in the photos: copies, and levels too few to see."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from vpr.datasets.findings import Finding, Level
from vpr.datasets.image_checks import check_images
from vpr.places.gathering import survey_images

RNG = np.random.default_rng(0)
SCENES = [RNG.uniform(0, 1, (6, 8)) for _ in range(4)]  # a few large blocks of grey each


def scene(number: int, low: float = 0, high: float = 255) -> NDArray[np.float64]:
    """A made-up photo of 160 x 120 pixels whose levels lie between two bounds."""
    return low + (high - low) * np.kron(SCENES[number], np.ones((20, 20)))


def save(file: Path, levels: NDArray[np.float64], kind: type = np.uint8, **options: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(levels.round().astype(kind)).save(file, **options)


def checked(root: Path) -> dict[str, Finding]:
    """What the checks find in the photos of two folders."""
    facts = [
        fact
        for side in ("database", "query")
        for fact in survey_images(
            root, sorted(f"{side}/{file.name}" for file in (root / side).iterdir()), side=side
        )
    ]
    assert all(fact.problem is None for fact in facts)
    return {found.key: found for found in check_images(facts)}


def test_different_photos_of_8_bits_are_fine(tmp_path: Path) -> None:
    for number, side in enumerate(("database", "database", "query", "query")):
        save(tmp_path / side / f"{number}.png", scene(number))
    assert {found.level for found in checked(tmp_path).values()} == {Level.FINE}


def test_queries_with_the_bytes_of_a_database_photo_are_counted(tmp_path: Path) -> None:
    for number in range(3):
        save(tmp_path / f"database/{number}.png", scene(number))
    save(tmp_path / "query/a.png", scene(1))
    save(tmp_path / "query/b.png", scene(1))
    save(tmp_path / "query/c.png", scene(3))
    found = checked(tmp_path)["copies"]
    assert found.level is Level.LOUD and found.numbers == {
        "photos": 1, "queries": 2, "query_rows": [0, 1]
    }  # fmt: skip
    assert "database image 1 ('database/1.png') = query image 0 ('query/a.png')" in found.words
    assert "2 queries are copies of database photos, which inflates recall by up to 0.67" in (
        found.words
    )
    assert checked(tmp_path)["near_copies"].level is Level.FINE  # counted once


def test_copies_on_one_side_are_a_note(tmp_path: Path) -> None:
    save(tmp_path / "database/0.png", scene(0))
    save(tmp_path / "database/1.png", scene(0))
    save(tmp_path / "query/0.png", scene(1))
    found = checked(tmp_path)["copies"]
    assert found.level is Level.NOTE and found.numbers == {"photos": 1, "queries": 0}
    assert "; 1 within the database side" in found.words


def test_a_camera_that_stands_still_is_noted(tmp_path: Path) -> None:
    for number in range(4):
        save(tmp_path / f"database/{number}.png", scene(number % 2))
    for number in range(4):
        save(tmp_path / f"query/{number}.png", scene(2, 9, 200) + 4 * (number > 1))
    found = checked(tmp_path)["standstill"]
    assert found.level is Level.NOTE and found.numbers == {
        "photos": 2
    }  # three steps, and the light changes in one
    assert "query image 1" in found.words


@pytest.mark.parametrize("change", ["jpeg", "smaller", "colour", "turned back by EXIF"])
def test_a_copy_that_was_written_anew_is_found_by_its_looks(tmp_path: Path, change: str) -> None:
    for number in range(3):
        save(tmp_path / f"database/{number}.png", scene(number))
    photo = Image.fromarray(scene(2).round().astype(np.uint8))
    (tmp_path / "query").mkdir()
    if change == "jpeg":
        photo.save(tmp_path / "query/a.jpg", quality=40)
    elif change == "smaller":
        photo.resize((64, 48), Image.Resampling.LANCZOS).save(tmp_path / "query/a.png")
    elif change == "colour":
        photo.convert("RGB").save(tmp_path / "query/a.webp", lossless=True)
    else:
        exif = Image.Exif()
        exif[0x0112] = 6
        photo.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "query/a.png", exif=exif)
    found = checked(tmp_path)
    assert found["copies"].level is Level.FINE
    assert found["near_copies"].level is Level.LOUD
    assert "query image 0" in found["near_copies"].words
    assert "database image 2 ('database/2.png')" in found["near_copies"].words


def test_another_exposure_and_photos_of_one_grey_are_no_copies(tmp_path: Path) -> None:
    save(tmp_path / "database/0.png", scene(0, 0, 240))
    save(tmp_path / "database/1.png", np.full((120, 160), 100.0))
    save(tmp_path / "query/0.png", scene(0, 15, 255))
    save(tmp_path / "query/1.png", np.full((120, 162), 100.0))
    found = checked(tmp_path)
    assert found["near_copies"].level is Level.FINE
    assert found["plain_photos"].numbers == {"photos": 2}


def test_real_photos_of_the_same_places_are_no_copies(real_data: Path) -> None:
    folder = real_data / "webcams_dev/day"  # fixed cameras: as alike as two photos can be
    names = {
        side: sorted(f"images/{file.name}" for file in (folder / "images").glob(f"{side}_*"))
        for side in ("database", "query")
    }
    facts = [fact for side in names for fact in survey_images(folder, names[side], side=side)]
    found = {one.key: one for one in check_images(facts)}
    assert found["near_copies"].level is Level.FINE
    assert found["copies"].numbers == {"photos": 2, "queries": 0}


def write_pgm(file: Path, levels: NDArray[np.float64], white: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    head = f"P5 {levels.shape[1]} {levels.shape[0]} {white}\n".encode()
    file.write_bytes(head + levels.round().astype(">u2").tobytes())


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
@pytest.mark.parametrize(
    ("low", "high", "share", "seen"), [(7000, 9000, 2000 / 65535, 8), (0, 16383, 0.25, 64)]
)
def test_few_levels_in_a_file_of_16_bits_are_said_with_their_numbers(
    tmp_path: Path, suffix: str, low: int, high: int, share: float, seen: int
) -> None:
    for side in ("database", "query"):
        for number in range(2):
            levels = scene(number, low, high)
            levels[:2, :2] = 0  # dead pixels hide nothing
            levels[-2:, -2:] = 65_535
            levels[10:14] = low  # the darkest and the brightest part of the scene
            levels[20:24] = high
            if suffix == "pgm":
                write_pgm(tmp_path / f"{side}/{number}.pgm", levels, 65_535)
            else:
                save(tmp_path / f"{side}/{number}.{suffix}", levels, np.uint16)
    found = checked(tmp_path)["deep_photos"]
    assert found.level is Level.LOUD
    assert found.numbers["photos"] == 4
    assert found.numbers["lowest_level"] == low and found.numbers["highest_level"] == high
    assert found.numbers["share_of_range"] == pytest.approx(share, abs=1e-3)
    assert f"levels {low:,} to {high:,} of 0 to 65,535" in found.words
    assert f"the network sees {seen} of 256 grey levels" in found.words
    assert f"(level - {low}) * 255 / {high - low}" in found.words


def test_a_full_range_of_16_bits_and_a_stated_maximum_are_fine(tmp_path: Path) -> None:
    save(tmp_path / "database/0.png", scene(0, 0, 65_535), np.uint16)
    write_pgm(tmp_path / "query/0.pgm", scene(1, 0, 1023), 1023)
    assert {found.level for found in checked(tmp_path).values()} == {Level.FINE}


def test_colours_of_16_bits_are_looked_at_too(tmp_path: Path) -> None:
    # Pillow keeps the upper 8 bits of each colour.
    for number, side in enumerate(("database", "query")):
        levels = np.repeat(scene(number, 0, 4095)[..., None], 3, axis=2).astype(">u2")
        (tmp_path / side).mkdir()
        (tmp_path / side / "0.ppm").write_bytes(b"P6 160 120 65535\n" + levels.tobytes())
    found = checked(tmp_path)
    assert found["deep_photos"].numbers["share_of_range"] == pytest.approx(1 / 16, abs=0.01)
    assert found["dark_photos"].numbers == {"photos": 2}


def test_floats_that_are_scaled_differently_within_a_set_are_said(tmp_path: Path) -> None:
    save(tmp_path / "database/0.tif", scene(0, 0, 1) * 200, np.float32)
    save(tmp_path / "query/0.tif", scene(1, 0, 1) * 5000, np.float32)
    found = checked(tmp_path)["white_levels"]
    assert found.level is Level.LOUD
    assert "255 in 1, 65,535 in 1" in found.words


def test_thermal_photos_that_were_cut_to_8_bits_are_noted(tmp_path: Path) -> None:
    save(tmp_path / "database/0.png", scene(0, 27, 35))
    save(tmp_path / "query/0.png", scene(1, 27, 35))
    found = checked(tmp_path)["plain_photos"]
    assert found.level is Level.NOTE and "2 of 2" in found.words


def test_a_tiff_of_12_bits_states_its_white(tmp_path: Path) -> None:
    levels = "".join(f"{level:012b}" for level in (0, 2048, 4095, 1024))
    data = int(levels, 2).to_bytes(6, "big")
    tags = [(256, 4), (257, 1), (258, 12), (259, 1), (262, 1), (273, 134), (277, 1), (278, 1),
            (279, len(data))]  # fmt: skip
    head = b"II*\0" + struct.pack("<IH", 8, len(tags))
    entries = b"".join(struct.pack("<HHII", tag, 4 if tag in (273, 279) else 3, 1, value)
                       for tag, value in tags)  # fmt: skip
    content = head + entries + bytes(4)
    (tmp_path / "a.tif").write_bytes(content.ljust(134, b"\0") + data)
    (facts,) = survey_images(tmp_path, ["a.tif"], side="query")
    assert facts.seen is not None and facts.seen.white == 4095 and facts.seen.brightest == 255
