"""Photos in tar shards are the photos that they are as files."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vpr.images import shards
from vpr.images.image_files import (
    SUFFIXES,
    count_bytes,
    encoded_image,
    list_images,
    read_image,
    read_size,
)
from vpr.images.inspection import check_image, inspect_image
from vpr.images.known_photos import KnownPhotos
from vpr.images.known_shards import write_files
from vpr.images.numbered import NumberedImages
from vpr.images.shards import list_members, write_shards
from vpr.places.gathering import gather_images
from vpr.runtime.store import Store

KINDS = [
    ("JPEG", {"quality": 90}), ("PNG", {}), ("TIFF", {"compression": "tiff_lzw"}), ("TIFF", {}),
    ("WEBP", {}), ("BMP", {}), ("PPM", {}),
]  # fmt: skip


def photos() -> list[tuple[str, bytes]]:
    rng = np.random.default_rng(0)
    files = []
    for number, (kind, options) in enumerate(KINDS):
        pixels = rng.integers(0, 256, (40 + number, 50, 3), dtype=np.uint8)
        stream = io.BytesIO()
        exif = Image.Exif()
        exif[0x0112] = 6  # turned
        with_exif = {"exif": exif} if kind in ("JPEG", "PNG", "WEBP") else {}
        Image.fromarray(pixels).save(stream, kind, **options, **with_exif)  # type: ignore[arg-type]
        files.append((f"{number:06d}{SUFFIXES[kind]}", stream.getvalue()))
    return files


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """The same photos as files, and in several shards."""
    files, packed = tmp_path / "files", tmp_path / "packed"
    for folder in (files, packed):
        folder.mkdir()
    for name, content in photos():
        (files / name).write_bytes(content)
    monkeypatch.setattr(shards, "SHARD_BYTES", 12_000)
    write_shards(packed, photos())
    return files, packed


def test_a_photo_in_a_shard_is_read_as_the_file_is(folders: tuple[Path, Path]) -> None:
    files, packed = map(list_images, folders)
    assert len(files) == len(packed) == len(KINDS)
    for file, member in zip(files, packed, strict=True):
        assert encoded_image(member).content == file.read_bytes()  # type: ignore[union-attr]
        assert count_bytes(member) == count_bytes(file)
        assert inspect_image(member) == inspect_image(file)
        for scale_to in (None, 30, (20, 30)):
            assert read_size(member, scale_to=scale_to) == read_size(file, scale_to=scale_to)
            expected = read_image(file, scale_to=scale_to)
            np.testing.assert_array_equal(read_image(member, scale_to=scale_to), expected)


def test_shards_are_named_by_their_first_photo_and_plain_tar(folders: tuple[Path, Path]) -> None:
    files, packed = folders
    names = sorted(file.name for file in packed.iterdir())
    assert names[0] == "000000.tar" and 2 < len(names) < len(KINDS)
    unpacked = {}
    for name in names:
        with tarfile.open(packed / name) as archive:
            assert Path(archive.getnames()[0]).stem == Path(name).stem
            for member in archive:
                stream = archive.extractfile(member)
                assert stream is not None
                unpacked[member.name] = stream.read()
    assert unpacked == {file.name: file.read_bytes() for file in files.iterdir()}


def test_a_set_in_shards_is_gathered_into_shards_of_the_same_bytes(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    files, packed = folders
    names = [file.name for file in sorted(files.iterdir())]
    for source in folders:
        gather_images(source, names, tmp_path / source.name / "gathered", side="query")
    made = {path.name: path.read_bytes() for path in (packed / "gathered").iterdir()}
    assert made == {path.name: path.read_bytes() for path in packed.glob("*.tar")}
    assert sorted(path.name for path in (files / "gathered").iterdir()) == names


@pytest.mark.parametrize("first_is_packed", [True, False])
def test_the_first_image_of_a_mixed_side_decides_for_all(
    tmp_path: Path, first_is_packed: bool
) -> None:
    (name, content), (other_name, other_content) = photos()[:2]
    (tmp_path / name).write_bytes(content)
    write_shards(tmp_path, [(other_name, other_content)])
    names = [other_name, name] if first_is_packed else [name, other_name]
    gather_images(tmp_path, names, tmp_path / "out", side="query")
    found = [encoded_image(image).content for image in list_images(tmp_path / "out")]
    assert found == ([other_content, content] if first_is_packed else [content, other_content])
    count = len(list((tmp_path / "out").iterdir()))
    assert count == (1 if first_is_packed else 2)


def test_an_image_is_named_by_shard_and_member(tmp_path: Path) -> None:
    good, cut = photos()[0][1], photos()[0][1][:700]
    write_shards(tmp_path, [("000000.jpg", good), ("000001.jpg", cut), ("000002.jpg", good)])
    images = list_images(tmp_path)
    assert check_image(images[2]) == ".jpg"
    with pytest.raises(ValueError, match=r"000000\.tar/000001\.jpg: not a readable image"):
        read_image(images[1], scale_to=None)  # and it does not read on into the next
    with pytest.raises(ValueError, match=r"image 1: .*000000\.tar/000001\.jpg: not a readable"):
        gather_images(tmp_path, ["000000.jpg", "000001.jpg"], tmp_path / "out", side="query")


def test_an_image_by_its_number_is_found_in_its_shard_alone(folders: tuple[Path, Path]) -> None:
    for folder in folders:
        listed, numbered = list_images(folder), NumberedImages(folder)
        assert len(numbered) == len(listed)
        assert [numbered[number] for number in range(len(listed))] == listed
        with pytest.raises(IndexError):
            numbered[len(listed)]
    first, *_, last = sorted(folders[1].iterdir())
    first.write_bytes(b"damaged")
    numbered = NumberedImages(folders[1])
    assert numbered[len(KINDS) - 1].shard == last  # type: ignore[union-attr]
    with pytest.raises(ValueError, match=r"000000\.tar: not a tar file"):
        numbered[0]


def test_a_missing_shard_is_named_by_the_first_image_that_is_missing(
    folders: tuple[Path, Path],
) -> None:
    _, second, third, *_ = sorted(folders[1].iterdir())
    second.unlink()
    with pytest.raises(ValueError, match=f"expected an image {second.stem} .*{third.name}"):
        NumberedImages(folders[1])[0]


def test_a_gap_or_a_damaged_shard_is_named(tmp_path: Path) -> None:
    write_shards(tmp_path, [("000000.jpg", b"a"), ("000002.jpg", b"c")])
    with pytest.raises(ValueError, match=r"image 000001, found 000000\.tar/000002\.jpg"):
        list_images(tmp_path)
    shard = tmp_path / "000000.tar"
    shard.write_bytes(shard.read_bytes()[:600])
    with pytest.raises(ValueError, match=r"000000\.tar: not a tar file"):
        list_images(tmp_path)


@pytest.mark.parametrize("damage", ["end", "header cut", "header flipped", "header zeroed"])
def test_a_shard_that_ends_too_early_is_refused_with_the_byte(tmp_path: Path, damage: str) -> None:
    write_shards(tmp_path, [(f"{number:06d}.jpg", b"photo") for number in range(3)])
    shard = tmp_path / "000000.tar"
    whole, header = shard.read_bytes(), 2 * 1024  # of the third file: two of a header and a block
    assert len(list_images(tmp_path)) == 3
    shard.write_bytes({
        "end": whole[:header],
        "header cut": whole[: header + 100],
        "header flipped": whole[:header] + b"?" + whole[header + 1 :],
        "header zeroed": whole[:header] + bytes(512) + whole[header + 512 :],
    }[damage])  # fmt: skip
    with pytest.raises(ValueError, match=r"000000\.tar: cut off or damaged at byte 2,048"):
        list_images(tmp_path)


def test_a_file_stored_with_holes_is_refused_by_name(tmp_path: Path) -> None:
    entry = tarfile.TarInfo("a.jpg")
    entry.type = tarfile.GNUTYPE_SPARSE
    with tarfile.open(tmp_path / "0.tar", "w", format=tarfile.GNU_FORMAT) as archive:
        archive.addfile(entry)
    with pytest.raises(ValueError, match=r"0\.tar: a\.jpg is stored with holes"):
        list_members(tmp_path / "0.tar")


def test_a_member_ends_where_its_bytes_end(tmp_path: Path) -> None:
    write_shards(tmp_path, [("0.jpg", b"first"), ("1.jpg", b"second")])
    with list_members(tmp_path / "0.tar")[1].open() as stream:
        assert stream.read(3) == b"sec" and stream.read() == b"ond" and stream.read() == b""
        assert stream.seek(-2, io.SEEK_END) == 4 and stream.read() == b"nd"
        assert stream.seek(100) == 100 and stream.read() == b""
        with pytest.raises((ValueError, OSError)):
            stream.seek(-1)


def test_numbers_of_seven_digits_come_after_those_of_six(tmp_path: Path) -> None:
    for number in (999_999, 1_000_000):
        (tmp_path / f"{number}.jpg").touch()
    with pytest.raises(ValueError, match=r"expected an image 000000, found 999999\.jpg"):
        list_images(tmp_path)


def test_shards_that_the_store_shares_with_dvc_are_linked_and_one_more_file_costs_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "SHARD_BYTES", 4_000)
    files = [(f"{number:06d}.jpg", bytes([number]) * 1_000) for number in range(10)]
    more = [*files, ("000010.jpg", b"new")]
    made: dict[str, dict[str, tuple[bytes, int]]] = {}
    for name, photos, is_shared, code in (
        ("first", files, True, "1"), ("again", files, True, "1"), ("more", more, True, "1"),
        ("plain", more, False, "1"), ("unlike", [*files[1:], files[0]], True, "1"),
        ("new code", files, True, "2"),
    ):  # fmt: skip
        (tmp_path / name).mkdir()
        store = Store(tmp_path / "store", max_bytes=10**6, is_shared=is_shared)
        write_files(tmp_path / name, photos, in_shards=True, known=KnownPhotos(store, code))
        made[name] = {
            shard.name: (shard.read_bytes(), shard.stat().st_ino)
            for shard in (tmp_path / name).iterdir()
        }
    assert len(made["first"]) == 4 and made["again"] == made["first"]  # the same files of the disk
    kept = {shard for shard, file in made["more"].items() if made["first"].get(shard) == file}
    assert kept == {"000000.tar", "000003.tar", "000006.tar"}
    assert {s: data for s, (data, _) in made["more"].items()} == {
        s: data for s, (data, _) in made["plain"].items()
    }
    for other in ("unlike", "new code"):
        linked = {ino for _, ino in made[other].values()} & {
            ino for _, ino in made["first"].values()
        }
        assert linked == set(), other
    last = tmp_path / "unlike" / "000000.tar"
    assert [encoded_image(file).content for file in list_members(last)] == [files[0][1]]
