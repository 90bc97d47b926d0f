"""Bags of ROS 1 and 2, written by the library: images and fixes."""

from __future__ import annotations

import io
import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vpr.importing.collection import Asked, Collection
from vpr.importing.drawer import find_form
from vpr.importing.forms.ros_bags import OPENED

pytest.importorskip("rosbags")

from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as Writer2
from rosbags.typesys import Stores, get_typestore

START = 1_790_935_200
METRES_PER_DEGREE = 111_195.08
KINDS = ["bag", "sqlite3", "mcap"]


def jpeg(grey: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (32, 24), (grey, grey, grey)).save(out, "JPEG")
    return out.getvalue()


class Bag:
    """A bag to be written; clocks of sensors are 2 s behind the bag's."""

    def __init__(self, folder: Path, kind: str) -> None:
        """Open it."""
        self.is_first = kind == "bag"
        self.types = get_typestore(Stores.ROS1_NOETIC if self.is_first else Stores.ROS2_HUMBLE)
        if self.is_first:
            self.path = folder / "drive.bag"
            self.writer: Any = Writer1(self.path)
        else:
            self.path = folder / "drive"
            plugin = StoragePlugin.MCAP if kind == "mcap" else StoragePlugin.SQLITE3
            self.writer = Writer2(self.path, version=9, storage_plugin=plugin)
        self.writer.open()
        self.connections: dict[str, Any] = {}

    def make(self, kind: str, **fields: object) -> Any:  # noqa: ANN401
        """Make a message."""
        made = self.types.types[kind]
        return made(**fields)

    def header(self, time: float) -> Any:  # noqa: ANN401
        """Make a header."""
        whole = int(time)
        stamp = self.make(
            "builtin_interfaces/msg/Time", sec=whole, nanosec=round((time - whole) * 1e9)
        )
        fields = {"seq": 0} if self.is_first else {}
        return self.make("std_msgs/msg/Header", stamp=stamp, frame_id="", **fields)

    def write(self, topic: str, kind: str, time: float, **fields: object) -> None:
        """Write a message."""
        if topic not in self.connections:
            self.connections[topic] = self.writer.add_connection(topic, kind, typestore=self.types)
        message = self.make(kind, **fields)
        serialize = self.types.serialize_ros1 if self.is_first else self.types.serialize_cdr
        content = serialize(message, kind)
        self.writer.write(self.connections[topic], round((time + 2) * 1e9), content)

    def write_fix(self, time: float, metres: float, *, status: int = 0) -> None:
        """Write a position north of 52.5, 13.3."""
        latitude = 52.5 + metres / METRES_PER_DEGREE if status >= 0 else math.nan
        self.write(
            "/fix", "sensor_msgs/msg/NavSatFix", time, header=self.header(time),
            status=self.make("sensor_msgs/msg/NavSatStatus", status=status, service=1),
            latitude=latitude, longitude=13.3, altitude=34.0, position_covariance=np.zeros(9),
            position_covariance_type=0,
        )  # fmt: skip

    def write_photo(self, time: float, content: bytes, topic: str = "/camera") -> None:
        """Write a JPEG."""
        self.write(
            topic, "sensor_msgs/msg/CompressedImage", time, header=self.header(time),
            format="rgb8; jpeg compressed bgr8", data=np.frombuffer(content, np.uint8),
        )  # fmt: skip

    def close(self) -> Path:
        """Finish the bag."""
        self.writer.close()
        return self.path


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    OPENED.close()


def read(path: Path, **asked: object) -> Collection:
    return find_form(path, None).read(path, Asked(**asked))  # type: ignore[arg-type]


def write_drive(bag: Bag) -> Path:
    """10 m/s to the north, ten photos a second whose grey is their number."""
    bag.write_fix(START - 1, 0, status=-1)
    for second in range(4):
        bag.write_fix(START + second, second * 10)
    for number in range(50):
        bag.write_photo(START + number / 10, jpeg(5 * number))
    return bag.close()


