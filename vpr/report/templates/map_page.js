// The map: places of the database, queries, and a line from each query to its first prediction.
"use strict";

const COUNT = REPORT.query.path.length;
const FIRST = REPORT.top.index.map((row) => row[0]);
const MANY = 2000; // points above which WebGL draws them, where the browser has it
const POINTS = pointType();
const CHOSEN = 5; // number of the trace that marks the chosen query
let chosen = null;

function pointType() {
  if (COUNT + REPORT.database.path.length <= MANY) return "scatter";
  const canvas = document.createElement("canvas");
  return canvas.getContext("webgl", { failIfMajorPerformanceCaveat: true }) ? "scattergl" : "scatter";
}

function escaped(text) { // Plotly reads some tags in hover texts
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function hoverText(query) {
  const far = metres(REPORT.top.metres[query][0]);
  const globe = position("query", query);
  return `Query ${query}: ${escaped(REPORT.query.path[query])}<br>${[verdict(query), far].filter(Boolean).join(", ")}` +
    (globe && `<br>${globe}`);
}

function pairOf(query) { // a query of unknown position is drawn where it was found
  const { database, query: asked } = REPORT;
  const [east, north] = [database.east[FIRST[query]], database.north[FIRST[query]]];
  return { x: [asked.east[query] ?? east, east], y: [asked.north[query] ?? north, north] };
}

function linesOf(queries, legendgroup, line) {
  const pairs = queries.map(pairOf);
  return {
    legendgroup, line, showlegend: false, type: "scatter", mode: "lines", hoverinfo: "skip",
    x: pairs.flatMap((pair) => [...pair.x, null]), y: pairs.flatMap((pair) => [...pair.y, null]),
  };
}

// A marker's shape: an arrow where an image is known to look somewhere.
function arrows(side, numbers, symbol) {
  const { towards } = REPORT[side];
  if (!towards) return symbol ? { symbol } : {};
  return {
    symbol: numbers.map((number) => towards[number] === null ? symbol ?? "circle" : "arrow"),
    angle: numbers.map((number) => towards[number] ?? 0),
  };
}

function queriesOf(queries, legendgroup, { symbol, ...look }) {
  const marker = { ...look, ...arrows("query", queries, symbol) };
  return {
    legendgroup, name: `${legendgroup} (${queries.length})`, marker, type: POINTS, mode: "markers", customdata: queries,
    x: queries.map((query) => pairOf(query).x[0]),
    y: queries.map((query) => pairOf(query).y[0]),
    text: queries.map(hoverText), hovertemplate: "%{text}<extra></extra>",
  };
}

function chosenTrace() {
  const pair = chosen === null ? { x: [], y: [] } : pairOf(chosen);
  return {
    ...pair, showlegend: false, type: "scatter", mode: "lines+markers", hoverinfo: "skip",
    line: { color: colour("accent"), width: 3 },
    marker: { size: [17, 13], symbol: ["circle-open", "square-open"], color: colour("accent"), line: { width: 3 } },
  };
}

function traces() {
  const all = [...Array(COUNT).keys()];
  const [right, wrong] = [all.filter(isRight), all.filter((query) => !isRight(query))];
  const places = {
    name: "database", type: POINTS, mode: "markers",
    x: REPORT.database.east, y: REPORT.database.north,
    text: REPORT.database.path.map(escaped), hovertemplate: "Database: %{text}<extra></extra>",
    customdata: REPORT.database.path.map((_, image) => ({ image })),
    marker: { color: colour("database"), size: REPORT.database.towards ? 8 : 5, ...arrows("database", [...REPORT.database.path.keys()]) },
  };
  return [
    linesOf(wrong, "wrong", { color: colour("wrong"), width: 1, dash: "dot" }),
    linesOf(right, "right", { color: colour("right"), width: 2 }),
    places,
    LABELLED
      ? queriesOf(wrong, "wrong", { color: colour("wrong"), size: 9, symbol: "x" })
      : queriesOf(wrong, "found here", { color: colour("accent"), size: 8 }),
    queriesOf(right, "right", { color: colour("right"), size: 8 }),
    chosenTrace(),
  ];
}

function draw() {
  const layout = layoutOf({
    xaxis: { tickformat: "~f", nticks: 6 },
    yaxis: { tickformat: "~f", scaleanchor: "x", automargin: true },
    margin: { l: 10, r: 15, t: 40, b: 30 }, hovermode: "closest", dragmode: "pan",
    legend: { orientation: "h", y: 1.02, yanchor: "bottom" }, uirevision: "kept",
  });
  Plotly.react("map", traces(), layout, { ...CONFIG, scrollZoom: true });
}

function choose(query) {
  chosen = (query + COUNT) % COUNT;
  document.getElementById("number").value = chosen;
  document.getElementById("chosen").textContent = `Query ${chosen}: ${REPORT.query.path[chosen]}`;
  const link = element("a", { href: `gallery.html#query=${chosen}` }, "All its predictions in the gallery");
  const pictures = [queryFigure(chosen), predictionFigure(chosen, 0)];
  const words = element("p", {}, verdictElement(chosen));
  document.getElementById("details").replaceChildren(words, ...pictures, element("p", {}, link));
  const trace = chosenTrace();
  Plotly.restyle("map", { x: [trace.x], y: [trace.y] }, [CHOSEN]);
}

// A place of the database: its photo, and the queries that were found there.
function showPlace(image) {
  const found = FIRST.filter((first) => first === image).length;
  document.getElementById("chosen").textContent = REPORT.database.path[image];
  const link = element("a", { href: `gallery.html#image=${image - 1}..${image}` },
    `${found} ${found === 1 ? "query" : "queries"} found here`);
  const photo = element("figure", {}, picture("database", image), element("figcaption", {}, position("database", image)));
  document.getElementById("details").replaceChildren(photo, element("p", {}, found ? link : "No query was found here."));
}

function nextWrong() {
  for (let step = 1; step <= COUNT; step += 1) {
    const query = ((chosen ?? -1) + step) % COUNT;
    if (!isRight(query)) return choose(query);
  }
}

function listen() {
  document.getElementById("map").on("plotly_click", ({ points }) => {
    const { customdata } = points[0];
    if (Number.isInteger(customdata)) choose(customdata);
    else if (customdata) showPlace(customdata.image);
  });
  document.getElementById("choose").addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("previous").addEventListener("click", () => choose((chosen ?? COUNT) - 1));
  document.getElementById("next").addEventListener("click", () => choose((chosen ?? -1) + 1));
  document.getElementById("next-wrong").addEventListener("click", nextWrong);
  document.getElementById("number").addEventListener("change", ({ target }) => {
    if (target.reportValidity() && target.value !== "") choose(Number(target.value));
  });
}

function chooseFromAddress() {
  const found = /^#query=(\d+)$/.exec(location.hash);
  if (found && Number(found[1]) < COUNT) choose(Number(found[1]));
}

drawInEveryScheme(draw);
listen();
chooseFromAddress();
window.addEventListener("hashchange", chooseFromAddress);
