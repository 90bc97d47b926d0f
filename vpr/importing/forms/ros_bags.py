"""A bag of ROS 1 or 2: an image topic, placed by NavSatFix or by odometry."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np

from vpr.importing.collection import Asked, Collection, Shot, encode_jpeg, load_package
from vpr.importing.placing import safe_name
from vpr.importing.tracks import Track, choose_frames, make_track

WORDS = "a bag of ROS 1 (.bag) or ROS 2 (folder or .mcap)"
GIVES_WAY = False
IMAGES = ("sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/Image")
FIX, ODOMETRY = "sensor_msgs/msg/NavSatFix", "nav_msgs/msg/Odometry"
MAGIC = {b"\xff\xd8\xff": ".jpg", b"\x89PNG": ".png"}  # more certain than the message's `format`
TO_RGB = {  # by encoding of raw images
    "rgb8": None, "mono8": None, "bgr8": cv2.COLOR_BGR2RGB, "rgba8": cv2.COLOR_RGBA2RGB,
    "bgra8": cv2.COLOR_BGRA2RGB, "bayer_rggb8": cv2.COLOR_BayerRGGB2RGB,
    "bayer_bggr8": cv2.COLOR_BayerBGGR2RGB, "bayer_gbrg8": cv2.COLOR_BayerGBRG2RGB,
    "bayer_grbg8": cv2.COLOR_BayerGRBG2RGB,
}  # fmt: skip
NS = 1e-9

Reader: TypeAlias = Any  # of rosbags, which is optional
Message: TypeAlias = Any


@dataclass(frozen=True)
class BagImage:
    """An image of a bag.

    Args:
        file: The bag.
        topic: Topic of the image.
        received_ns: When the bag received it, which is what it finds messages by.
    """

    file: Path
    topic: str
    received_ns: int

    def __call__(self) -> bytes:
        """Read it: bytes that are an image file as they are, raw pixels as a JPEG.

        Raises:
            ValueError: If it cannot be read.
        """
        with _one_error(self.file):
            reader = OPENED.open(self.file)
            connections = [c for c in reader.connections if c.topic == self.topic]
            connection, _, content = next(
                reader.messages(connections, start=self.received_ns, stop=self.received_ns + 1)
            )
            message = reader.deserialize(content, connection.msgtype)
            return bytes(message.data) if hasattr(message, "format") else _encode(message)


def recognises(source: Path) -> bool:
    """Return whether a source is a bag, by its name or metadata."""
    if source.is_dir():
        return (source / "metadata.yaml").is_file() and any(
            file.suffix in (".db3", ".mcap") for file in source.iterdir()
        )
    return source.suffix.lower() in (".bag", ".mcap")


def read(source: Path, asked: Asked) -> Collection:
    """Choose images of a bag by the distance travelled.

    Raises:
        ValueError: If it is not a readable bag, or it is not clear which topics are meant.
    """
    found = Collection("a ROS bag")
    with _one_error(source):
        reader = OPENED.open(source)
        topic = _choose_topic(source, reader, asked.topic)
        track = _read_track(source, reader, found) if asked.labels else None
        images = sorted(_list_images(reader, topic, found))
    rows = np.arange(len(images))
    if track is not None:
        times = np.array([time for time, _, _ in images])
        rows = choose_frames(track, times, spacing_m=asked.spacing_m)
        found.crs = None if track.is_local else found.crs
        unplaced = int(np.isnan(track.at(times)[:, 0]).sum())
        found.left_out.add("outside the track, or in its gaps", topic, count=unplaced)
    for row in rows:
        time, received_ns, suffix = images[row]
        name = safe_name([source.stem, f"{round(time / NS)}{suffix}"])
        shot = Shot(name, BagImage(source, topic, received_ns), time=time, sequence=source.stem)
        if track is not None:
            shot = replace(shot, at=track.place(time), heading=track.course(time))
        found.shots.append(shot)
    return found


def _choose_topic(source: Path, reader: Reader, asked: str | None) -> str:
    topics = sorted({str(c.topic) for c in reader.connections if c.msgtype in IMAGES})
    chosen = [topic for topic in topics if asked in (None, topic)]
    if len(chosen) != 1:
        raise ValueError(
            f"{source}: choose the topic of the photos by --topic: one of "
            f"{', '.join(topics) or 'none: the bag has no images'}"
        )
    return chosen[0]


def _read_track(source: Path, reader: Reader, found: Collection) -> Track:
    """Read fixes; where there are none, odometry, which is of no place on Earth."""
    fixes = [
        (time, message.latitude, message.longitude)
        for time, _, message in _messages(reader, FIX)
        if message.status.status >= 0
    ]
    if fixes:
        return make_track(fixes, source=source)
    poses = [
        (time, message.pose.pose.position.x, message.pose.pose.position.y)
        for time, _, message in _messages(reader, ODOMETRY)
    ]
    if not poses:
        raise ValueError(
            f"{source}: expected NavSatFix with a fix, or Odometry, found neither: --no-labels "
            "takes its images without positions"
        )
    found.notes.append(f"{source.name}: placed by odometry: metres, but of no place on Earth")
    return make_track(poses, source=source, is_local=True)


def _list_images(reader: Reader, topic: str, found: Collection) -> Iterator[tuple[float, int, str]]:
    """Yield time, when the bag received it, and suffix of each image that can be read."""
    for time, received_ns, message in _messages(reader, *IMAGES, topic=topic):
        if not hasattr(message, "format"):
            suffix = ".jpg" if message.encoding in TO_RGB else None
            reason = f"images of encoding {message.encoding}"
        else:
            start = bytes(message.data[:4])
            suffix = next((MAGIC[magic] for magic in MAGIC if start.startswith(magic)), None)
            reason = f"images that are neither JPEG nor PNG ({message.format})"
        if suffix is None:
            found.left_out.add(reason, f"{topic} at {time:.3f}")
        else:
            yield time, received_ns, suffix


def _messages(
    reader: Reader, *kinds: str, topic: str | None = None
) -> Iterator[tuple[float, int, Message]]:
    """Yield time, when the bag received it, and message; time is the sensor's, unless it is 0."""
    connections = [c for c in reader.connections if c.msgtype in kinds and topic in (None, c.topic)]
    for connection, received_ns, content in reader.messages(connections) if connections else ():
        message = reader.deserialize(content, connection.msgtype)
        stamp = message.header.stamp
        time = stamp.sec + stamp.nanosec * NS
        yield time if time > 0 else received_ns * NS, received_ns, message


