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

// East and south of the first place: browsers draw in 32 bits, too few for metres from an equator.
function moved(places) {
  const [east, north] = [places.easting[0], places.northing[0]];
  return (easting, northing) => [easting - east, north - northing];
}

function boxAround(points) {
  const least = (axis) => points.reduce((found, point) => Math.min(found, point[axis]), Infinity);
  const most = (axis) => points.reduce((found, point) => Math.max(found, point[axis]), -Infinity);
  const sides = [0, 1].map((axis) => most(axis) - least(axis));
  const longer = Math.max(...sides, LEAST);
  const [width, height] = sides.map((side) => Math.max(side, longer / 3) + 2 * MARGIN * longer);
  return [(least(0) + most(0) - width) / 2, (least(1) + most(1) - height) / 2, width, height];
}

function dots(points, unit) {
  const path = points.map(([x, y]) => `M${x} ${y}h0`).join("");
  return shape("path", { class: "database", d: path, "stroke-width": 6 * unit });
}

// A short line from each place the way that its photo looks.
function sights(points, towards, unit) {
  const path = points.map(([x, y], i) => {
    if (towards[i] === null) return "";
    const angle = towards[i] * Math.PI / 180;
    return `M${x} ${y}l${9 * unit * Math.sin(angle)} ${-9 * unit * Math.cos(angle)}`;
  }).join("");
  return shape("path", { class: "database", d: path, "stroke-width": 1.5 * unit });
}

function mark(rank, [x, y], unit) {
  const size = (rank === 1 ? 13 : 10) * unit;
  return shape("g", {},
    shape("circle", { class: rank === 1 ? "match first" : "match", cx: x, cy: y, r: size }),
    shape("text", { x, y, "font-size": 1.2 * size }, String(rank)));
}

// Draws into an element; `near`: only around the matches.
function drawMap(target, places, matches, near, label) {
  const move = moved(places);
  const points = places.easting.map((east, i) => move(east, places.northing[i]));
  const found = matches.map((match) => move(match.easting, match.northing));
  const box = boxAround(near ? found : points);
  const svg = shape("svg", { viewBox: box.join(" "), role: "img", "aria-label": label });
  target.replaceChildren(svg);
  const unit = Math.max(box[2] / svg.clientWidth, box[3] / svg.clientHeight); // metres of a pixel
  if (places.towards) svg.append(sights(points, places.towards, unit));
  svg.append(dots(points, unit), ...found.map((point, i) => mark(matches[i].rank, point, unit)).reverse());
}
