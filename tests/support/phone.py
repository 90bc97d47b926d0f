"""The demo set as a phone would have taken it: a folder of photos with EXIF data, on two days."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.ExifTags import GPS, IFD, Base

from vpr.datasets.formats import parse_set
from vpr.places.crs import latitude_longitude

DAYS = datetime(2026, 5, 1, 10), datetime(2026, 10, 2, 15)  # of database and queries


def take_photos(sample: Path, folder: Path) -> None:
    """Write each photo of the demo set with its place and direction, and a time of its side's day.

    The demo's camera looks along the street, so photos look where the next ones lie.
    """
    folder.mkdir(parents=True)
    truth = parse_set(sample, None)
    for index, day in zip((truth.database, truth.query), DAYS, strict=True):
        degrees = latitude_longitude(index.coordinates, "EPSG:32633")
        east, north = np.gradient(index.coordinates, axis=0).T
        directions = np.degrees(np.arctan2(east, north)) % 360
        rows = zip(index.paths, degrees, directions, strict=True)
        for number, (name, place, direction) in enumerate(rows):
            exif, time = Image.Exif(), day + timedelta(seconds=4 * number)
            latitude, longitude = (_sexagesimal(float(angle)) for angle in place)
            exif.get_ifd(IFD.GPSInfo).update({
                GPS.GPSLatitudeRef: "N", GPS.GPSLatitude: latitude,
                GPS.GPSLongitudeRef: "E", GPS.GPSLongitude: longitude,
                GPS.GPSImgDirectionRef: "T", GPS.GPSImgDirection: float(direction),
            })  # fmt: skip
            exif.get_ifd(IFD.Exif).update({
                Base.DateTimeOriginal: f"{time:%Y:%m:%d %H:%M:%S}",
                Base.OffsetTimeOriginal: "+02:00",
            })  # fmt: skip
            with Image.open(sample / name) as photo:
                photo.save(folder / f"IMG_{time:%Y%m%d_%H%M%S}.jpg", exif=exif, quality=95)


def _sexagesimal(angle: float) -> tuple[float, float, float]:
    minutes = (angle - np.floor(angle)) * 60
    return float(np.floor(angle)), float(np.floor(minutes)), float(minutes % 1 * 60)
