"""Drives with measured poses: KITTI odometry and Oxford RobotCar.

KITTI (Geiger et al., CVPR 2012) counts metres from the first camera, x to the right and z forward.
RobotCar (Maddern et al., IJRR 2017) has GPS and inertial positions with north before east, time in
microseconds, angles in radians and images as the sensor's Bayer pattern.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vpr.importing.collection import Asked, Collection, Shot
from vpr.importing.columns import number, read_rows
from vpr.importing.placing import headings_of

WORDS = "KITTI odometry, or a traversal of Oxford RobotCar"
GIVES_WAY = False
KITTI_CAMERA = "image_2"  # the left colour camera; image_0 is the left grey one
ROBOTCAR_CAMERA = "stereo/centre"
FIXES = ("rtk", "ins")  # tables below gps, the better first
FIX_COLUMNS = ("timestamp", "latitude", "longitude", "yaw")
GOOD = "INS_SOLUTION_GOOD"
LONGEST_GAP_S = 1.0  # between two fixes of which a position is interpolated
MICROSECONDS = 1e6
METRES_PER_DEGREE = 111_195.0


@dataclass(frozen=True)
class Demosaiced:
    """A colour image made of a Bayer pattern.

    Args:
        file: A grey image of the sensor's levels.
        pattern: The colours of its first four pixels, row by row: gbrg or rggb.
    """

    file: Path
    pattern: str

    def __call__(self) -> bytes:
        """Make a PNG file."""
        import cv2  # here, since no other form needs it

        code = {"gbrg": cv2.COLOR_BayerGBRG2RGB, "rggb": cv2.COLOR_BayerRGGB2RGB}[self.pattern]
        try:
            with Image.open(self.file) as image:
                levels = np.array(image)
        except OSError as error:
            raise ValueError(f"not a readable image: {error}") from None
        if levels.ndim != 2:
            raise ValueError("in colour, where a Bayer pattern is grey")
        buffer = io.BytesIO()
        Image.fromarray(cv2.cvtColor(levels, code)).save(buffer, "PNG")
        return buffer.getvalue()


def recognises(source: Path) -> bool:
    """Return whether a folder has KITTI's poses and sequences, or RobotCar's gps."""
    is_kitti = (source / "poses").is_dir() and (source / "sequences").is_dir()
    return is_kitti or any((source / f"gps/{name}.csv").is_file() for name in FIXES)


def read(source: Path, asked: Asked) -> Collection:
    """Read one drive; of frames nearer together than `asked.spacing_m`, the first is taken."""
    if (source / "poses").is_dir():
        return _read_kitti(source, asked)
    return _read_robotcar(source, asked)


def _read_kitti(source: Path, asked: Asked) -> Collection:
    names = [file.stem for file in (source / "poses").glob("*.txt")]
    name = asked.choose_part(source, names, kind="sequences with poses")
    poses = _load(source / f"poses/{name}.txt")
    times = _load(source / f"sequences/{name}/times.txt")
    if poses.ndim != 2 or poses.shape[1] != 12 or len(times) != len(poses):
        raise ValueError(
            f"{source}: sequence {name}: expected 12 numbers for each of {len(times)} times, found "
            f"{poses.shape}"
        )
    pose = poses.reshape(-1, 3, 4)  # from camera to the first camera
    places, headings = pose[:, [0, 2], 3], headings_of(pose[:, [0, 2], 2])
    found = Collection(f"KITTI odometry, sequence {name}", crs=None)
    kept = _spread(places, asked.spacing_m)
    for frame in kept:
        image = source / f"sequences/{name}/{KITTI_CAMERA}/{frame:06d}.png"
        shot = Shot(
            f"{name}/{frame:06d}.png", image,
            at=(float(places[frame, 0]), float(places[frame, 1])), time=float(times[frame]),
            heading=float(headings[frame]), sequence=name,
        )  # fmt: skip
        found.add(shot)
    found.left_out.add("nearer to another than --spacing", source, count=len(poses) - len(kept))
    return found


def _read_robotcar(source: Path, asked: Asked) -> Collection:
    camera = asked.subset or ROBOTCAR_CAMERA
    is_stereo = camera.startswith("stereo")
    images = sorted((source / camera).glob("*.png"))
    if not images:
        raise ValueError(f"{source}: expected images in {camera}: name a camera by --subset")
    found = Collection(f"Oxford RobotCar, {source.name}, {camera}")
    fixes = _read_fixes(source, found)
    times = np.array([int(image.stem) for image in images]) / MICROSECONDS
    after = np.searchsorted(fixes[:, 0], times).clip(1, len(fixes) - 1)
    gap = fixes[after, 0] - fixes[after - 1, 0]
    is_inside = (times >= fixes[0, 0]) & (times <= fixes[-1, 0]) & (gap <= LONGEST_GAP_S)
    found.left_out.add(
        "outside the track, or in a gap of it", source, count=int((~is_inside).sum())
    )
    # Positions and the unit vector of the heading, each interpolated between two fixes.
    seen = np.column_stack([np.interp(times, fixes[:, 0], column) for column in fixes.T[1:]])
    headings = headings_of(seen[:, 2:])
    rows = np.flatnonzero(is_inside)
    metres = METRES_PER_DEGREE * seen[rows, :2] * [1, np.cos(np.radians(seen[0, 0]))]
    kept = rows[_spread(metres, asked.spacing_m)]
    found.left_out.add("nearer to another than --spacing", source, count=len(rows) - len(kept))
    if not is_stereo:
        found.notes.append(f"{camera} does not look along the car's heading: headings are left out")
    for row in kept:
        image = images[row]
        shot = Shot(
            f"{source.name}/{camera}/{image.name}",
            Demosaiced(image, "gbrg" if is_stereo else "rggb"),
            at=(float(seen[row, 0]), float(seen[row, 1])), time=float(times[row]),
            heading=float(headings[row]) if is_stereo else None, sequence=source.name,
        )  # fmt: skip
        found.shots.append(shot)
    return found


def _read_fixes(source: Path, found: Collection) -> NDArray[np.float64]:
    """Read time, latitude, longitude, and sine and cosine of the yaw; RTK's where it is there."""
    files = [source / f"gps/{name}.csv" for name in FIXES]
    file = next(file for file in files if file.is_file())
    fixes = []
    for row in read_rows(file, FIX_COLUMNS):
        values = [number(row[name]) for name in FIX_COLUMNS]
        if row.get("ins_status", GOOD) != GOOD or not np.isfinite(values).all():
            found.left_out.add(f"fixes of {file.name} without a good solution", values)
        else:
            time, latitude, longitude, yaw = values
            fixes.append((time / MICROSECONDS, latitude, longitude, np.sin(yaw), np.cos(yaw)))
    if len(fixes) < 2:
        raise ValueError(f"{file}: expected at least two good fixes, found {len(fixes)}")
    return np.array(sorted(fixes))


def _spread(places: NDArray[np.float64], spacing_m: float) -> list[int]:
    """Choose frames by the distance travelled between them."""
    travelled = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(places, axis=0).T))])
    kept, last = [], -np.inf
    for frame, metres in enumerate(travelled.tolist()):
        if metres - last >= spacing_m:
            kept.append(frame)
            last = metres
    return kept


def _load(file: Path) -> NDArray[np.float64]:
    try:
        return np.loadtxt(file, dtype=np.float64, ndmin=1)
    except (OSError, ValueError) as error:
        raise ValueError(f"{file}: not a readable table of numbers: {error}") from None
