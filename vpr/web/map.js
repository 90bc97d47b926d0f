// A map that pans and zooms: places as dots, and marks on it. It loads nothing unless it is given tiles.
// Places are in degrees, or in the set's own easting and northing if it names no reference system.
"use strict";

const DOT = 3; // pixels, radius of a place
const SIGHT = 9; // pixels, length of the line the way a place's photo looks
const CLOSEST = { globe: 19, plane: 0 }; // zoom at which a single point is shown

function spotOf({ latitude, longitude, easting, northing }) {
  return latitude === null ? [northing, easting] : [latitude, longitude];
}

// Many places are drawn tile by tile, as tiles are scrolled into view.
const Dots = L.GridLayer.extend({
  initialize(spots, towards) {
    Object.assign(this, { spots, towards, projected: new Map() });
  },
  pixels(zoom) {
    if (!this.projected.has(zoom)) this.projected.set(zoom, this.spots.map((spot) => this._map.project(spot, zoom)));
    return this.projected.get(zoom);
  },
  createTile({ x, y, z }) {
    const size = this.getTileSize().x;
    const tile = document.createElement("canvas");
    tile.width = tile.height = size * devicePixelRatio;
    const pen = tile.getContext("2d");
    pen.scale(devicePixelRatio, devicePixelRatio);
    pen.fillStyle = pen.strokeStyle = getComputedStyle(this._map.getContainer()).getPropertyValue("--database");
    for (const [number, at] of this.pixels(z).entries()) {
      const [left, top] = [at.x - x * size, at.y - y * size];
      if (Math.min(left, top) < -SIGHT || Math.max(left, top) > size + SIGHT) continue;
      pen.beginPath();
      pen.arc(left, top, DOT, 0, 2 * Math.PI);
      pen.fill();
      const angle = this.towards?.[number];
      if (typeof angle !== "number") continue;
      pen.moveTo(left, top);
      pen.lineTo(left + SIGHT * Math.sin(angle * Math.PI / 180), top - SIGHT * Math.cos(angle * Math.PI / 180));
      pen.stroke();
    }
    return tile;
  },
});

// places: columns easting, northing, latitude, longitude (null if unknown) and towards (degrees or null).
// tiles: { url, attribution, deepest } or null. Returns the map; `map.marks` is a group to put marks into.
function makeMap(target, places, tiles, words) {
  const globe = places.latitude !== null;
  const map = L.map(target, {
    crs: globe ? L.CRS.EPSG3857 : L.CRS.Simple, minZoom: globe ? 1 : -12, maxZoom: globe ? 22 : 6,
    zoomSnap: 0.5, zoomControl: false, attributionControl: false,
  });
  L.control.zoom({ zoomInTitle: words.zoomIn, zoomOutTitle: words.zoomOut }).addTo(map);
  if (globe) L.control.scale({ imperial: false }).addTo(map);
  if (tiles && globe) {
    L.control.attribution({ prefix: false }).addTo(map);
    backgroundOf(tiles).addTo(map);
  }
  const spots = places.easting.map((easting, row) => spotOf({
    easting, northing: places.northing[row],
    latitude: globe ? places.latitude[row] : null, longitude: globe ? places.longitude[row] : null,
  }));
  Object.assign(map, { spots, closest: CLOSEST[globe ? "globe" : "plane"] });
  showSpots(map, spots);
  const dots = new Dots(spots, places.towards).addTo(map);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => dots.redraw());
  map.marks = L.featureGroup().addTo(map);
  return map;
}

// deepest: the deepest zoom of a PMTiles file, which protomaps-leaflet.js draws; null: tiles of an address.
function backgroundOf({ url, attribution, deepest }) {
  if (deepest === null) return L.tileLayer(url, { attribution, maxNativeZoom: 19, maxZoom: 22 });
  const flavor = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  return protomapsL.leafletLayer({ url, attribution, flavor, maxDataZoom: deepest, lang: document.documentElement.lang });
}

function showSpots(map, spots) {
  map.fitBounds(L.latLngBounds(spots), { padding: [40, 40], maxZoom: map.closest, animate: false });
}

function badge(className, above, ...content) {
  const html = document.createElement("span");
  html.append(...content);
  return L.divIcon({ className: `badge ${className}`, html, iconSize: [26, 26], iconAnchor: [13, 13 + above] });
}

// A numbered mark above its place, which a click or Enter chooses.
function numberMark(spot, number, title, className, choose) {
  return L.marker(spot, { icon: badge(`number ${className}`, 24, String(number)), title, riseOnHover: true }).on("click", choose);
}

// Where a photo was taken: a dot, an arrow if it is known where it looks, a circle if its error is known.
function placeMark(spot, { heading, uncertainty_m: radius }, title) {
  const marks = L.featureGroup();
  if (radius !== null) L.circle(spot, { radius, className: "within", interactive: false }).addTo(marks);
  const arrow = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  arrow.setAttribute("viewBox", "-13 -13 26 26");
  arrow.setAttribute("aria-hidden", "true"); // the marker has a title
  const shapes = heading === null ? ["M-6 0a6 6 0 1 0 12 0a6 6 0 1 0-12 0"] : ["M0-12L8 8L0 4L-8 8Z"];
  for (const d of shapes) {
    const path = document.createElementNS(arrow.namespaceURI, "path");
    path.setAttribute("d", d);
    path.setAttribute("transform", `rotate(${heading ?? 0})`);
    arrow.append(path);
  }
  return marks.addLayer(L.marker(spot, { icon: badge("place", 0, arrow), title, keyboard: false, zIndexOffset: 1000 }));
}
