"""GSV-Cities (Ali-bey et al., Neurocomputing 2022): `Dataframes/CITY.csv` and `Images/CITY/`."""

from __future__ import annotations

import math
from pathlib import Path

from vpr.importing.collection import Asked, Collection, Shot
from vpr.importing.columns import number, read_rows, start_of

WORDS = "GSV-Cities"
GIVES_WAY = False
COLUMNS = ("place_id", "year", "month", "northdeg", "city_id", "lat", "lon", "panoid")
PER_CITY = 10**5  # place_id counts on from city to city, names within one


def recognises(source: Path) -> bool:
    """Return whether a folder has the set's two folders."""
    return (source / "Images").is_dir() and any((source / "Dataframes").glob("*.csv"))


def read(source: Path, asked: Asked) -> Collection:
    """Read one city; the months of a place are split like days."""
    cities = [table.stem for table in (source / "Dataframes").glob("*.csv")]
    city = asked.choose_part(source, cities, kind="cities")
    found = Collection(f"GSV-Cities, {city}")
    for row in read_rows(source / "Dataframes" / f"{city}.csv", COLUMNS):
        values = [number(row[name]) for name in COLUMNS[:4]]
        at = number(row["lat"]), number(row["lon"])
        if not all(map(math.isfinite, (*values, *at))):
            found.left_out.add("rows that lack a number", row)
            continue
        place, year, month, north = map(int, values)
        # Numbers as the set's own loader writes them, which reads them as floats.
        name = (
            f"{city}_{place % PER_CITY:07d}_{year}_{month:02d}_{north:03d}_{at[0]}_{at[1]}_"
            f"{row['panoid']}.jpg"
        )
        image, time = source / "Images" / city / name, start_of(f"{year}{month:02d}")
        found.add(Shot(f"{city}/{name}", image, at=at, time=time, heading=float(north % 360)))
    return found
