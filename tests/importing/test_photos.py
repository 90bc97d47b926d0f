"""Folders of photos as phones, Google Takeout, Apple Photos and OpenSfM leave them."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.ExifTags import GPS, IFD, Base
from PIL.TiffImagePlugin import IFDRational

from vpr.importing.collection import NO_POSITION, Asked, Collection, Shot
from vpr.importing.drawer import find_form
from vpr.importing.exif import (
    NO_HEMISPHERE,
    NOT_A_NUMBER,
    OUT_OF_RANGE,
    ZERO,
    parse_position,
)
from vpr.importing.sidecars import find_takeout

BERLIN = (52.504167, 13.335833)  # 52° 30' 15.0012" N, 13° 20' 8.9988" E
NOON_UTC = datetime(2026, 10, 2, 10, 0, 0, tzinfo=UTC).timestamp()
GOOD: dict[int, Any] = {
    GPS.GPSLatitudeRef: "N", GPS.GPSLatitude: (52.0, 30.0, 15.0012),
    GPS.GPSLongitudeRef: "E", GPS.GPSLongitude: (13.0, 20.0, 8.9988),
}  # fmt: skip
ZONED = {Base.DateTimeOriginal: "2026:10:02 12:00:00", Base.OffsetTimeOriginal: "+02:00"}


def make_exif(gps: dict[int, Any] | None = None, shot: dict[int, Any] | None = None) -> Image.Exif:
    exif = Image.Exif()
    exif.get_ifd(IFD.GPSInfo).update(GOOD if gps is None else gps)
    exif.get_ifd(IFD.Exif).update(ZONED if shot is None else shot)
    return exif


def make_photo(path: Path, exif: Image.Exif | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = make_exif() if exif is None else exif
    Image.new("RGB", (64, 48), "grey").save(path, exif=exif)
    return path


def read(folder: Path, **asked: Any) -> Collection:  # noqa: ANN401 - fields of Asked
    return find_form(folder, None).read(folder, Asked(**asked))


def only(folder: Path, **asked: Any) -> Shot:  # noqa: ANN401
    found = read(folder, **asked)
    assert not found.left_out.counts
    (shot,) = found.shots
    return shot


def test_a_phones_photo_has_its_place_time_direction_and_accuracy(tmp_path: Path) -> None:
    extra = {
        GPS.GPSImgDirection: 271.5, GPS.GPSImgDirectionRef: "T", GPS.GPSHPositioningError: 4.5,
    }  # fmt: skip
    make_photo(tmp_path / "walk/IMG_1.jpg", make_exif(GOOD | extra))
    shot = only(tmp_path / "walk")
    assert shot.name == "walk/IMG_1.jpg"
    assert shot.at == pytest.approx(BERLIN, abs=1e-8)
    assert shot.time == NOON_UTC
    assert shot.heading == pytest.approx(271.5)
    assert shot.accuracy_m == pytest.approx(4.5)


@pytest.mark.parametrize(
    ("latitude", "latitude_ref", "longitude", "longitude_ref", "expected"),
    [
        ((47.0, 30.0, 0.0), "N", (8.0, 30.0, 0.0), "E", (47.5, 8.5)),
        ((47.0, 30.0), "N", (8.0, 30.0), "W", (47.5, -8.5)),
        (IFDRational(95, 2), "S", 8.5, "E", (-47.5, 8.5)),
        ((47.5,), "n\0\0", (8.5,), b"E\0", (47.5, 8.5)),
        ("47,30.5N", None, "8,30W", None, (47 + 30.5 / 60, -8.5)),
        ((-47.0, 30.0, 0.0), "N", (8.5,), "E", (-47.5, 8.5)),
        ((-47.0, 30.0, 0.0), "S", (-8.0, 30.0), "W", (-47.5, -8.5)),
        ((4294967249, 30.0), "S", (8.5,), "E", (-47.5, 8.5)),
        ((0.0, 0.0, 0.0), "N", (8.5,), "E", (0.0, 8.5)),
        ((IFDRational(0, 0),) * 3, "N", (IFDRational(0, 0),) * 3, "E", NOT_A_NUMBER),
        ((IFDRational(0, 1),) * 3, "N", (IFDRational(0, 1),) * 3, "E", ZERO),
        ((0.0,), "", (0.0,), "", ZERO),
        ((47.5,), None, (8.5,), "E", NO_HEMISPHERE),
        ((47.5,), "N", (8.5,), "", NO_HEMISPHERE),
        ((95.0,), "N", (8.5,), "E", OUT_OF_RANGE),
        ((47.5,), "N", (190.0,), "E", OUT_OF_RANGE),
        ("rubbish", "N", (8.5,), "E", NOT_A_NUMBER),
        ((1.0, 2.0, 3.0, 4.0), "N", (8.5,), "E", NOT_A_NUMBER),
        (None, None, (8.5,), "E", NO_POSITION),
        (math.inf, "N", (8.5,), "E", NOT_A_NUMBER),
    ],
)
def test_positions_are_read_in_every_way_that_cameras_write_them(
    latitude: object, latitude_ref: object, longitude: object, longitude_ref: object,
    expected: tuple[float, float] | str,
) -> None:  # fmt: skip
    at, problem = parse_position(latitude, latitude_ref, longitude, longitude_ref)
    if isinstance(expected, str):
        assert (at, problem) == (None, expected)
    else:
        assert at == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("shot", "gps", "expected"),
    [
        (ZONED, {}, NOON_UTC),
        (ZONED | {Base.SubsecTimeOriginal: "25"}, {}, NOON_UTC + 0.25),
        ({**ZONED, Base.OffsetTimeOriginal: "Z"}, {}, NOON_UTC + 7200),
        ({**ZONED, Base.OffsetTimeOriginal: "-03:30"}, {}, NOON_UTC + 5.5 * 3600),
        (  # the zone from the satellites' time, 20 s before
            {Base.DateTimeOriginal: "2026:10:02 12:00:00"},
            {GPS.GPSDateStamp: "2026:10:02", GPS.GPSTimeStamp: (9.0, 59.0, 40.0)},
            NOON_UTC,
        ),
        (
            {Base.DateTimeOriginal: "0000:00:00 00:00:00"},
            {GPS.GPSDateStamp: "2026:10:02", GPS.GPSTimeStamp: (10.0, 0.0, 0.0)},
            NOON_UTC,
        ),
        ({Base.DateTimeOriginal: "    :  :     :  :  "}, {}, None),
        ({}, {GPS.GPSDateStamp: "2026:99:02", GPS.GPSTimeStamp: (10.0, 0.0, 0.0)}, None),
        ({Base.DateTimeOriginal: "2026:10:02 11:00:00"}, {}, NOON_UTC),  # by the sun, one hour
    ],
)
def test_times_are_utc_where_anything_tells_the_zone(
    tmp_path: Path, shot: dict[int, Any], gps: dict[int, Any], expected: float | None
) -> None:
    make_photo(tmp_path / "a.jpg", make_exif(GOOD | gps, shot))
    assert only(tmp_path).time == expected


@pytest.mark.parametrize(
    ("heading", "ref", "asked", "expected"),
    [
        (90.0, "T", {}, 90.0),
        (361.5, "T", {}, 1.5),
        (900.0, "T", {}, None),
        (90.0, "M", {}, None),
        (358.0, "M", {"declination_deg": 4.0}, 2.0),
    ],
)
def test_directions_are_from_true_north(
    tmp_path: Path, heading: float, ref: str, asked: dict[str, float], expected: float | None
) -> None:
    gps = GOOD | {GPS.GPSImgDirection: heading, GPS.GPSImgDirectionRef: ref}
    make_photo(tmp_path / "a.jpg", make_exif(gps))
    assert only(tmp_path, **asked).heading == pytest.approx(expected)


def test_what_is_left_out_is_counted_by_reason(tmp_path: Path) -> None:
    make_photo(tmp_path / "good.jpg")
    make_photo(tmp_path / "plain1.jpg", make_exif({}))
    make_photo(tmp_path / "plain2.jpg", Image.Exif())
    make_photo(tmp_path / "zero.jpg", make_exif(GOOD | {
        GPS.GPSLatitude: (0.0, 0.0, 0.0), GPS.GPSLongitude: (0.0, 0.0, 0.0),
    }))  # fmt: skip
    (tmp_path / "film.MOV").write_bytes(b"\0\0\0\x14ftypqt  ")
    (tmp_path / "anim.gif").write_bytes(b"GIF89a")
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe1 and no more")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "notes.txt").touch()
    (tmp_path / ".DS_Store").touch()
    (tmp_path / ".thumbnails").mkdir()
    make_photo(tmp_path / ".thumbnails/small.jpg")
    found = read(tmp_path)
    assert [shot.name for shot in found.shots] == [f"{tmp_path.name}/good.jpg"]
    assert found.left_out.counts == {
        NO_POSITION: 2, ZERO: 1, "films: import each by itself": 1, "not a readable image": 1,
        "not a readable image (damaged or cut off?)": 1,
        "in a format that is not read, .gif": 1, "not photos": 1,
    }  # fmt: skip


def test_damaged_exif_data_leave_one_photo_out_and_no_more(tmp_path: Path) -> None:
    good = make_photo(tmp_path / "good.jpg").read_bytes()
    start = good.index(b"Exif\0\0")
    for number in range(20):
        damaged = bytearray(good)
        for place in range(start + 14 + number, start + 200, 23):
            damaged[place] = 255 - damaged[place]
        (tmp_path / f"damaged{number}.jpg").write_bytes(damaged)
    found = read(tmp_path)
    assert f"{tmp_path.name}/good.jpg" in [shot.name for shot in found.shots]
    assert len(found.shots) + found.left_out.counts.total() == 21


def test_photos_without_positions_are_taken_without_labels(tmp_path: Path) -> None:
    make_photo(tmp_path / "plain.jpg", Image.Exif())
    assert only(tmp_path, labels=False).at is None


def test_photos_of_two_frames_as_phones_write_them_are_read(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (64, 48), colour) for colour in ("red", "blue")]
    frames[0].save(
        tmp_path / "a.jpg", format="MPO", save_all=True, append_images=frames[1:],
        exif=make_exif().tobytes(),
    )  # fmt: skip
    assert only(tmp_path).at == pytest.approx(BERLIN, abs=1e-8)


def test_folders_and_photos_are_read_as_people_count(tmp_path: Path) -> None:
    for name in ("walk10/1.jpg", "walk/10.jpg", "walk/2.jpg", "walk2/1.jpg", "walk/2.jpg2.jpg"):
        make_photo(tmp_path / "in" / name)
    assert [shot.name.removeprefix("in/") for shot in read(tmp_path / "in").shots] == [
        "walk/2.jpg", "walk/2.jpg2.jpg", "walk/10.jpg", "walk2/1.jpg", "walk10/1.jpg",
    ]  # fmt: skip


def takeout(**facts: object) -> str:
    none = {"latitude": 0.0, "longitude": 0.0, "altitude": 0.0}
    return json.dumps({"geoData": none, "geoDataExif": none} | facts)


PLACE = {"latitude": BERLIN[0], "longitude": BERLIN[1], "altitude": 34.0}


@pytest.mark.parametrize(
    ("photo", "sidecar"),
    [
        ("IMG.jpg", "IMG.jpg.supplemental-metadata.json"),
        ("IMG.jpg", "IMG.jpg.json"),
        ("IMG(1).jpg", "IMG.jpg.supplemental-metadata(1).json"),
        ("IMG(1).jpg", "IMG.jpg(1).json"),
        ("PXL_20260102_123456789.PORTRAIT-01.jpg", "+.supplem.json"),
        ("PXL_20260102_123456789.RAW-01.COVER.JPG", "+.supple.json"),
        ("Screenshot_20260102-123456_Some Long App.jpg", "+.s.json"),
        ("IMG-20260102-WA0001.JPG", "IMG-20260102-WA0001.JP.supplemental-meta.json"),
        ("IMG_0001-edited.jpg", "IMG_0001.jpg.supplemental-metadata.json"),
        ("IMG_0001-ha editado.jpg", "IMG_0001.jpg.supplemental-metadata.json"),
    ],
)  # fmt: skip
def test_takeouts_sidecar_is_found_under_each_of_its_names(photo: str, sidecar: str) -> None:
    sidecar = sidecar.replace("+", photo)
    names = {name: Path(name) for name in (photo, sidecar, "IMG_0001.jpg", "metadata.json")}
    assert find_takeout(photo, names) == Path(sidecar)


@pytest.mark.parametrize("photo", ["IMG_0002.jpg", "IMG_0001-2.jpg", "IMG.jpg"])
def test_the_sidecar_of_another_photo_is_not_taken(photo: str) -> None:
    names = ("IMG_0001.jpg", "IMG_0001.jpg.supplemental-metadata.json", photo)
    assert find_takeout(photo, {name: Path(name) for name in names}) is None


def test_takeouts_sidecar_gives_place_and_utc(tmp_path: Path) -> None:
    shot = {Base.DateTimeOriginal: "2026:10:02 12:00:03"}
    make_photo(tmp_path / "IMG.jpg", make_exif({}, shot))
    facts = takeout(title="IMG.jpg", geoDataExif=PLACE, photoTakenTime={"timestamp": "1790935200"})
    (tmp_path / "IMG.jpg.supplemental-metadata.json").write_text(facts)
    found = only(tmp_path)
    assert found.at == pytest.approx(BERLIN)
    assert found.time == NOON_UTC + 3  # the camera's seconds, the sidecar's zone
    assert NOON_UTC == 1790935200


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (takeout(), NO_POSITION),
        (takeout(title="OTHER.jpg", geoData=PLACE), "whose sidecar is that of another photo"),
        ("{ cut off", NO_POSITION),
        ("[" * 100_000, NO_POSITION),
        (takeout(geoData={"latitude": "x", "longitude": None}), NO_POSITION),
    ],
)
def test_a_useless_sidecar_leaves_its_photo_out(tmp_path: Path, facts: str, reason: str) -> None:
    make_photo(tmp_path / "IMG.jpg", make_exif({}))
    (tmp_path / "IMG.jpg.json").write_text(facts)
    assert read(tmp_path).left_out.counts == {reason: 1}


def test_of_two_long_names_with_one_sidecar_only_the_one_it_names_takes_it(tmp_path: Path) -> None:
    names = [f"{'A' * 47}_{number}.jpg" for number in (1, 2)]
    for name in names:
        make_photo(tmp_path / name, make_exif({}))
    facts = takeout(title=names[1], geoData=PLACE)
    (tmp_path / f"{'A' * 46}.json").write_text(facts)
    found = read(tmp_path)
    assert [Path(shot.name).name for shot in found.shots] == names[1:]
    assert found.left_out.counts == {"whose sidecar is that of another photo": 1}


def test_apple_photos_sidecar_gives_the_place(tmp_path: Path) -> None:
    make_photo(tmp_path / "IMG.jpg", make_exif({}))
    (tmp_path / "IMG.xmp").write_text(
        "<x:xmpmeta><exif:GPSLatitude>52,30.25002N</exif:GPSLatitude>"
        "<exif:GPSLongitude>13,20.14998E</exif:GPSLongitude></x:xmpmeta>"
    )
    assert only(tmp_path).at == pytest.approx(BERLIN, abs=1e-8)


def test_opensfm_overrides_go_before_the_photo(tmp_path: Path) -> None:
    make_photo(tmp_path / "IMG.jpg")
    gps = {"latitude": 1.0, "longitude": 2.0, "altitude": 3.0, "dop": 5.0}
    (tmp_path / "exif_overrides.json").write_text(json.dumps({"IMG.jpg": {"gps": gps}}))
    shot = only(tmp_path)
    assert (shot.at, shot.accuracy_m) == ((1.0, 2.0), 5.0)


GPX = """<?xml version="1.0"?><gpx version="1.1" xmlns="http://www.topografix.com/GPX/1/1"><trk>
<trkseg><trkpt lat="52.5" lon="13.3"><time>2026-10-02T09:59:55Z</time></trkpt>
<trkpt lat="52.6" lon="13.4"><time>2026-10-02T10:00:05Z</time></trkpt></trkseg></trk></gpx>"""


def test_a_camera_without_satellites_is_placed_by_a_track(tmp_path: Path) -> None:
    make_photo(tmp_path / "photos/a.jpg", make_exif({}))
    (tmp_path / "track.gpx").write_text(GPX)
    track = tmp_path / "track.gpx"
    assert only(tmp_path / "photos", track=track).at == pytest.approx((52.55, 13.35))
    late = only(tmp_path / "photos", track=track, clock_offset_s=2.5)
    assert late.at == pytest.approx((52.575, 13.375))
    assert read(tmp_path / "photos", track=track, clock_offset_s=60.0).left_out.counts


@pytest.fixture
def make_heic() -> Callable[[Path], Path]:
    pillow_heif = pytest.importorskip("pillow_heif")

    def make(path: Path) -> Path:
        heif = pillow_heif.from_pillow(Image.new("RGB", (64, 48), "red"))
        heif.save(path, quality=80, exif=make_exif().tobytes())
        return path

    return make


def test_a_heic_photo_is_placed_and_becomes_a_jpeg(
    tmp_path: Path, make_heic: Callable[[Path], Path]
) -> None:
    make_heic(tmp_path / "IMG_1.heic")
    make_photo(tmp_path / "IMG_1.jpg")
    found = read(tmp_path)
    heic, jpeg = found.shots
    assert [Path(shot.name).name for shot in (heic, jpeg)] == ["IMG_1.heic.jpg", "IMG_1.jpg"]
    assert heic.at == pytest.approx(BERLIN, abs=1e-8) and heic.time == NOON_UTC
    assert not isinstance(heic.content, Path)
    content = heic.content()
    (tmp_path / "made.jpg").write_bytes(content)
    with Image.open(tmp_path / "made.jpg") as image:
        assert image.format == "JPEG" and image.size == (64, 48)
        assert image.getpixel((10, 10)) == pytest.approx((254, 0, 0), abs=8)


def test_a_heic_photo_is_turned_upright_once(tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    exif = make_exif()
    exif[Base.Orientation] = 6  # the stored top is on the right
    picture = Image.new("RGB", (64, 48), "red")
    picture.paste("blue", (0, 0, 64, 10))
    pillow_heif.from_pillow(picture).save(tmp_path / "a.heic", exif=exif.tobytes())
    content = only(tmp_path).content
    assert not isinstance(content, Path)
    with Image.open(io.BytesIO(content())) as image:
        assert image.size == (48, 64) and Base.Orientation not in image.getexif()
        assert image.convert("RGB").getpixel((45, 30)) == pytest.approx((0, 0, 254), abs=12)


@pytest.mark.parametrize("damage", ["cut off", "cut in its picture", "a claim of 3.6 gigapixels"])
def test_a_hostile_heic_photo_is_left_out_with_a_reason(
    tmp_path: Path, make_heic: Callable[[Path], Path], damage: str
) -> None:
    content = bytearray(make_heic(tmp_path / "bad.heic").read_bytes())
    size = content.index(b"ispe") + 8  # width and height
    if damage == "cut off":
        content = content[:300]
    elif damage == "cut in its picture":
        content = content[:-40]
    else:
        content[size : size + 8] = (60_000).to_bytes(4, "big") * 2
    (tmp_path / "bad.heic").write_bytes(content)
    found = read(tmp_path)
    reasons = list(found.left_out.counts)
    for shot in found.shots:
        assert not isinstance(shot.content, Path)
        with pytest.raises(ValueError) as error:
            shot.content()
        reasons.append(str(error.value))
    assert len(reasons) == 1 and reasons[0].startswith("not a readable HEIC photo")
