"""Images are decoded as a person sees them, or refused by name."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vpr.images.image_files import list_images, read_image, read_size
from vpr.images.inspection import check_image
from vpr.places.gathering import gather_images

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
    pixels = read_image(tmp_path / f"a.{suffix}", scale_to=None)
    assert pixels.shape == (20, 40, 3)
    assert pixels.dtype == np.uint8


def test_a_palette_with_transparency_shows_its_colours(tmp_path: Path) -> None:
    with_palette = RED.convert("P", palette=Image.Palette.ADAPTIVE)
    with_palette.save(tmp_path / "a.png", transparency=b"\x80\x00")
    assert close(read_image(tmp_path / "a.png", scale_to=None), (200, 30, 30))


def test_sixteen_bits_are_scaled_not_clipped(tmp_path: Path) -> None:
    Image.fromarray(np.full((20, 40), 32896, dtype=np.uint16)).save(tmp_path / "a.png")
    assert close(read_image(tmp_path / "a.png", scale_to=None), (128, 128, 128))


def test_exif_rotation_is_applied_to_pixels_and_size(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    RED.save(tmp_path / "a.jpg", exif=exif)
    assert read_image(tmp_path / "a.jpg", scale_to=None).shape == (40, 20, 3)
    assert read_size(tmp_path / "a.jpg", scale_to=None) == (40, 20)


def exif_block(orientation: int, *, kind: int, count: int, value: bytes) -> bytes:
    """EXIF data of two entries: the orientation, and X resolution as a value of some kind."""
    start = struct.pack("<HHHIHH", 2, 0x0112, 3, 1, orientation, 0)
    resolution = struct.pack("<HHII", 0x011A, kind, count, 8 + 2 + 2 * 12 + 4)
    return b"Exif\0\0II*\0\x08\0\0\0" + start + resolution + bytes(4) + value


UNWRITABLE = {  # values that Pillow reads and cannot write again
    "signed rational": exif_block(6, kind=10, count=1, value=struct.pack("<ii", -1, 0)),
    "text": exif_block(6, kind=2, count=6, value=b"72dpi\0"),
}
QUARTERS = np.zeros((16, 32, 3), np.uint8)
QUARTERS[:8, :16] = 255  # white at the top left alone


@pytest.mark.parametrize("kind", UNWRITABLE)
def test_pixels_turn_by_the_orientation_whatever_else_the_exif_data_say(
    tmp_path: Path, kind: str
) -> None:
    file = tmp_path / "a.jpg"
    Image.fromarray(QUARTERS).save(file, exif=UNWRITABLE[kind], quality=95)
    assert check_image(file) == ".jpg"
    pixels = read_image(file, scale_to=None)
    assert pixels.shape[:2] == (32, 16) == read_size(file, scale_to=None)
    assert close(pixels[2:6, 10:14], (255, 255, 255))  # turned by a quarter to the right
    assert close(pixels[2:6, 2:6], (0, 0, 0))


def test_damaged_exif_data_turn_nothing(tmp_path: Path) -> None:
    Image.fromarray(QUARTERS).save(tmp_path / "a.jpg", exif=b"Exif\0\0no directory", quality=95)
    assert read_image(tmp_path / "a.jpg", scale_to=None).shape[:2] == (16, 32)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_format_is_turned_once(tmp_path: Path, orientation: int) -> None:
    turns = {  # by the EXIF standard: where row 0 and column 0 of the pixels lie
        1: QUARTERS, 2: QUARTERS[:, ::-1], 3: QUARTERS[::-1, ::-1], 4: QUARTERS[::-1],
        5: QUARTERS.swapaxes(0, 1), 6: np.rot90(QUARTERS, -1),
        7: QUARTERS[::-1, ::-1].swapaxes(0, 1), 8: np.rot90(QUARTERS),
    }  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = Image.fromarray(QUARTERS)
    picture.save(tmp_path / "a.tif", tiffinfo={0x0112: orientation})
    picture.save(tmp_path / "a.png", exif=exif)
    picture.save(tmp_path / "a.webp", exif=exif, lossless=True)
    for name in ("a.tif", "a.png", "a.webp"):
        pixels = read_image(tmp_path / name, scale_to=None)
        np.testing.assert_array_equal(pixels, turns[orientation], err_msg=name)
        assert read_size(tmp_path / name, scale_to=None) == pixels.shape[:2]
        check_image(tmp_path / name)


@pytest.mark.parametrize(
    ("kind", "levels"),
    [
        (np.float32, (0.0, 0.5, 1.0)), (np.float32, (0, 127.5, 255)),
        (np.float32, (0, 32_767.5, 65_535)), (np.int32, (0, 127.5, 255)),
        (np.int32, (0, 32_767.5, 65_535)), (np.uint16, (0, 32_767.5, 65_535)),
    ],
)  # fmt: skip
def test_deep_pictures_are_scaled_by_the_range_that_they_fill(
    tmp_path: Path, kind: type, levels: tuple[float, ...]
) -> None:
    rows = np.repeat(np.array([levels]), 4, axis=0).astype(kind)
    Image.fromarray(rows).save(tmp_path / "a.tif")
    pixels = read_image(tmp_path / "a.tif", scale_to=None)
    for column, level in enumerate((0, 127, 255)):
        assert close(pixels[:, column], (level, level, level))


def test_a_picture_that_says_what_is_white_may_be_dark(tmp_path: Path) -> None:
    (tmp_path / "a.pgm").write_bytes(b"P5 2 1 65535\n" + struct.pack(">HH", 0, 1028))
    assert read_image(tmp_path / "a.pgm", scale_to=None)[0, :, 0].tolist() == [0, 4]
    (tmp_path / "a.pfm").write_bytes(b"Pf\n2 1\n-1.0\n" + struct.pack("<2f", 0, 1))  # floats do not
    assert read_image(tmp_path / "a.pfm", scale_to=None)[0, :, 0].tolist() == [0, 255]
    (tmp_path / "b.pgm").write_bytes(b"P5 2 1 1023\n" + struct.pack(">HH", 0, 1023))
    assert read_image(tmp_path / "b.pgm", scale_to=None)[0, :, 0].tolist() == [0, 255]


@pytest.mark.parametrize(
    ("kind", "levels"),
    [(np.float32, (0, 3.5)), (np.float32, (-1, 1)), (np.float32, (0, np.nan)),
     (np.float32, (0, 1e9)), (np.int32, (0, 2**30)), (np.int32, (-5, 200)),
     (np.int32, (0, 1023))],
)  # fmt: skip
def test_a_picture_whose_white_cannot_be_told_is_refused_by_check_and_reading(
    tmp_path: Path, kind: type, levels: tuple[float, float]
) -> None:
    Image.fromarray(np.array([levels] * 2).astype(kind)).save(tmp_path / "a.tif")
    for act in (check_image, lambda file: read_image(file, scale_to=None)):
        with pytest.raises(ValueError, match=r"a\.tif: not a readable image as it is: its levels"):
            act(tmp_path / "a.tif")


@pytest.fixture(scope="module")
def large_photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photo of a telephone's 200 megapixels, upright by its EXIF data: red above, blue below."""
    exif = Image.Exif()
    exif[0x0112] = 6
    photo = Image.new("RGB", (16_320, 12_240), (200, 30, 30))
    photo.paste((30, 30, 200), (8_160, 0, 16_320, 12_240))
    photo.save(tmp_path_factory.mktemp("large") / "large.jpg", exif=exif)
    return tmp_path_factory.getbasetemp() / "large0/large.jpg"


