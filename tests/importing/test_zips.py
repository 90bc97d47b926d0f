"""Sources in a .zip: read as the folder would be, and hostile ones refused in one sentence."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

import pytest

from tests.importing.test_photos import make_photo
from vpr.commands.import_photos import import_
from vpr.importing.bundles import unpacked
from vpr.importing.collection import Asked
from vpr.importing.drawer import find_form


def pack(path: Path, members: dict[str, bytes], *, attributes: int = 0) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            entry = zipfile.ZipInfo(name)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, attributes << 16
            archive.writestr(entry, content)
    return path


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_zip_is_imported_as_its_folder_is_and_recognised_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = make_photo(Path("a.jpg")).read_bytes()
    members = {f"Takeout/street/{name}.jpg": photo for name in range(10)}
    pack(Path("street.zip"), members | {"__MACOSX/._0.jpg": b"", "Takeout/desktop.ini": b""})
    before = Path("street.zip").read_bytes()
    for words in ("data/set: written", "data/set: up to date"):
        import_(Path("data/set"), [Path("street.zip")])
        printed = capsys.readouterr().out
        assert "street.zip: a folder of photos, 10 photos" in printed and words in printed
    assert len(list(Path("data/set/photos/street").iterdir())) == 10
    assert Path("data/set/photos/street/3.jpg").read_bytes() == photo
    assert Path("street.zip").read_bytes() == before
    assert not list(Path(".scratch").glob("unpacked*"))


def test_a_film_or_table_in_a_zip_is_found_below_its_folders(tmp_path: Path) -> None:
    pack(Path("drive.zip"), {"a/b/drive.csv": b"path,lat,lon\nx.jpg,1,2\n"})
    with unpacked(Path("drive.zip")) as source:
        assert source.name == "drive.csv"
        with pytest.raises(ValueError, match="none of its 1 photos"):
            find_form(source, None).read(source, Asked())


def test_names_that_are_one_on_this_disk_are_two_files(tmp_path: Path) -> None:
    pack(Path("names.zip"), {"a\rb.jpg": b"1", "a_b.jpg": b"2"})
    with unpacked(Path("names.zip")) as source:
        found = {path.name: path.read_bytes() for path in source.iterdir()}
    assert found == {"a_b.jpg": b"1", "a_b-2.jpg": b"2"}


@pytest.mark.parametrize("name", ["../out.jpg", "a/../../out.jpg", "/out.jpg", "..\\out.jpg"])
def test_a_path_that_leads_out_is_refused(name: str, tmp_path: Path) -> None:
    pack(Path("bad.zip"), {"good.jpg": b"a", name: b"b"})
    refuse("bad.zip: .* leads out of the zip: nothing is unpacked", tmp_path)


def test_a_link_is_refused(tmp_path: Path) -> None:
    pack(Path("bad.zip"), {"photo.jpg": b"/etc/passwd"}, attributes=stat.S_IFLNK | 0o777)
    refuse(r"bad\.zip: 'photo\.jpg' is a link: nothing is unpacked", tmp_path)


def test_a_zip_that_grows_as_no_photos_do_is_refused(tmp_path: Path) -> None:
    pack(Path("bad.zip"), {"photo.jpg": bytes(10**8)})
    refuse(r"would unpack to 100,000,000 bytes from [\d,]+, more than photos can", tmp_path)


def test_a_size_that_lies_stops_the_unpacking(tmp_path: Path) -> None:
    pack(Path("bad.zip"), {"photo.jpg": bytes(10**6)})
    content = Path("bad.zip").read_bytes()
    size = (10**6).to_bytes(4, "little")
    Path("bad.zip").write_bytes(content.replace(size, (10**3).to_bytes(4, "little")))
    refuse(r"bad\.zip: 'photo\.jpg' cannot be unpacked", tmp_path)


@pytest.mark.parametrize("damage", ["cut", "text", "flipped"])
def test_a_damaged_zip_is_refused(tmp_path: Path, damage: str) -> None:
    photo = make_photo(Path("a.jpg")).read_bytes()
    content = pack(Path("bad.zip"), {"photo.jpg": photo}).read_bytes()
    Path("bad.zip").write_bytes(
        {
            "cut": content[:-40], "text": b"<html>not found</html>",
            "flipped": content[:60] + bytes([content[60] ^ 255]) + content[61:],
        }[damage]
    )  # fmt: skip
    refuse(
        r"bad\.zip: ('photo\.jpg' cannot be unpacked|expected a folder or a whole zip)", tmp_path
    )


def refuse(words: str, home: Path) -> None:
    """Nothing is written, in the set's folder, in the scratch one or outside."""
    before = sorted(home.parent.rglob("*"))
    with pytest.raises(ValueError, match=words) as error:
        import_(Path("data/set"), [Path("bad.zip")])
    assert "\n" not in str(error.value)
    scratch = home / ".scratch"
    assert sorted(set(home.parent.rglob("*")) - {scratch}) == [p for p in before if p != scratch]
