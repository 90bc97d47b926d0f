// The map: places of the database as dots, and the matches by their ranks. North is up.
"use strict";

const SVG = "http://www.w3.org/2000/svg";
const MARGIN = 0.12; // of the longer side, around what is shown
const LEAST = 40; // metres that are shown, at least

function shape(tag, attributes, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function boxAround(easts, northings) {
  const least = (values) => values.reduce((a, b) => Math.min(a, b), Infinity);
  const most = (values) => values.reduce((a, b) => Math.max(a, b), -Infinity);
  const [west, east, south, north] = [least(easts), most(easts), least(northings), most(northings)];
  const side = Math.max(east - west, north - south, LEAST);
  const pad = MARGIN * side;
  const [width, height] = [Math.max(east - west, side / 2), Math.max(north - south, side / 2)];
  return [(west + east - width) / 2 - pad, -(south + north + height) / 2 - pad, width + 2 * pad, height + 2 * pad];
}

function dots(places, unit) {
  const path = places.easting.map((east, i) => `M${east} ${-places.northing[i]}h0`).join("");
  return shape("path", { class: "database", d: path, "stroke-width": 5 * unit });
}

function mark(match, unit) {
  const size = match.rank === 1 ? 13 : 10;
  const at = { x: match.easting, y: -match.northing };
  const name = match.rank === 1 ? "match first" : "match";
  return shape("g", {},
    shape("circle", { class: name, cx: at.x, cy: at.y, r: size * unit }),
    shape("text", { ...at, "font-size": 1.2 * size * unit }, String(match.rank)));
}

// Draws into an element; `near`: only around the matches.
function drawMap(target, places, matches, near, label) {
  const shown = near
    ? [matches.map((match) => match.easting), matches.map((match) => match.northing)]
    : [places.easting, places.northing];
  const box = boxAround(...shown);
  const unit = Math.max(box[2] / target.clientWidth, box[3] / 300); // metres of a pixel, about
  const svg = shape("svg", { viewBox: box.join(" "), role: "img", "aria-label": label },
    dots(places, unit), ...[...matches].reverse().map((match) => mark(match, unit)));
  target.replaceChildren(svg);
}