def test_a_photo_of_200_megapixels_is_read_where_a_side_is_set(large_photo: Path) -> None:
    assert check_image(large_photo) == ".jpg"
    pixels = read_image(large_photo, scale_to=400)
    assert pixels.shape[:2] == (400, 300) == read_size(large_photo, scale_to=400)
    assert close(pixels[:190], (200, 30, 30))
    assert close(pixels[210:], (30, 30, 200))
    with pytest.raises(ValueError, match=r"16320 x 12240 pixels.* set trunk.max_side_px"):
        read_image(large_photo, scale_to=None)


def test_a_large_photo_is_checked_to_its_end(large_photo: Path, tmp_path: Path) -> None:
    content = large_photo.read_bytes()
    (tmp_path / "cut.jpg").write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"cut\.jpg: not a readable image \(damaged"):
        check_image(tmp_path / "cut.jpg")


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (b"\0\0\0\x18ftypheic", "it is a HEIC"), (b"\0\0\0\x1cftypavif", "it is an AVIF"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "it is a JPEG 2000"), (b"GIF89a", "it is a GIF"),
        (b"hello", "damaged, cut off, or not one of JPEG"),
    ],
)  # fmt: skip
def test_a_format_that_is_not_read_is_named_with_those_that_are(
    tmp_path: Path, start: bytes, words: str
) -> None:
    (tmp_path / "a.jpg").write_bytes(start + bytes(40))
    with pytest.raises(ValueError, match=r"JPEG, PNG, WebP, TIFF, BMP and PPM") as caught:
        check_image(tmp_path / "a.jpg")
    assert words in str(caught.value)


@pytest.mark.parametrize(("limit", "size"), [(10, (5, 10)), (40, (20, 40)), (100, (20, 40))])
def test_images_are_scaled_down_never_up(tmp_path: Path, limit: int, size: tuple) -> None:
    RED.save(tmp_path / "a.png")
    pixels = read_image(tmp_path / "a.png", scale_to=limit)
    assert pixels.shape[:2] == size == read_size(tmp_path / "a.png", scale_to=limit)
    assert close(pixels, (200, 30, 30))


def test_a_size_of_height_and_width_holds_for_every_image(tmp_path: Path) -> None:
    steps = np.repeat(np.arange(0, 256, 16, dtype=np.uint8), 4)  # 64 pixels wide
    Image.fromarray(np.tile(steps, (32, 1))).save(tmp_path / "a.png")
    for size in ((64, 32), (16, 128)):  # both squeezed and stretched
        pixels = read_image(tmp_path / "a.png", scale_to=size)
        assert pixels.shape[:2] == size == read_size(tmp_path / "a.png", scale_to=size)
        across = pixels[size[0] // 2, :, 0].astype(int)
        assert abs(across[0]) < 16 and abs(across[-1] - 240) < 16  # the whole photo, uncropped


def test_a_large_photo_gets_the_size_that_is_asked_for(large_photo: Path) -> None:
    assert read_image(large_photo, scale_to=(240, 320)).shape == (240, 320, 3)


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
