"""Camera poses of no place on Earth: centres, a plane to lay them on, and headings on it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def rotation_of(quaternion: Array) -> Array:
    """Rotation matrices of quaternions w, x, y, z, shape (n, 4), which need not be unit: (n, 3, 3).

    Raises:
        ValueError: If a quaternion has no length.
    """
    lengths = np.linalg.norm(quaternion, axis=1, keepdims=True)
    if not (lengths > 0).all():
        raise ValueError("a rotation is given as a quaternion of length 0")
    w, x, y, z = (quaternion / lengths).T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows), 2, 0)


def centres_of(rotation: Array, translation: Array) -> Array:
    """Camera centres -R^T t of poses from world to camera, shapes (n, 3, 3) and (n, 3)."""
    centres: Array = np.einsum("nji,nj->ni", rotation, translation)
    return -centres


def lay_flat(rotation: Array, centres: Array) -> tuple[Array, Array]:
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


def headings_of(forward: Array) -> Array:
    """Headings of directions east and north, shape (n, 2), in degrees clockwise from north."""
    headings: Array = np.degrees(np.arctan2(forward[:, 0], forward[:, 1])) % 360
    return headings
