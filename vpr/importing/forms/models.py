"""Structure-from-motion models with their images: COLMAP, as text or binary, and kapture."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from vpr.images.file_kinds import READ_SUFFIXES
from vpr.importing.collection import DEGREES, Asked, Collection, Shot, Side
from vpr.importing.columns import number
from vpr.importing.placing import headings_of, safe_name

WORDS = "a COLMAP model or a kapture data set"
GIVES_WAY = False
MODELS = ("", "sparse/0", "sparse", "model")  # where a COLMAP model lies in a folder
SIDES: dict[str, Side] = {
    "mapping": "database", "db": "database", "database": "database",
    "query": "query", "queries": "query",
}  # fmt: skip
KAPTURE_PARTS: dict[Side | None, str] = {"database": "mapping", "query": "query"}
POSE = struct.Struct("<i7di")  # image, quaternion w x y z, translation, camera
POINT_BYTES = 24
ARBITRARY = (
    "positions are in the model's own unit, on the plane that fits its cameras: unless the model "
    "is scaled to metres, choose prepare.radius_m in that unit"
)

Pose = tuple[float, ...]  # quaternion w x y z and translation, from world to camera
Poses = dict[tuple[str, str], Pose]  # by time and device, or by rig and device
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Posed:
    """An image with its pose.

    Args:
        name: Path below the folder of images.
        file: The image.
        pose: From world to camera.
        side: The side that the model assigns it to.
    """

    name: str
    file: Path
    pose: Pose
    side: Side | None = None


def recognises(source: Path) -> bool:
    """Return whether a folder has COLMAP's images.txt or images.bin, or kapture's sensors."""
    return _find_model(source) is not None or bool(_kapture_parts(source))


def read(source: Path, asked: Asked) -> Collection:
    """Read a model: its camera centres, or kapture's GNSS positions if every image has one."""
    parts = _kapture_parts(source)
    if parts:
        return _read_kapture(source, parts)
    file = _find_model(source)
    if file is None:
        raise ValueError(f"{source}: expected cameras and images as .txt or .bin, of COLMAP")
    found = Collection(f"COLMAP model, {file.relative_to(source)}", crs=None, notes=[ARBITRARY])
    images = asked.images or source / "images"
    poses = _read_binary(file) if file.suffix == ".bin" else _read_text(file)
    _add(found, _by_folder([Posed(name, images / name, pose) for name, pose in poses]))
    return found


def _find_model(source: Path) -> Path | None:
    files = (source / folder / f"images.{kind}" for folder in MODELS for kind in ("bin", "txt"))
    cameras = ((file, file.with_stem("cameras")) for file in files)
    return next((file for file, other in cameras if file.is_file() and other.is_file()), None)


def _by_folder(posed: list[Posed]) -> list[Posed]:
    """Assign sides by the first folder of names, if both are there, as in Aachen."""
    sides = {one: SIDES.get(PurePosixPath(one.name).parts[0].lower()) for one in posed}
    if {"database", "query"} <= set(sides.values()):
        return [replace(one, side=side) for one, side in sides.items()]
    return posed


def _add(found: Collection, posed: list[Posed]) -> None:
    """Add images that are there, on the plane that fits all."""
    kept = []
    for one in posed:
        path = PurePosixPath(one.name)
        if path.is_absolute() or ".." in path.parts:
            found.left_out.add("with a name that leads out of the folder", one.name)
        elif path.suffix.lower() not in READ_SUFFIXES:
            found.left_out.add("of a format that is not read", one.name)
        elif not one.file.is_file():
            found.left_out.add("without an image", one.file)
        else:
            kept.append(one)
    if not kept:
        return
    poses = np.array([one.pose for one in kept])
    turns = Rotation.from_quat(poses[:, :4], scalar_first=True)
    places, headings = _lay_flat(turns.as_matrix(), -turns.inv().apply(poses[:, 4:]))
    for one, (east, north), heading in zip(kept, places.tolist(), headings.tolist(), strict=True):
        name = _name(one.name, one.side)
        found.shots.append(Shot(name, one.file, at=(east, north), heading=heading, side=one.side))


def _lay_flat(rotation: Floats, centres: Floats) -> tuple[Floats, Floats]:
    """Lay cameras on the plane that fits their centres, seen from above.

    The plane is that of the two largest principal axes; above is where the cameras' upper edges
    point on average, so the map is not mirrored. Its northing axis is the second principal axis.

    Args:
        rotation: From world to camera (x right, y down, z forward), shape (n, 3, 3).
        centres: Shape (n, 3).

    Returns:
        Easting and northing in the model's unit, shape (n, 2), the first camera at the origin; and
        headings in degrees clockwise from the northing axis, shape (n,).
    """
    up = -rotation[:, 1].mean(axis=0)
    away = centres - centres.mean(axis=0)
    _, axes = np.linalg.eigh(away.T @ away)  # by increasing variance, in columns
    east, north = axes[:, 2], axes[:, 1]
    east = east * np.sign(east[np.abs(east).argmax()])  # LAPACK's sign is arbitrary
    if np.cross(east, north) @ up < 0:
        north = -north
    plane = np.stack([east, north], axis=1)  # (3, 2)
    forward = rotation[:, 2] @ plane
    return (centres - centres[0]) @ plane, headings_of(forward)


