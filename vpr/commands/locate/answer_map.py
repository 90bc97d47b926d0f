"""Where a photo's matches lie among the database's places, drawn for the page."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from vpr.locating.matches import Located, Places

MOST_POINTS = 3000  # of the database
WIDTH_PX, MARGIN = 460, 0.06  # the margin is a share of the longer side
LEAST_M = 40.0  # that is shown


def draw_answer(located: Located, places: Places) -> Markup | None:
    """Draw the database's places, the matches by their ranks, and the estimated position.

    Returns:
        An SVG element, north up; None if the database's positions are unknown.
    """
    coordinates = places.database.coordinates
    if np.isnan(coordinates).any():
        return None
    # From a corner, since browsers draw in 32 bits; rows of the picture count downwards.
    corner = np.array([coordinates[:, 0].min(), coordinates[:, 1].max()])
    points = (coordinates - corner) * (1, -1)
    longer = max(*np.ptp(points, axis=0), LEAST_M)
    unit, margin = longer / WIDTH_PX, MARGIN * longer
    width, height = np.maximum(np.ptp(points, axis=0), longer / 4) + 2 * margin
    dots = points[:: max(1, len(points) // MOST_POINTS)].round(2).tolist()
    drawn = "".join(f"M{x} {y}h0" for x, y in dots)
    lines = [
        f'<path class="database" stroke-width="{5 * unit:.3f}" d="{drawn}"/>',
        *(_mark(m.rank, points[m.image], unit) for m in reversed(located.matches)),
    ]
    position = located.position
    if position is not None:
        x, y = (np.array([position.easting, position.northing]) - corner) * (1, -1)
        radius = max(position.uncertainty_m or 0.0, 14 * unit)
        lines.append(f'<circle class="position" cx="{x:.2f}" cy="{y:.2f}" r="{radius:.2f}" '
                     f'stroke-width="{3 * unit:.3f}"/>')  # fmt: skip
    box = f"{-margin:.2f} {-margin - max(0.0, longer / 4 - np.ptp(points[:, 1])) / 2:.2f}"
    label = f"Map of {len(points)} places; the matches are numbered, the answer is circled"
    return Markup(  # noqa: S704 - numbers only
        f'<svg viewBox="{box} {width:.2f} {height:.2f}" role="img" aria-label="{label}">'
        f"{''.join(lines)}</svg>"
    )


def _mark(rank: int, place: NDArray[np.float64], unit: float) -> str:
    x, y = place.round(2).tolist()
    size = (11 if rank == 1 else 8) * unit
    return (
        f'<circle class="match" cx="{x}" cy="{y}" r="{size:.2f}"/>'
        f'<text x="{x}" y="{y}" font-size="{1.2 * size:.2f}">{rank}</text>'
    )