@pytest.mark.parametrize("kind", KINDS)
def test_photos_are_chosen_by_distance_and_placed_by_the_sensors_clock(
    tmp_path: Path, kind: str
) -> None:
    path = write_drive(Bag(tmp_path, kind))
    found = read(path, spacing_m=5.0)
    taken = np.array([shot.time for shot in found.shots]) - START
    np.testing.assert_allclose(taken, [0, 0.5, 1, 1.5, 2, 2.5, 3], atol=1e-6)
    metres = [(shot.at[0] - 52.5) * METRES_PER_DEGREE for shot in found.shots if shot.at]
    np.testing.assert_allclose(metres, taken * 10, atol=0.01)
    assert found.left_out.counts == {"outside the track, or in its gaps": 19}
    for shot, number in zip(found.shots, range(0, 35, 5), strict=True):
        assert not isinstance(shot.content, Path)
        assert shot.content() == jpeg(5 * number)
        assert shot.name.endswith(".jpg")


def test_an_older_bag_that_does_not_define_its_types_is_read(tmp_path: Path) -> None:
    path = write_drive(Bag(tmp_path, "sqlite3"))
    (database,) = path.glob("*.db3")
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("DELETE FROM message_definitions")
        connection.commit()
    assert len(read(path, spacing_m=5.0).shots) == 7


def test_raw_images_become_jpegs_of_their_colours(tmp_path: Path) -> None:
    bag = Bag(tmp_path, "bag")
    colours = {"rgb8": (200, 100, 0), "bgr8": (0, 100, 200), "mono8": (90,), "32FC1": (0,) * 4}
    for second, (encoding, values) in enumerate(colours.items()):
        bag.write_fix(START + second, second * 10)
        pixels = np.zeros((24, 40 * len(values)), np.uint8)  # rows are longer than the picture
        pixels[:, : 32 * len(values)] = np.tile(np.array(values, np.uint8), 32)
        bag.write(
            "/raw", "sensor_msgs/msg/Image", START + second, header=bag.header(START + second),
            height=24, width=32, encoding=encoding, is_bigendian=0, step=pixels.shape[1],
            data=pixels.ravel(),
        )  # fmt: skip
    found = read(bag.close(), spacing_m=5.0)
    assert found.left_out.counts == {"images of encoding 32FC1": 1}
    for shot, expected in zip(
        found.shots, [(200, 100, 0), (200, 100, 0), (90, 90, 90)], strict=True
    ):
        assert not isinstance(shot.content, Path)
        picture = Image.open(io.BytesIO(shot.content())).convert("RGB")
        assert picture.size == (32, 24)
        assert picture.getpixel((5, 5)) == pytest.approx(expected, abs=4)


def test_odometry_places_a_bag_without_fixes_on_no_place_on_earth(tmp_path: Path) -> None:
    bag = Bag(tmp_path, "sqlite3")
    covariance = np.zeros(36)
    for second in range(4):
        point = bag.make("geometry_msgs/msg/Point", x=second * 10.0, y=-3.0, z=0.0)
        turn = bag.make("geometry_msgs/msg/Quaternion", x=0.0, y=0.0, z=0.0, w=1.0)
        zero = bag.make("geometry_msgs/msg/Vector3", x=0.0, y=0.0, z=0.0)
        twist = bag.make("geometry_msgs/msg/Twist", linear=zero, angular=zero)
        pose = bag.make("geometry_msgs/msg/Pose", position=point, orientation=turn)
        bag.write(
            "/odom", "nav_msgs/msg/Odometry", START + second, header=bag.header(START + second),
            child_frame_id="",
            pose=bag.make("geometry_msgs/msg/PoseWithCovariance", pose=pose, covariance=covariance),
            twist=bag.make(
                "geometry_msgs/msg/TwistWithCovariance", twist=twist, covariance=covariance
            ),
        )  # fmt: skip
        bag.write_photo(START + second, jpeg(0))
    found = read(bag.close())
    assert found.crs is None
    assert [shot.at for shot in found.shots] == [(0, -3), (10, -3), (20, -3), (30, -3)]


def test_several_cameras_are_asked_for(tmp_path: Path) -> None:
    bag = Bag(tmp_path, "bag")
    for second in range(3):
        bag.write_fix(START + second, second * 10)
        for topic in ("/left", "/right"):
            bag.write_photo(START + second, jpeg(0), topic)
    path = bag.close()
    with pytest.raises(ValueError, match="--topic: one of /left, /right"):
        read(path)
    assert len(read(path, topic="/left").shots) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_a_bag_that_was_cut_off_is_refused_in_one_sentence(tmp_path: Path, kind: str) -> None:
    path = write_drive(Bag(tmp_path, kind))
    files = [path] if path.is_file() else [f for f in path.iterdir() if f.suffix != ".yaml"]
    for file in files:
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(ValueError, match="not a readable bag") as error:
        read(path)
    assert "\n" not in str(error.value)
