"""The background of the page's map: tiles from an address, or from a PMTiles file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

SERVED = "background.pmtiles"  # address of the file
ADDRESS = re.compile(r"https?://[^/\s'\";,{}]+/\S*")
SLOTS = ("{z}", "{x}", "{y}")
# Header of PMTiles, version 3 (github.com/protomaps/PMTiles/blob/main/spec/v3/spec.md).
MAGIC, TYPE, DEEPEST, VECTOR = b"PMTiles\x03", 99, 101, 1


@dataclass(frozen=True)
class Background:
    """What is drawn below the places.

    Args:
        url: Where the page finds it: an address with {z}, {x} and {y}, or `SERVED`.
        attribution: Whose it is, in HTML.
        deepest: The deepest zoom of the file; None of tiles from an address.
        file: The file; None likewise.
    """

    url: str
    attribution: str
    deepest: int | None
    file: Path | None

    @property
    def origin(self) -> str | None:
        """Scheme and host that the page loads it from; None: this service."""
        return None if self.file else "/".join(self.url.split("/")[:3])


def parse_background(tiles: str | None, attribution: str) -> Background | None:
    """Find the background that a person asked for.

    Args:
        tiles: An address, as https://HOST/{z}/{x}/{y}.png, or the path of a PMTiles file.
        attribution: Whose it is, in HTML.

    Returns:
        The background; None: there is none.

    Raises:
        ValueError: If it is neither, or only one of both is given.
    """
    if bool(tiles) != bool(attribution):
        raise ValueError("--tiles and --attribution: a background map needs both, or neither")
    if not tiles:
        return None
    if ADDRESS.fullmatch(tiles) and all(slot in tiles for slot in SLOTS):
        return Background(tiles, attribution, None, None)
    file = Path(tiles)
    if not file.is_file():
        raise ValueError(
            f"--tiles {tiles}: expected https://HOST/{{z}}/{{x}}/{{y}}.png, or a PMTiles file"
        )
    with file.open("rb") as stream:
        head = stream.read(DEEPEST + 1)
    if len(head) <= DEEPEST or not head.startswith(MAGIC) or head[TYPE] != VECTOR:
        raise ValueError(f"--tiles {tiles}: expected a PMTiles file, version 3, of vector tiles")
    return Background(SERVED, attribution, head[DEEPEST], file.resolve())
