"""COLMAP and kapture: camera centres, from above, whatever the model's own axes are."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from tests.importing.test_published_sets import draw, write
from vpr.importing.collection import Asked, Collection
from vpr.importing.drawer import find_form

# A walk as seen from above: east and north in metres, and where the camera looks.
WALK = np.array([[0.0, 0.0], [8, 0], [16, 1], [24, -2], [30, 6]])
LOOKS = np.array([90.0, 90, 80, 100, 0])
NAMES = ["a b.jpg", "c.jpg", "d/e.jpg", "f.jpg", "g.jpg"]
TILT = Rotation.from_euler("xyz", [50, -35, 120], degrees=True)  # of the model's own axes


def poses() -> list[NDArray[np.float64]]:
    """Quaternion w x y z and translation, from the model's world to each camera."""
    found = []
    for (east, north), deg in zip(WALK, np.radians(LOOKS), strict=True):
        forward = np.array([np.sin(deg), np.cos(deg), 0])  # east, north, up
        down = np.array([0, 0, -1.0])
        to_camera = np.stack([np.cross(down, forward), down, forward])
        rotation = Rotation.from_matrix(to_camera) * TILT.inv()
        centre = TILT.apply([east, north, 1.7])
        x, y, z, w = rotation.as_quat()
        found.append(np.array([w, x, y, z, *-rotation.apply(centre)]))
    return found


def write_text(folder: Path) -> None:
    write(folder / "cameras.txt", "# none")
    lines = ["# IMAGE_ID, ..."]
    for number, (name, pose) in enumerate(zip(NAMES, poses(), strict=True)):
        lines += [f"{number} {' '.join(map(repr, map(float, pose)))} 1 {name}",
                  "" if number % 2 else "1.5 2.5 -1 3.5 4.5 7"]  # fmt: skip
    write(folder / "images.txt", *lines)


def write_binary(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cameras.bin").write_bytes(struct.pack("<Q", 0))
    content = struct.pack("<Q", len(NAMES))
    for number, (name, pose) in enumerate(zip(NAMES, poses(), strict=True)):
        content += struct.pack("<i7di", number, *pose, 1) + name.encode() + b"\0"
        content += struct.pack("<Q", number) + number * struct.pack("<ddq", 1, 2, -1)
    (folder / "images.bin").write_bytes(content)


def read(source: Path) -> Collection:
    return find_form(source, None).read(source, Asked())


def require_walk(found: Collection, *, scale: float = 1) -> None:
    """The walk, up to a turn on its plane: no mirror image, and headings turned with it."""
    places = np.array([shot.at for shot in found.shots])
    headings = np.array([shot.heading for shot in found.shots])
    away = [places[:, 0] + 1j * places[:, 1], (WALK - WALK[0]) @ [1, 1j] * scale]
    turn = away[0][-1] / away[1][-1]
    np.testing.assert_allclose(away[0], away[1] * turn, atol=1e-6)
    assert abs(turn) == pytest.approx(1)
    expected = (LOOKS - np.degrees(np.angle(turn))) % 360  # counted clockwise
    np.testing.assert_allclose((headings - expected + 180) % 360, 180, atol=1e-6)


@pytest.mark.parametrize("make", [write_text, write_binary])
def test_a_colmap_model_in_any_axes_is_seen_from_above(tmp_path: Path, make: object) -> None:
    make(tmp_path / "sparse/0")  # type: ignore[operator]
    for name in NAMES:
        draw(tmp_path / "images" / name)
    found = read(tmp_path)
    assert [shot.name for shot in found.shots] == NAMES  # a space does not end a name
    require_walk(found)
    assert found.crs is None and "in the model's own unit" in found.notes[0]


def test_text_and_binary_give_the_same_and_a_damaged_file_is_named(tmp_path: Path) -> None:
    for folder, make in (("text", write_text), ("binary", write_binary)):
        make(tmp_path / folder)
        for name in NAMES[:3]:
            draw(tmp_path / folder / "images" / name)
    text, binary = read(tmp_path / "text"), read(tmp_path / "binary")
    assert [shot.at for shot in text.shots] == [shot.at for shot in binary.shots]
    assert text.left_out.counts == {"without an image": 2}
    file = tmp_path / "binary/images.bin"
    whole = file.read_bytes()
    for content in (whole[:200], whole[:-1], struct.pack("<Q", 2**60) + whole[8:]):
        file.write_bytes(content)
        with pytest.raises(ValueError, match=r"images\.bin: not a readable COLMAP model"):
            read(tmp_path / "binary")


def test_folders_of_a_colmap_model_tell_its_sides(tmp_path: Path) -> None:
    write(tmp_path / "cameras.txt", "#")
    rows = [
        f"{n} 1 0 0 0 {n} {n * n} 0 1 {side}/{n}.jpg\n" for n, side in enumerate(["db", "query"])
    ]
    write(tmp_path / "images.txt", *rows)
    for n, side in enumerate(["db", "query"]):
        draw(tmp_path / f"images/{side}/{n}.jpg")
    assert {shot.name: shot.side for shot in read(tmp_path).shots} == {
        "db/0.jpg": "database", "query/1.jpg": "query"
    }  # fmt: skip


def write_kapture(part: Path, rows: range, *, rig: bool = False) -> None:
    sensors, lines, records = part / "sensors", [], []
    for row in rows:
        pose = poses()[row]
        device = "cam"
        if rig:  # the camera looks backwards from its rig, half a metre up
            mounted = Rotation.from_euler("y", 180, degrees=True)
            whole = mounted.inv() * Rotation.from_quat(pose[[1, 2, 3, 0]])
            x, y, z, w = whole.as_quat()
            pose = np.array([w, x, y, z, *mounted.inv().apply(pose[4:] - [0, 0.5, 0])])
            device = "rig"
        lines.append(f"{row}, {device}, {', '.join(map(repr, map(float, pose)))}")
        records.append(f"{row}, cam, {row}.jpg")
        draw(sensors / f"records_data/{row}.jpg")
    write(sensors / "trajectories.txt", "# kapture format: 1.1", *lines)
    write(sensors / "records_camera.txt", "# kapture format: 1.1", *records)
    if rig:
        write(sensors / "rigs.txt", "# rig_id, sensor_id, ...", "rig, cam, 0, 0, 1, 0, 0, 0.5, 0")


def test_kaptures_parts_are_sides_on_one_plane(tmp_path: Path) -> None:
    write_kapture(tmp_path / "mapping", range(3))
    write_kapture(tmp_path / "query", range(3, 5))
    found = read(tmp_path)
    assert [shot.side for shot in found.shots] == ["database"] * 3 + ["query"] * 2
    require_walk(found)


def test_a_camera_of_a_rig_has_the_rigs_pose_and_its_own(tmp_path: Path) -> None:
    write_kapture(tmp_path, range(5), rig=True)
    require_walk(read(tmp_path))


def test_kaptures_gnss_has_longitude_first(tmp_path: Path) -> None:
    write_kapture(tmp_path, range(5))
    rows = [f"{n}, gps, {13.3 + n * 1e-4}, 52.5, 34.0, 0, 1.0" for n in range(5)]
    write(tmp_path / "sensors/records_gnss.txt", "# timestamp, device_id, x, y, z, utc, dop", *rows)
    found = read(tmp_path)
    assert found.crs == "EPSG:4326" and found.shots[1].at == (52.5, 13.3 + 1e-4)
    assert {shot.heading for shot in found.shots} == {None}  # the model's north is none