def _encode(message: Message) -> bytes:
    """Write a raw image as a JPEG."""
    channels = 3 if message.encoding in ("bgr8", "rgb8") else 4 if "a8" in message.encoding else 1
    rows = np.asarray(message.data).reshape(message.height, message.step)
    pixels = rows[:, : message.width * channels].reshape(message.height, message.width, channels)
    code = TO_RGB[message.encoding]
    if code is not None:
        pixels = np.asarray(cv2.cvtColor(np.ascontiguousarray(pixels), code), dtype=np.uint8)
    return encode_jpeg(pixels)


class _Opened:
    """The bag that is read now, whose images are asked for one after another."""

    file: Path | None = None
    reader: Reader = None

    def open(self, file: Path) -> Reader:
        """Open a bag, unless it is the one that is open."""
        if self.file != file:
            self.close()
            highlevel = load_package("rosbags.highlevel", file, reads="bags")
            types = load_package("rosbags.typesys", file, reads="bags")
            # Old bags of ROS 2 do not bring the definitions of their messages.
            typestore = types.get_typestore(types.Stores.ROS2_HUMBLE)
            self.reader = highlevel.AnyReader([file], default_typestore=typestore)
            self.reader.open()
            self.file = file
        return self.reader

    def close(self) -> None:
        """Close the bag that is open, if one is."""
        if self.file is not None:
            self.reader.close()
        self.file = self.reader = None


OPENED = _Opened()


@contextmanager
def _one_error(file: Path) -> Iterator[None]:
    """Make all errors of a damaged bag one ValueError."""
    try:
        yield
    except (ValueError, MemoryError):
        raise
    except Exception as error:  # damaged bytes raise many kinds
        words = " ".join(str(error).split())[:120] or type(error).__name__
        raise ValueError(f"{file}: not a readable bag (cut off?): {words}") from None
