"""A picture of an import's two sides, before anything is computed: `map.svg`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from vpr.importing.collection import Shot, Side

WIDTH_PX, MARGIN_PX = 800, 40
MOST_POINTS = 3000  # of a side
COLOURS: dict[Side, str] = {"database": "#4477aa", "query": "#cc3311"}


def draw_map(sides: Mapping[Side, Sequence[Shot]]) -> str | None:
    """Draw the places of both sides, north up, with a bar of their scale; None without places.

    Args:
        sides: Photos of each side; positions are easting and northing in metres.
    """
    places = {
        side: np.array([shot.at for shot in shots if shot.at is not None]).reshape(-1, 2)
        for side, shots in sides.items()
    }
    every = np.concatenate([*places.values()])
    if not len(every):
        return None
    low, extent = every.min(axis=0), np.maximum(np.ptp(every, axis=0), 1.0)
    scale = (WIDTH_PX - 2 * MARGIN_PX) / extent.max()
    height = round(extent[1] * scale) + 3 * MARGIN_PX
    bar_m = 10 ** int(np.log10(extent.max() / 2))
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH_PX}" height="{height}" '
        'font-family="sans-serif" font-size="14"><rect width="100%" height="100%" fill="white"/>'
    ]
    for row, (side, those) in enumerate(places.items()):
        points = (those[:: max(1, len(those) // MOST_POINTS)] - low) * scale
        lines += [
            f'<circle cx="{east + MARGIN_PX:.1f}" cy="{height - MARGIN_PX - north:.1f}" r="3" '
            f'fill="{COLOURS[side]}" fill-opacity="0.6"/>'
            for east, north in points
        ]
        lines.append(
            f'<text x="{MARGIN_PX + 160 * row}" y="24" fill="{COLOURS[side]}">{side} '
            f"({len(sides[side]):,})</text>"
        )
    end = WIDTH_PX - MARGIN_PX
    lines.append(
        f'<path d="M{end - bar_m * scale:.1f} 30H{end}" stroke="black" stroke-width="2"/>'
        f'<text x="{end}" y="22" text-anchor="end">{bar_m:,} m</text></svg>'
    )
    return "\n".join(lines) + "\n"
