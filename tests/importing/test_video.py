"""Films with a track beside them or positions inside, drawn here: a texture that moves."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from functools import reduce
from operator import xor
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from vpr.importing.collection import Asked, Collection
from vpr.importing.drawer import find_form
from vpr.importing.films import read_clock
from vpr.importing.track_files import load_track

av = pytest.importorskip("av")

START = datetime(2026, 10, 2, 10, 0, 0, tzinfo=UTC).timestamp()
METRES_PER_DEGREE = 111_195.08  # of latitude on a sphere of 6,371,008.8 m
WIDTH, HEIGHT = 160, 96


def texture() -> NDArray[np.uint8]:
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT // 4, 400), dtype=np.uint8)
    return np.asarray(cv2.resize(noise, (1600, HEIGHT), interpolation=cv2.INTER_CUBIC))


def draw_film(
    path: Path,
    times: Sequence[float],
    places: Sequence[float],
    blurred: Sequence[int] = (),
    start: float = START,
) -> Path:
    """Write a film of frames at any times, in seconds; each shows the texture at a place."""
    wall = texture()
    with av.open(str(path), "w") as film:
        film.metadata["creation_time"] = datetime.fromtimestamp(start, UTC).isoformat()
        stream = film.add_stream("libx264", rate=30, options={"crf": "12", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for number, (time, place) in enumerate(zip(times, places, strict=True)):
            shift = np.float32([[1, 0, -(place * 4 % 1400)], [0, 1, 0]])
            grey = cv2.warpAffine(wall, shift, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)
            if number in blurred:
                grey = cv2.blur(grey, (15, 15))
            frame = av.VideoFrame.from_ndarray(np.stack([grey] * 3, axis=-1), format="rgb24")
            frame.pts = round(time * 1000)
            film.mux(stream.encode(frame))
        film.mux(stream.encode())
    return path


def write_track(path: Path, times: Sequence[float], metres: Sequence[float]) -> Path:
    """Write a track that leads north along 13.3 degrees east, from 52.5 degrees."""
    points = "".join(
        f'<trkpt lat="{52.5 + far / METRES_PER_DEGREE:.9f}" lon="13.3"><time>'
        f"{datetime.fromtimestamp(time, UTC).isoformat()}</time></trkpt>"
        for time, far in zip(times, metres, strict=True)
    )
    path.write_text(f"<gpx><trk><trkseg>{points}</trkseg></trk></gpx>")
    return path


def read(film: Path, **asked: object) -> Collection:
    return find_form(film, None).read(film, Asked(**asked))  # type: ignore[arg-type]


def metres_of(found: Collection) -> list[float]:
    return [(shot.at[0] - 52.5) * METRES_PER_DEGREE for shot in found.shots if shot.at]


def test_frames_are_chosen_by_distance_and_placed_where_they_are(tmp_path: Path) -> None:
    """10 m/s for 4 s, standing for 4 s, 5 m/s for 4 s; at a rate of frames that changes."""
    times = np.cumsum(np.tile([0.04, 0.02, 0.07, 0.03], 75))
    film = draw_film(tmp_path / "drive.mp4", times, np.zeros(300))
    clock = np.arange(0.0, 13)
    far = np.interp(clock, [0, 4, 8, 12], [0, 40, 40, 60])
    write_track(tmp_path / "drive.gpx", START + clock, far)
    found = read(film, clock_offset_s=0.0, spacing_m=5.0)
    taken = np.array([shot.time for shot in found.shots]) - START
    meant = np.interp(taken, clock, far)
    np.testing.assert_allclose(metres_of(found), meant, atol=0.01)
    shown = np.round(times - times[0], 3)  # the container starts the film at its first frame
    first = np.interp(shown[0], clock, far)
    gone = np.interp(shown, clock, far)
    wanted = [shown[np.argmax(gone >= first + 5 * step)] for step in range(12)]
    np.testing.assert_allclose(taken, wanted, atol=2e-3)
    assert not any(4.1 < time < 8 for time in taken)
    assert found.shots[0].heading == pytest.approx(0, abs=1e-6)


def test_no_frame_is_placed_beyond_the_track_or_in_its_gaps(tmp_path: Path) -> None:
    film = draw_film(tmp_path / "drive.mp4", np.arange(0, 70, 0.5), np.zeros(140))
    clock = np.array([*range(10), *range(40, 60)], dtype=float)
    write_track(tmp_path / "drive.gpx", START + clock, clock * 10)
    taken = [shot.time or 0 for shot in read(film, clock_offset_s=0.0).shots]
    assert all(time - START <= 9 or 40 <= time - START <= 59 for time in taken)
    assert len(taken) > 50


def test_a_film_outside_the_track_is_refused_with_both_times(tmp_path: Path) -> None:
    film = draw_film(tmp_path / "drive.mp4", np.arange(0, 2, 0.1), np.zeros(20))
    write_track(tmp_path / "drive.gpx", START + 7200 + np.arange(10.0), np.arange(10.0))
    with pytest.raises(ValueError, match=r"10:00:00 UTC to .* the track 2026-10-02 12:00:00 UTC"):
        read(film, clock_offset_s=0.0)


@pytest.fixture
def drive(tmp_path: Path) -> Callable[[Callable[[NDArray[np.float64]], NDArray[np.float64]]], Path]:
    """Draw 30 s of a drive whose clock is 7 s behind, with a track of 90 s around it."""

    def draw(speed: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Path:
        clock = np.arange(-30, 60, 0.05)
        far = np.cumsum(speed(clock)) * 0.05
        times = np.arange(0, 30, 0.1)
        write_track(tmp_path / "drive.gpx", START + clock[::20], far[::20])
        return draw_film(
            tmp_path / "drive.mp4", times, np.interp(times, clock, far) / 4, start=START - 7
        )

    return draw


def test_the_clocks_offset_is_estimated_from_the_motion(
    drive: Callable[[Callable[[NDArray[np.float64]], NDArray[np.float64]]], Path],
) -> None:
    film = drive(lambda t: 6 + 3 * np.sin(t / 3) + 2 * np.sin(t / 1.7 + 1) + 0.05 * t)
    found = read(film)
    assert found.shots[0].time == pytest.approx(START, abs=0.5)
    assert any("by its motion it began at 2026-10-02" in note for note in found.notes)


def test_at_constant_speed_no_offset_is_estimated(
    drive: Callable[[Callable[[NDArray[np.float64]], NDArray[np.float64]]], Path],
) -> None:
    film = drive(lambda t: np.full(len(t), 8.0))
    with pytest.raises(ValueError, match="give --clock-offset SECONDS"):
        read(film)
    assert read(film, clock_offset_s=7.0).shots[0].time == pytest.approx(START, abs=1e-3)


def test_a_frame_that_is_blurred_as_its_neighbours_are_not_is_skipped(tmp_path: Path) -> None:
    times = np.arange(0, 4, 0.1)
    film = draw_film(tmp_path / "drive.mp4", times, times * 5, blurred=[10])
    write_track(tmp_path / "drive.gpx", START + np.arange(5.0), np.arange(5.0) * 10)
    shots = read(film, clock_offset_s=0.0, spacing_m=1.0).shots
    results = {}
    for shot in shots:
        assert not isinstance(shot.content, Path) and shot.time is not None
        try:
            picture = Image.open(io.BytesIO(shot.content()))
            results[round(shot.time - START, 1)] = str(picture.size)
        except ValueError as error:
            results[round(shot.time - START, 1)] = str(error)
    assert results.pop(1.0) == "frames that are blurred, as their neighbours are not"
    assert set(results.values()) == {str((WIDTH, HEIGHT))} and len(results) > 30


def test_frames_are_those_of_their_time_and_upright_as_in_opencv(tmp_path: Path) -> None:
    times = np.arange(0, 6, 0.1)
    film = draw_film(tmp_path / "drive.mp4", times, times * 5)
    matrix = np.array([1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30], dtype=">i4").tobytes()
    turned = np.array([0, 1 << 16, 0, -1 << 16, 0, 0, HEIGHT << 16, 0, 1 << 30], dtype=">i4")
    content = film.read_bytes()
    track = content.index(b"tkhd")
    at = content.index(matrix, track)
    film.write_bytes(content[:at] + turned.tobytes() + content[at + len(matrix) :])
    capture = cv2.VideoCapture(str(film))
    expected = [capture.read()[1] for _ in times]
    write_track(tmp_path / "drive.gpx", START + np.arange(7.0), np.arange(7.0) * 10)
    shots = read(film, clock_offset_s=0.0, spacing_m=4.0).shots
    for shot in [shots[-1], *shots]:  # backwards once
        assert not isinstance(shot.content, Path) and shot.time is not None
        picture = np.asarray(Image.open(io.BytesIO(shot.content())).convert("RGB"))
        assert picture.shape == (WIDTH, HEIGHT, 3)
        frame = expected[round((shot.time - START) * 10)][..., ::-1]
        assert np.abs(picture.astype(int) - frame).mean() < 3


@pytest.mark.parametrize("damage", ["no moov", "empty", "text"])
def test_a_film_that_was_cut_off_is_refused_in_one_sentence(tmp_path: Path, damage: str) -> None:
    film = draw_film(tmp_path / "drive.mp4", np.arange(0, 2, 0.1), np.zeros(20))
    content = film.read_bytes()
    film.write_bytes({"no moov": content[:2000], "empty": b"", "text": b"no film"}[damage])
    with pytest.raises(ValueError, match="not a readable film") as error:
        read(film, labels=False)
    assert "\n" not in str(error.value)


def test_a_film_without_positions_gives_a_frame_each_second_with_the_last(tmp_path: Path) -> None:
    film = draw_film(tmp_path / "drive.mp4", np.arange(0, 3.5, 0.5), np.zeros(7))
    taken = [shot.time - START for shot in read(film, labels=False).shots if shot.time]
    assert taken == [0, 1, 2, 3]


def test_what_of_a_film_cannot_be_decoded_is_left_out(tmp_path: Path) -> None:
    times = np.arange(0, 6, 0.1)
    film = draw_film(tmp_path / "drive.mp4", times, times * 5)
    content = bytearray(film.read_bytes())
    data = content.index(b"mdat")
    content[data + 2000 : data + 2000 + (len(content) - data) // 2] = bytes(
        (len(content) - data) // 2
    )
    film.write_bytes(content)
    shots = read(film, labels=False).shots
    reasons = set()
    for shot in shots:
        assert not isinstance(shot.content, Path)
        try:
            shot.content()
        except ValueError as error:
            reasons.add(str(error))
    assert len(shots) == 6 and reasons <= {
        "frames that cannot be decoded", "frames that are blurred, as their neighbours are not",
    }  # fmt: skip


def add_camm(plain: Path, path: Path) -> Path:
    """Add a CAMM track of a drive north at 10 m/s, a point each second."""
    from mapillary_tools import telemetry
    from mapillary_tools.camm import camm_builder, camm_parser
    from mapillary_tools.mp4 import simple_mp4_builder

    points = [
        telemetry.CAMMGPSPoint(
            time=float(second), lat=52.5 + second * 10 / METRES_PER_DEGREE, lon=13.3, alt=34.0,
            angle=None, time_gps_epoch=START - 315_964_800 + 18 + second, gps_fix_type=3,
            horizontal_accuracy=1.0, vertical_accuracy=1.0, velocity_east=0.0,
            velocity_north=10.0, velocity_up=0.0, speed_accuracy=0.0,
        )
        for second in range(6)
    ]  # fmt: skip
    info = camm_parser.CAMMInfo(gps=points)
    with plain.open("rb") as source:
        made = simple_mp4_builder.transform_mp4(source, camm_builder.camm_sample_generator2(info))
        path.write_bytes(made.read())
    return path


def test_a_film_with_positions_inside_needs_no_track(tmp_path: Path) -> None:
    pytest.importorskip("mapillary_tools")
    plain = draw_film(tmp_path / "plain.mp4", np.arange(0, 6, 0.1), np.zeros(60))
    found = read(add_camm(plain, tmp_path / "camm.mp4"), spacing_m=5.0)
    taken = np.array([shot.time for shot in found.shots]) - START
    np.testing.assert_allclose(metres_of(found), taken * 10, atol=0.1)
    assert len(taken) == 11
    with pytest.raises(ValueError, match="has no positions inside: --track"):
        read(plain)


def klv(key: str, kind: str, size: int, content: bytes) -> bytes:
    """An entry of GoPro's GPMF: key, type, size of a structure, how many, content, padding."""
    head = key.encode() + kind.encode() + struct.pack(">BH", size, len(content) // size)
    return head + content + bytes(-len(content) % 4)


def gps5(second: int, fix: int) -> bytes:
    """The packet of a second, of a drive north at 10 m/s; 18 fixes in it, or rubbish unfixed."""
    rows = []
    for part in range(18):
        metres = (second + part / 18) * 10 if fix else 5e6
        latitude = round((52.5 + metres / METRES_PER_DEGREE) * 1e7)
        rows.append(struct.pack(">5i", latitude, 133_000_000, 34_000, 10_000, 1000))
    clock = datetime.fromtimestamp(START + second, UTC).strftime("%y%m%d%H%M%S.000")
    scale = struct.pack(">5i", 10**7, 10**7, 1000, 1000, 100)
    stream = (
        klv("GPSF", "L", 4, struct.pack(">I", fix)) + klv("GPSU", "U", 16, clock.encode())
        + klv("GPSP", "S", 2, struct.pack(">H", 150 if fix else 9999))
        + klv("SCAL", "l", 4, scale) + klv("GPS5", "l", 20, b"".join(rows))
    )  # fmt: skip
    device = klv("DVID", "L", 4, struct.pack(">I", 1)) + klv("DVNM", "c", 11, b"Hero8 Black")
    return klv("DEVC", "\0", 1, device + klv("STRM", "\0", 1, stream))


def gps9(second: int, fix: int) -> bytes:
    """The same as cameras from the HERO11 on write it, each fix with its time."""
    rows = []
    for part in range(10):
        moment = START + second + part / 10
        metres = (second + part / 10) * 10 if fix else 5e6
        days, rest = divmod(moment - datetime(2000, 1, 1, tzinfo=UTC).timestamp(), 86_400)
        latitude = round((52.5 + metres / METRES_PER_DEGREE) * 1e7)
        rows.append(
            struct.pack(">7i2H", latitude, 133_000_000, 34_000, 10_000, 1000, int(days),
                        round(rest * 1000), 150, fix)
        )  # fmt: skip
    scale = struct.pack(">9i", 10**7, 10**7, 1000, 1000, 100, 1, 1000, 100, 1)
    stream = (
        klv("TYPE", "c", 1, b"lllllllSS") + klv("SCAL", "l", 4, scale)
        + klv("GPS9", "?", 32, b"".join(rows))
    )  # fmt: skip
    device = klv("DVID", "L", 4, struct.pack(">I", 1))
    return klv("DEVC", "\0", 1, device + klv("STRM", "\0", 1, stream))


def add_gpmf(plain: Path, path: Path, packets: Sequence[bytes]) -> Path:
    """Add a track `gpmd` with a packet for each second, as GoPro writes it."""
    from mapillary_tools.camm import camm_builder
    from mapillary_tools.mp4 import mp4_sample_parser, simple_mp4_builder

    samples = [
        mp4_sample_parser.RawSample(
            description_idx=1, offset=0, size=len(packet), timedelta=1000, composition_offset=0,
            is_sync=True,
        )
        for packet in packets
    ]  # fmt: skip

    def add(_: object, boxes: list[dict[str, object]]) -> Iterator[io.BytesIO]:
        track = camm_builder.create_camm_trak(samples, 1000)
        table = track["data"][1]["data"][2]["data"][1]
        table["data"] = table["data"].replace(b"camm", b"gpmd")
        boxes.append(track)
        return map(io.BytesIO, packets)

    with plain.open("rb") as source:
        path.write_bytes(simple_mp4_builder.transform_mp4(source, add).read())
    return path


@pytest.mark.parametrize("packet", [gps5, gps9])
def test_a_gopros_positions_are_read_once_it_has_a_fix(
    tmp_path: Path, packet: Callable[[int, int], bytes]
) -> None:
    pytest.importorskip("mapillary_tools")
    plain = draw_film(tmp_path / "plain.mp4", np.arange(0, 6, 0.1), np.zeros(60), start=START - 60)
    packets = [packet(second, 3 if second > 1 else 0) for second in range(6)]
    packets[3] = packets[3].replace(b"261002", b"26??02")  # a GPSU that is no date
    found = read(add_gpmf(plain, tmp_path / "GX010001.mp4", packets), spacing_m=5.0)
    taken = np.array([shot.time for shot in found.shots]) - START  # the satellites' time
    np.testing.assert_allclose(metres_of(found), taken * 10, atol=0.1)
    assert len(taken) == 8 and taken[0] == pytest.approx(2, abs=1e-3)


def nmea(sentence: str) -> str:
    return f"${sentence}*{reduce(xor, sentence.encode()):02X}"


def rmc(second: float, metres: float, status: str = "A", *, date: str = "021026") -> str:
    """A sentence with five decimals of a minute: 1.9 cm."""
    minutes = 30 + metres / METRES_PER_DEGREE * 60
    clock = datetime.fromtimestamp(START + second, UTC).strftime("%H%M%S.%f")[:9]
    place = f"52{minutes:08.5f},N,01318.00000,E" if status == "A" else ",,,"
    return nmea(f"GNRMC,{clock},{status},{place},19.4,0.0,{date},,,A,V")


def gga(second: float, metres: float, quality: int = 1) -> str:
    minutes = 30 + metres / METRES_PER_DEGREE * 60
    clock = datetime.fromtimestamp(START + second, UTC).strftime("%H%M%S.%f")[:9]
    place = f"52{minutes:08.5f},N,01318.00000,E"
    return nmea(f"GNGGA,{clock},{place},{quality},09,0.9,34.0,M,45.0,M,,")


def add_blackvue(film: Path, lines: Sequence[str]) -> Path:
    """Add the box of sentences that BlackVue writes, below its box `free`; FFmpeg's is empty."""
    log = "\r\n".join(lines).encode()
    box = struct.pack(">I", 8 + len(log)) + b"gps " + log
    free = struct.pack(">I", 8 + len(box)) + b"free" + box
    film.write_bytes(film.read_bytes().replace(b"free", b"skip") + free)
    return film


@pytest.mark.parametrize("sentence", [rmc, gga])
def test_a_blackvues_film_does_not_begin_with_its_first_fix(
    tmp_path: Path, sentence: Callable[[float, float], str]
) -> None:
    """The camera's clock is two hours ahead; there is a fix from the third second on."""
    pytest.importorskip("mapillary_tools")
    film = draw_film(tmp_path / "front.mp4", np.arange(0, 8, 0.1), np.zeros(80))
    lines = [f"[{round((START + 7200 + second) * 1000)}]" for second in range(8)]
    for second, line in enumerate(lines):
        lines[second] = line + (sentence(second, second * 10) if second > 2 else rmc(0, 0, "V"))
    found = read(add_blackvue(film, lines), spacing_m=5.0)
    taken = np.array([shot.time for shot in found.shots]) - START
    np.testing.assert_allclose(metres_of(found), taken * 10, atol=0.1)
    assert len(taken) == 9 and taken[0] == pytest.approx(3, abs=1e-3)


def test_an_nmea_log_beside_a_film_is_its_track(tmp_path: Path) -> None:
    film = draw_film(tmp_path / "drive.mp4", np.arange(0, 6, 0.1), np.zeros(60))
    lines = [rmc(-1, 0, "V"), "$GNRMC,rubbish", rmc(2, 900)[:-2] + "00", gga(3, 900, 0)]
    for second in range(7):
        lines += [rmc(second, second * 10), gga(second, 900)]
    (tmp_path / "drive.nmea").write_text("\n".join(lines), encoding="ascii")
    found = read(film, clock_offset_s=0.0, spacing_m=5.0)
    taken = np.array([shot.time for shot in found.shots]) - START
    np.testing.assert_allclose(metres_of(found), taken * 10, atol=0.1)
    assert len(taken) == 12


def test_a_gpx_track_drops_points_without_zone_or_off_the_globe(tmp_path: Path) -> None:
    rows = [
        (53, 13, "2026-10-02T10:00:02Z"), (95, 13, "2026-10-02T10:00:01Z"),
        (52, 13, "2026-10-02T12:00:00+02:00"), (10, 13, "2026-10-02T10:00:01"),
        (0, 0, "2026-10-02T10:00:01Z"), (53, 13, "2026-10-02T10:00:02Z"), ("x", 13, ""),
    ]  # fmt: skip
    points = "".join(
        f'<trkpt lat="{lat}" lon="{lon}"><time>{time}</time></trkpt>' for lat, lon, time in rows
    )
    (tmp_path / "a.gpx").write_text(f"<gpx><trk><trkseg>{points}</trkseg></trk></gpx>")
    track = load_track(tmp_path / "a.gpx")
    np.testing.assert_array_equal(track.times - START, [0, 2])
    np.testing.assert_array_equal(track.at(track.times[:1] + 1), [[52.5, 13]])  # interpolated


def test_a_gpx_track_that_is_an_entity_bomb_is_refused(tmp_path: Path) -> None:
    entities = "".join(f'<!ENTITY a{n + 1} "{f"&a{n};" * 10}">' for n in range(12))
    (tmp_path / "a.gpx").write_text(
        f'<!DOCTYPE gpx [<!ENTITY a0 "aaaaaaaaaa">{entities}]><gpx><trk>&a12;</trk></gpx>'
    )
    with pytest.raises(ValueError, match=r"a\.gpx: not a readable GPX track"):
        load_track(tmp_path / "a.gpx")


def test_a_phones_own_date_goes_before_the_one_that_lacks_a_zone(tmp_path: Path) -> None:
    film = tmp_path / "a.mov"
    with av.open(str(film), "w", options={"movflags": "use_metadata_tags"}) as made:
        made.metadata["creation_time"] = "2026-10-02T12:00:00Z"  # local, whatever the Z says
        made.metadata["com.apple.quicktime.creationdate"] = "2026-10-02T12:00:00+0200"
        stream = made.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        pixels = np.zeros((48, 64, 3), np.uint8)
        made.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        made.mux(stream.encode())
    assert read_clock(film).start == START


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([gga(0, 0), gga(1, 10)], "expected a track of at least two points with times in UTC"),
        ([rmc(0, 0, date="160299")], r"is dated 1999-02-16: its receiver's week counter"),
        (["\udcff\0", "no sentence"], "expected a track"),
        # Without a hemisphere, without a longitude, of another kind.
        (
            [
                "$GPRMC,100000,A,5230.0,,01322.0,E,0,0,021026,,",
                "$GPRMC,100001,A,5230.0,N,,E,0,0,021026,,",
                "$P9RMC,100002,A,5230.0,N,01322.0,E,0,0,021026,,",
            ],
            "expected a track",
        ),
    ],
)
def test_a_log_without_right_times_is_refused(tmp_path: Path, lines: list[str], words: str) -> None:
    log = tmp_path / "drive.nmea"
    log.write_text("\n".join(lines), encoding="utf-8", errors="surrogateescape")
    with pytest.raises(ValueError, match=words) as error:
        load_track(log)
    assert str(log) in str(error.value) and "\n" not in str(error.value)
