"""Where the scripts and styles are that pages share, in the order in which they are loaded.

`leaflet.js` and `leaflet.css` are Leaflet's, with its licence at their heads; `make pages` makes
them from the package that package-lock.json names. Leaflet needs no WebGL and no worker, and draws
metres of no place on Earth too.
"""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent
STYLES = ("leaflet.css", "map.css")
SCRIPTS = ("leaflet.js", "map.js", "pairs.js")
