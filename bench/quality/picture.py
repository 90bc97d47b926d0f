"""The picture of README: a query of the demo, its first match, and both on the map.

Run from the repository's root after `make run`: `python -m bench.quality.picture`. It asks
`python -m vpr locate` and writes docs/images/locate.jpg.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import vl_convert
from PIL import Image

QUERY = Path("data/sample/queries/0055.jpg")
PICTURE = Path("docs/images/locate.jpg")
WIDTH, MARGIN, GAP = 1200, 28, 24  # units of the drawing; pixels are SCALE times as many
SCALE = 1.25
PHOTO = ((WIDTH - 2 * MARGIN - GAP) // 2, 340)  # width and height
CAPTION = 46
DATABASE, OTHERS, FOUND, INK, PALE = "#0b57a4", "#f0a33a", "#d1242f", "#1f2328", "#656d76"

Place = tuple[float, float]


def locate(photo: Path) -> dict[str, Any]:
    """First match of a photo, from `python -m vpr locate --json`."""
    command = [sys.executable, "-m", "vpr", "locate", str(photo), "--top", "1", "--json"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return dict(json.loads(printed)[0]["matches"][0])


def load_route(table: Path) -> dict[str, Place]:
    """Easting and northing in metres of each photo of a side, by its name."""
    with table.open(newline="", encoding="utf-8") as file:
        return {
            row["path"]: (float(row["easting"]), float(row["northing"]))
            for row in csv.DictReader(file)
        }


def draw_photo(photo: Path, left: int, title: str, caption: str) -> str:
    """A photo that fills its frame, with a title and a caption above."""
    width, height = PHOTO
    content = base64.b64encode(photo.read_bytes()).decode()
    return (
        f'<text x="{left}" y="{MARGIN + 14}" fill="{INK}" font-size="21" font-weight="bold">'
        f'{title}<tspan dx="12" fill="{PALE}" font-size="18" font-weight="normal">{caption}'
        f'</tspan></text><image x="{left}" y="{MARGIN + CAPTION - 18}" width="{width}" '
        f'height="{height}" preserveAspectRatio="xMidYMid slice" '
        f'href="data:image/jpeg;base64,{content}"/>'
    )


def fit(places: list[Place], box: tuple[int, int, int]) -> tuple[Callable[[Place], Place], float]:
    """Fit places, eastings and northings in metres, into a drawing's width, north up.

    The box is left, top and width.

    Returns:
        A function from a place to its point in the drawing, and the drawing's units per metre.
    """
    left, top, width = box
    west, east = min(x for x, _ in places), max(x for x, _ in places)
    north = max(y for _, y in places)
    scale = width / (east - west)
    return lambda place: (left + (place[0] - west) * scale, top + (north - place[1]) * scale), scale


def draw_map(top: int, query: str, match: dict[str, Any]) -> tuple[str, int]:
    """The places of database and queries, and the place found; with the height of the drawing."""
    database = load_route(Path("data/prepared/database.csv"))
    queries = load_route(Path("data/prepared/query.csv"))
    places = [*database.values(), *queries.values()]
    point, scale = fit(places, (MARGIN + 8, top + 44, WIDTH - 2 * MARGIN - 16))
    bottom = max(point(place)[1] for place in places)

    def dots(side: dict[str, Place], colour: str, radius: float) -> str:
        return "".join(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{colour}"/>'
            for x, y in map(point, side.values())
        )

    x, y = point((match["easting"], match["northing"]))
    here_x, here_y = point(queries[query])
    legend = [(DATABASE, f"{len(database)} database photos"), (OTHERS, f"{len(queries)} queries")]
    keys = "".join(
        f'<circle cx="{MARGIN + 8 + 230 * number}" cy="{top + 6}" r="6" fill="{colour}"/>'
        f'<text x="{MARGIN + 24 + 230 * number}" y="{top + 12}" fill="{PALE}" font-size="18">'
        f"{text}</text>"
        for number, (colour, text) in enumerate(legend)
    )
    bar = 100 * scale
    return (
        dots(database, DATABASE, 3.4) + dots(queries, OTHERS, 2.4) + keys
        + f'<circle cx="{here_x:.1f}" cy="{here_y:.1f}" r="5" fill="{OTHERS}" stroke="{INK}"/>'
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="15" fill="none" stroke="{FOUND}" stroke-width="4"/>'
        f'<text x="{x:.1f}" y="{y - 70:.1f}" fill="{FOUND}" font-size="20" text-anchor="middle" '
        f'font-weight="bold">found: {match["easting"]:.0f} E {match["northing"]:.0f} N'
        f'<tspan dx="10" font-weight="normal">{match["metres"]:.1f} m from the query</tspan></text>'
        f'<path d="M{MARGIN + 8} {bottom} h{bar:.1f} m0 -5 v10 m-{bar:.1f} -10 v10" '
        f'stroke="{PALE}" stroke-width="2" fill="none"/>'
        f'<text x="{MARGIN + 20 + bar:.1f}" y="{bottom + 6}" fill="{PALE}" font-size="18">100 m'
        "</text>"
    ), round(bottom - top) + MARGIN  # fmt: skip


def main() -> None:
    """Locate the query and write the picture."""
    match = locate(QUERY)
    sure = f"distance {match['distance']:.2f}"
    if "inliers" in match:
        sure += f", {match['inliers']} inliers"
    folder = QUERY.parent.parent
    name = str(QUERY.relative_to(folder))
    top = MARGIN + CAPTION + PHOTO[1] + 12
    route, height = draw_map(top, name, match)
    drawing = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{top + height}" '
        'font-family="DejaVu Sans, sans-serif"><rect width="100%" height="100%" fill="white"/>'
        + draw_photo(QUERY, MARGIN, "Query", name)
        + draw_photo(
            folder / match["database"], MARGIN + PHOTO[0] + GAP, "First match",
            f"{match['database']}, {sure}",
        )
        + route
        + "</svg>"
    )  # fmt: skip
    picture = Image.open(io.BytesIO(vl_convert.svg_to_png(drawing, scale=SCALE))).convert("RGB")
    picture.save(PICTURE, quality=88, subsampling=0)
    print(f"{PICTURE}: {sure}, {match['metres']:.1f} m from the query")


if __name__ == "__main__":
    main()
