// The map page: places of the database, queries, and a line from each query to its first prediction.
"use strict";

const COUNT = REPORT.query.path.length;
const FIRST = REPORT.top.index.map((row) => row[0]);
const REACH = 12; // pixels from a place of the database at which a click means it
const KINDS = LABELLED
  ? [["wrong", "wrong", (query) => !isRight(query)], ["right", "right", isRight]]
  : [["found here", "accent", () => true]];
const { database, query: asked } = REPORT;
const canvas = L.canvas({ tolerance: 4 });
let chosen = null;
let map = null;
let mark = null; // of the chosen query

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function pairOf(query) { // a query of unknown position is drawn where it was found
  const found = map.spots[FIRST[query]];
  if (asked.east[query] === null) return [found, found];
  return [database.lat ? [asked.lat[query], asked.lon[query]] : [asked.north[query], asked.east[query]], found];
}

function words(query) {
  const far = metres(REPORT.top.metres[query][0]);
  const lines = [`Query ${query}: ${asked.path[query]}`, [verdict(query), far].filter(Boolean).join(", "), position("query", query)];
  return element("div", {}, ...lines.filter(Boolean).map((line) => element("div", {}, line)));
}

// Right queries are full and their lines solid; wrong ones are hollow and dashed.
function drawKind([name, shade, belongs]) {
  const color = colour(shade);
  const isWrong = name === "wrong";
  const queries = [...Array(COUNT).keys()].filter(belongs);
  const lines = queries.map((query) => L.polyline(pairOf(query), {
    renderer: canvas, interactive: false, color, weight: isWrong ? 1 : 2, dashArray: isWrong ? "3 4" : null,
  }));
  const points = queries.map((query) => L.circleMarker(pairOf(query)[0], {
    renderer: canvas, bubblingMouseEvents: false, color, radius: 5, weight: 2, fill: true, fillOpacity: isWrong ? 0.15 : 1, query,
  }).bindTooltip(() => words(query)).on("click", () => choose(query)));
  return [L.featureGroup([...lines, ...points]), queries.length];
}

function draw() {
  map.marks.clearLayers();
  const legend = KINDS.map((kind) => {
    const [group, count] = drawKind(kind);
    group.addTo(map.marks);
    const box = element("input", { type: "checkbox", checked: true });
    box.addEventListener("change", () => (box.checked ? group.addTo(map.marks) : map.marks.removeLayer(group)));
    const sign = element("span", { className: kind[1] }, kind[0] === "wrong" ? " ○ " : " ● ");
    return element("label", {}, box, sign, `${kind[0]} (${count})`);
  });
  document.getElementById("legend").replaceChildren(...legend);
  if (chosen !== null) markChosen();
}

function markChosen() {
  mark?.remove();
  const [from, to] = pairOf(chosen);
  const style = { renderer: canvas, interactive: false, color: colour("accent"), weight: 3, fill: false };
  const looks = { heading: asked.towards?.[chosen] ?? null, uncertainty_m: null };
  mark = L.featureGroup([L.polyline([from, to], style), L.circleMarker(to, { ...style, radius: 8 }), placeMark(from, looks, `Query ${chosen}`)]);
  mark.addTo(map);
  map.panInside(from, { padding: [30, 30] });
}

function choose(query) {
  chosen = (query + COUNT) % COUNT;
  document.getElementById("number").value = chosen;
  document.getElementById("chosen").textContent = `Query ${chosen}: ${asked.path[chosen]}`;
  const link = element("a", { href: `gallery.html#query=${chosen}` }, "All its predictions in the gallery");
  const pictures = [queryFigure(chosen), predictionFigure(chosen, 0)];
  document.getElementById("details").replaceChildren(element("p", {}, verdictElement(chosen)), ...pictures, element("p", {}, link));
  if (map) markChosen();
}

// A place of the database: its photo, and the queries that were found there.
function showPlace(image) {
  const found = FIRST.filter((first) => first === image).length;
  document.getElementById("chosen").textContent = database.path[image];
  const link = element("a", { href: `gallery.html#image=${image - 1}..${image}` },
    `${found} ${found === 1 ? "query" : "queries"} found here`);
  const photo = element("figure", {}, picture("database", image), element("figcaption", {}, position("database", image)));
  document.getElementById("details").replaceChildren(photo, element("p", {}, found ? link : "No query was found here."));
}

function showNearest({ containerPoint }) {
  const distances = map.spots.map((spot) => containerPoint.distanceTo(map.latLngToContainerPoint(spot)));
  const least = distances.reduce((best, distance) => Math.min(best, distance), Infinity);
  if (least <= REACH) showPlace(distances.indexOf(least));
}

function nextWrong() {
  for (let step = 1; step <= COUNT; step += 1) {
    const query = ((chosen ?? -1) + step) % COUNT;
    if (!isRight(query)) return choose(query);
  }
}

function listen() {
  document.getElementById("choose").addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("previous").addEventListener("click", () => choose((chosen ?? COUNT) - 1));
  document.getElementById("next").addEventListener("click", () => choose((chosen ?? -1) + 1));
  document.getElementById("next-wrong").addEventListener("click", nextWrong);
  document.getElementById("number").addEventListener("change", ({ target }) => {
    if (target.reportValidity() && target.value !== "") choose(Number(target.value));
  });
  window.addEventListener("hashchange", chooseFromAddress);
}

function chooseFromAddress() {
  const found = /^#query=(\d+)$/.exec(location.hash);
  if (found && Number(found[1]) < COUNT) choose(Number(found[1]));
}

function start() {
  if (database.east.includes(null)) {
    document.getElementById("map").replaceChildren(element("p", { className: "note" }, "The database's positions are unknown."));
    return;
  }
  const places = { easting: database.east, northing: database.north, latitude: database.lat, longitude: database.lon, towards: database.towards };
  map = makeMap(document.getElementById("map"), places, null, { zoomIn: "Zoom in", zoomOut: "Zoom out" });
  showSpots(map, [...map.spots, ...asked.path.map((_, query) => pairOf(query)[0])]);
  map.on("click", showNearest);
  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
}

start();
listen();
chooseFromAddress();
