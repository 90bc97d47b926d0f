"""Images in tar shards are found by their names, as if they lay beside the shard."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from unicodedata import normalize

import pytest

from vpr.images.image_files import encoded_image
from vpr.images.shards import Member
from vpr.places.photos import find_photo


def pack(shard: Path, members: dict[str, bytes], mode: str = "w") -> None:
    shard.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(shard, mode) as archive:  # type: ignore[call-overload]
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def test_a_member_is_named_as_if_it_lay_beside_its_shard(tmp_path: Path) -> None:
    pack(tmp_path / "all-000.tar", {"database/1.jpg": b"one", "1.json": b"{}"})
    pack(tmp_path / "all-001.tar", {"./database/2.jpg": b"two"})
    pack(tmp_path / "queries/000.tar", {normalize("NFD", "서울/길.jpg"): b"three"})
    for name, content in (
        ("database/1.jpg", b"one"), ("database\\2.jpg", b"two"), ("queries/서울/길.jpg", b"three")
    ):  # fmt: skip
        found = find_photo(tmp_path, name)
        assert isinstance(found, Member) and encoded_image(found).content == content
    for name in ("database/3.jpg", "서울/길.jpg", "all-000.tar/1.json"):
        with pytest.raises(FileNotFoundError, match=r"no such file in .*, nor in its 3 tar shards"):
            find_photo(tmp_path, name)
    with pytest.raises(ValueError, match="expected a path below"):
        find_photo(tmp_path, "../1.jpg")


def test_a_file_comes_before_a_member_and_a_changed_shard_is_read_again(tmp_path: Path) -> None:
    pack(tmp_path / "0.tar", {"a.jpg": b"packed"})
    assert encoded_image(find_photo(tmp_path, "a.jpg")).content == b"packed"
    pack(tmp_path / "0.tar", {"a.jpg": b"packed anew", "b.jpg": b"more"})
    found = encoded_image(find_photo(tmp_path, "a.jpg"))
    assert found == (tmp_path / "0.tar/a.jpg", b"packed anew")
    (tmp_path / "a.jpg").write_bytes(b"a file")
    assert find_photo(tmp_path, "a.jpg") == (tmp_path / "a.jpg").resolve()


def test_shards_that_disagree_or_cannot_be_read_are_named(tmp_path: Path) -> None:
    pack(tmp_path / "0.tar", {"a.jpg": b"1"})
    pack(tmp_path / "1.tar", {"./a.jpg": b"2"})
    with pytest.raises(ValueError, match=r"'a\.jpg' lies in .*0\.tar and in .*1\.tar"):
        find_photo(tmp_path, "a.jpg")
    with tarfile.open(tmp_path / "1.tar", "w") as archive:
        for _ in range(2):
            archive.addfile(tarfile.TarInfo("b.jpg"))
    with pytest.raises(ValueError, match=r"'b\.jpg' lies twice in .*1\.tar"):
        find_photo(tmp_path, "a.jpg")
    for content in (b"hello" * 200, (tmp_path / "0.tar").read_bytes()[:300]):
        (tmp_path / "1.tar").write_bytes(content)
        with pytest.raises(ValueError, match=r"1\.tar: not a tar file, or a compressed one"):
            find_photo(tmp_path, "a.jpg")
    pack(tmp_path / "1.tar", {"b.jpg": b"2"}, "w:gz")
    with pytest.raises(ValueError, match=r"1\.tar: not a tar file, or a compressed one"):
        find_photo(tmp_path, "a.jpg")


def test_a_photo_that_a_shard_hides_is_not_found_and_the_true_reason_is_told(
    tmp_path: Path,
) -> None:
    pack(tmp_path / "0.tar", {"/home/me/set/a.jpg": b"1", "b.jpg": b"2"})  # tar -P
    with pytest.raises(FileNotFoundError) as caught:
        find_photo(tmp_path, "a.jpg")
    assert "0.tar has 1 files with absolute paths ('/home/me/set/a.jpg'): pack without" in str(
        caught.value
    )
    assert "link" not in str(caught.value)
    assert encoded_image(find_photo(tmp_path, "b.jpg")).content == b"2"
    for name in ("/home/me/set/a.jpg", "c/../b.jpg"):  # also once the shard is known
        with pytest.raises(ValueError, match="expected a path below the data set's folder"):
            find_photo(tmp_path, name)
    with tarfile.open(tmp_path / "0.tar", "a") as archive:
        entry = tarfile.TarInfo("c.jpg")
        entry.type, entry.linkname = tarfile.LNKTYPE, "b.jpg"
        archive.addfile(entry)
    with pytest.raises(FileNotFoundError, match=r"1 links, which do not count \('c.jpg'\)"):
        find_photo(tmp_path, "c.jpg")


@pytest.mark.parametrize("name", ["0.tar.gz", "0.TGZ", "a/0.zip", "0.tar.zst"])
def test_a_compressed_archive_is_told_where_a_photo_is_missing(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    pack(tmp_path / name, {"a.jpg": b"1"}, "w:gz")
    with pytest.raises(FileNotFoundError) as caught:
        find_photo(tmp_path, "a.jpg")
    assert f"1 archives are compressed and not read ({Path(name).name!r})" in str(caught.value)
    assert "shards" not in str(caught.value)


def test_a_shard_in_large_letters_is_one(tmp_path: Path) -> None:
    pack(tmp_path / "0.TAR", {"a.jpg": b"1"})
    assert encoded_image(find_photo(tmp_path, "./a.jpg")).content == b"1"


def test_two_archives_in_one_file_are_refused_with_the_byte(tmp_path: Path) -> None:
    for name in ("a", "b"):
        pack(tmp_path / f"{name}.tar", {f"{name}.jpg": name.encode()})
    both = (tmp_path / "a.tar").read_bytes() + (tmp_path / "b.tar").read_bytes()
    (tmp_path / "a.tar").write_bytes(both)
    (tmp_path / "b.tar").unlink()
    with pytest.raises(
        ValueError, match=r"a\.tar: the archive ends at byte 1,024, and more follows"
    ):
        find_photo(tmp_path, "b.jpg")
