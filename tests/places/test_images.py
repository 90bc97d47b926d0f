"""Images are decoded as a person sees them, or refused by name."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vpr.places.gathering import gather_images
from vpr.places.images import check_image, list_images, read_image, read_size

RED = Image.new("RGB", (40, 20), (200, 30, 30))


def jpeg_bytes(image: Image.Image = RED) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def close(pixels: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool((np.abs(pixels.astype(int) - colour) <= 3).all())


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK", "P", "RGBA", "LA", "1"])
def test_every_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    suffix = "jpg" if mode in ("RGB", "L", "CMYK") else "png"
    RED.convert(mode).save(tmp_path / f"a.{suffix}")
    pixels = read_image(tmp_path / f"a.{suffix}", max_side_px=None)
    assert pixels.shape == (20, 40, 3)
    assert pixels.dtype == np.uint8


def test_sixteen_bits_are_scaled_not_clipped(tmp_path: Path) -> None:
    Image.fromarray(np.full((20, 40), 32896, dtype=np.uint16)).save(tmp_path / "a.png")
    assert close(read_image(tmp_path / "a.png", max_side_px=None), (128, 128, 128))


def test_exif_rotation_is_applied_to_pixels_and_size(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    RED.save(tmp_path / "a.jpg", exif=exif)
    assert read_image(tmp_path / "a.jpg", max_side_px=None).shape == (40, 20, 3)
    assert read_size(tmp_path / "a.jpg", max_side_px=None) == (40, 20)


@pytest.mark.parametrize(("limit", "size"), [(10, (5, 10)), (40, (20, 40)), (100, (20, 40))])
def test_images_are_scaled_down_never_up(tmp_path: Path, limit: int, size: tuple) -> None:
    RED.save(tmp_path / "a.png")
    pixels = read_image(tmp_path / "a.png", max_side_px=limit)
    assert pixels.shape[:2] == size == read_size(tmp_path / "a.png", max_side_px=limit)
    assert close(pixels, (200, 30, 30))


def animated() -> bytes:
    buffer = io.BytesIO()
    frames = [Image.new("RGB", (8, 8), (shade, 0, 0)) for shade in (0, 200)]
    frames[0].save(buffer, "WEBP", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


BAD = {
    "truncated": jpeg_bytes()[:-80],
    "empty": b"",
    "text": b"this is no image",
    "animated": animated(),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_still_image_is_refused_by_name(tmp_path: Path, kind: str) -> None:
    (tmp_path / "bad.jpg").write_bytes(BAD[kind])
    with pytest.raises(ValueError, match=r"bad\.jpg"):
        check_image(tmp_path / "bad.jpg")


def test_a_decompression_bomb_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    Image.new("1", (20_000, 20_000)).save(tmp_path / "bomb.png")
    with pytest.raises(ValueError, match=r"bomb\.png: too large"):
        check_image(tmp_path / "bomb.png")


def test_gathered_images_keep_their_bytes_and_are_named_by_index(tmp_path: Path) -> None:
    root = tmp_path / "set"
    names = ["b dir/두 번째.jpg", "a.png"]
    (root / "b dir").mkdir(parents=True)
    (root / names[0]).write_bytes(jpeg_bytes())
    RED.save(root / names[1])
    gather_images(root, names, tmp_path / "out", side="query")
    files = list_images(tmp_path / "out")
    assert [file.name for file in files] == ["000000.jpg", "000001.png"]
    assert files[0].read_bytes() == jpeg_bytes()


@pytest.mark.parametrize("name", ["/etc/passwd", "../out.jpg", "a/../../out.jpg", "link.jpg"])
def test_nothing_outside_the_set_is_opened(tmp_path: Path, name: str) -> None:
    root = tmp_path / "set"
    root.mkdir()
    (tmp_path / "out.jpg").write_bytes(jpeg_bytes())
    (root / "link.jpg").symlink_to(tmp_path / "out.jpg")
    with pytest.raises(ValueError, match=r"query image 0: .*data set's folder"):
        gather_images(root, [name], tmp_path / "gathered", side="query")


def test_a_missing_image_is_named_with_side_and_index(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg_bytes())
    with pytest.raises(ValueError, match=r"database image 1: 'b.jpg': there is no such file"):
        gather_images(tmp_path, ["a.jpg", "b.jpg"], tmp_path / "gathered", side="database")


def test_a_gap_in_the_numbers_is_found(tmp_path: Path) -> None:
    for number in (0, 2):
        (tmp_path / f"{number:06d}.jpg").touch()
    with pytest.raises(ValueError, match="expected an image 000001, found 000002"):
        list_images(tmp_path)
