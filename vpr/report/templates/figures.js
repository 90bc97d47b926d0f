// A query and its predictions in words and pictures. Names are untrusted: they become text nodes only.
"use strict";

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function picture(side, index) {
  const file = `${String(index).padStart(6, "0")}.jpg`;
  const words = side === "query" ? "Query photo" : "Database photo";
  return element("img", {
    src: `thumbnails/${side}/${file}`, loading: "lazy", decoding: "async",
    alt: `${words} ${REPORT[side].path[index]}`,
  });
}

function isRight(query) {
  return REPORT.top.correct[query][0];
}

// Else nothing is right or wrong; the service's page, which shares this file, has no report.
const LABELLED = typeof REPORT !== "undefined" && REPORT.top.metres[0][0] !== null;

function metres(value) {
  return value === null ? "" : `${value.toLocaleString("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 })} m`;
}

function position(side, index) {
  const { lat, lon } = REPORT[side];
  return lat ? `${lat[index].toFixed(5)}, ${lon[index].toFixed(5)}` : "";
}

function verdict(query) {
  const { rank, accepted, positives } = REPORT.top;
  if (!LABELLED) return { true: "accepted", false: "not accepted", null: "" }[accepted[query]];
  if (isRight(query)) return accepted[query] === false ? "✓ right, but not accepted" : "✓ right";
  const found = rank[query] ? `first right one at rank ${rank[query]}` : "none right";
  const known = positives[query] ? found : "the database has no such place";
  return `✗ wrong${accepted[query] === false ? ", not accepted" : ""}: ${known}`;
}

function verdictElement(query) {
  const className = LABELLED ? `verdict ${isRight(query) ? "right" : "wrong"}` : "verdict";
  return element("span", { className }, verdict(query));
}

function queryFigure(query) {
  return element("figure", {}, picture("query", query), element("figcaption", {},
    "query", element("span", { className: "path" }, position("query", query))));
}

function predictionFigure(query, rank) {
  const { index, metres: far, distance, correct } = REPORT.top;
  const image = index[query][rank];
  const right = correct[query][rank];
  const caption = LABELLED ? `${rank + 1}. ${right ? "✓" : "✗"} ${metres(far[query][rank])}` : `${rank + 1}.`;
  const className = LABELLED ? (right ? "right" : "wrong") : "";
  return element("figure", { className }, picture("database", image),
    element("figcaption", {}, caption,
      element("span", { className: "path" }, `distance ${distance[query][rank].toFixed(3)}`),
      element("span", { className: "path" }, REPORT.database.path[image])));
}
