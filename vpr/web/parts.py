"""Where the scripts and styles are that pages share, in the order in which they are loaded.

Leaflet needs no WebGL and no worker, and draws metres of no place on Earth too; protomaps-leaflet
draws a background map from a PMTiles file. `make pages` makes them from the packages that
package-lock.json names, with their licences at their heads.
"""

from __future__ import annotations

from pathlib import Path

WEB = Path(__file__).parent
SHARED_STYLES = ("leaflet.css", "map.css")
SHARED_SCRIPTS = ("leaflet.js", "map.js", "pairs.js")
OF_PMTILES = "protomaps-leaflet.js"