def _name(name: str, side: Side | None) -> str:
    """Name an image in the set, below its side unless its folder is."""
    parts = PurePosixPath(name).parts
    return safe_name(parts if side is None or parts[0].lower() in SIDES else (side, *parts))


def _read_text(file: Path) -> Iterator[tuple[str, Pose]]:
    """Read images.txt: two lines an image, the second may be blank; names may have spaces."""
    with file.open(encoding="utf-8") as lines:
        rows = (line.rstrip("\r\n") for line in lines if not line.startswith("#"))
        for row in rows:
            if not row.strip():
                continue  # before the first image, or at the end
            fields = row.split(maxsplit=9)
            pose = tuple(map(number, fields[1:8]))
            if len(fields) != 10 or not np.isfinite(pose).all():
                raise ValueError(
                    f"{file}: expected IMAGE_ID, QW QX QY QZ, TX TY TZ, CAMERA_ID, NAME, found "
                    f"{row[:80]!r}"
                )
            yield fields[9], pose
            next(rows, None)  # its points


def _read_binary(file: Path) -> Iterator[tuple[str, Pose]]:
    """Read images.bin; what it claims is checked against its size."""
    content = file.read_bytes()
    try:
        (count,) = struct.unpack_from("<Q", content)
        at = 8
        for _ in range(count):
            _, *pose, _ = POSE.unpack_from(content, at)
            at += POSE.size
            end = content.index(b"\0", at)
            name = content[at:end].decode()
            (num_points,) = struct.unpack_from("<Q", content, end + 1)
            at = end + 9 + POINT_BYTES * num_points
            if at > len(content) or not np.isfinite(pose).all():
                raise ValueError("it is cut off or damaged")
            yield name, tuple(pose)
    except (struct.error, ValueError) as error:
        raise ValueError(f"{file}: not a readable COLMAP model: {error}") from None


def _kapture_parts(source: Path) -> dict[Side | None, Path]:
    """Find kapture's folders: one, or a mapping and a query part."""
    if (source / "sensors/records_camera.txt").is_file():
        return {None: source}
    parts = {side: source / name for side, name in KAPTURE_PARTS.items()}
    is_whole = all((part / "sensors/records_camera.txt").is_file() for part in parts.values())
    return parts if is_whole else {}


def _read_kapture(source: Path, parts: dict[Side | None, Path]) -> Collection:
    found = Collection("kapture", crs=None, notes=[ARBITRARY])
    globe: dict[str, tuple[float, float]] = {}
    posed = []
    for side, part in parts.items():
        sensors = part / "sensors"
        rigs, poses = _poses(sensors / "rigs.txt"), _poses(sensors / "trajectories.txt")
        fixes = {time: (number(row[1]), number(row[0]))  # longitude first
                 for time, _, *row in _lines(sensors / "records_gnss.txt")}  # fmt: skip
        for time, device, image in _lines(sensors / "records_camera.txt"):
            pose = poses.get((time, device)) or _of_rig(poses, rigs, time, device)
            if time in fixes:
                globe[_name(image, side)] = fixes[time]
            if pose is None or not np.isfinite(pose).all() or len(pose) != 7:
                found.left_out.add("without a pose", image)
            else:
                posed.append(Posed(image, sensors / "records_data" / image, pose, side))
    _add(found, posed)
    if found.shots and all(shot.name in globe for shot in found.shots):
        found.crs, found.notes = DEGREES, []
        found.shots = [replace(shot, at=globe[shot.name], heading=None) for shot in found.shots]
    return found


def _of_rig(poses: Poses, rigs: Poses, time: str, device: str) -> Pose | None:
    """Pose of a camera of a rig: from the world to the rig, then to the camera."""
    for (rig, camera), mounted in rigs.items():
        whole = poses.get((time, rig))
        if camera == device and whole is not None:
            turn, turn_of_rig = (
                Rotation.from_quat(pose[:4], scalar_first=True) for pose in (mounted, whole)
            )
            turned = (turn * turn_of_rig).as_quat(scalar_first=True)
            return (*turned.tolist(), *(turn.apply(whole[4:]) + mounted[4:]).tolist())
    return None


def _poses(file: Path) -> Poses:
    """Read poses by the two names before them."""
    return {(one, other): tuple(map(number, pose)) for one, other, *pose in _lines(file)}


def _lines(file: Path) -> Iterator[list[str]]:
    """Yield the cells of a kapture file without its comments; none if there is no such file."""
    if file.is_file():
        with file.open(encoding="utf-8") as lines:
            for line in lines:
                if line.strip() and not line.startswith("#"):
                    yield [cell.strip() for cell in line.split(",")]
