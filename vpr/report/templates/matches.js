// Verified matches of a query and a prediction, drawn when they are asked for: a script of numbers for each query.
"use strict";

const MATCHES = {}; // by query, filled by the scripts in matches/
const SHARES = 10_000; // of width and height, in which places are given

function loadMatches(query) {
  if (query in MATCHES) return Promise.resolve(MATCHES[query]);
  return new Promise((resolve, reject) => {
    const src = `matches/${String(query).padStart(6, "0")}.js`;
    const script = element("script", { src, onload: () => resolve(MATCHES[query]), onerror: reject });
    document.head.append(script);
  });
}

async function drawMatches(query, rank) {
  const image = REPORT.top.index[query][rank];
  const [places, ...photos] = await Promise.all([loadMatches(query),
    ...[["query", query], ["database", image]].map(async ([side, index]) => {
      const photo = picture(side, index);
      photo.loading = "eager";
      await photo.decode();
      return photo;
    })]);
  const label = `Query photo ${REPORT.query.path[query]} beside database photo ${REPORT.database.path[image]}, `
    + `${places[rank].length} pairs of points joined by lines`;
  return drawPairs(...photos, places[rank].map((ends) => ends.map((part) => part / SHARES)), label);
}

// A button that shows the matches of a prediction in a place of the card, or takes them away.
function matchesButton(query, rank, place) {
  const count = REPORT.top.inliers[query][rank];
  const words = `${count} inlier${count === 1 ? "" : "s"}`;
  const button = element("button", { type: "button", className: "small", disabled: count === 0 }, words);
  button.setAttribute("aria-expanded", "false");
  button.addEventListener("click", async () => {
    const open = button.getAttribute("aria-expanded") === "true";
    for (const other of place.parentElement.querySelectorAll("[aria-expanded]")) other.setAttribute("aria-expanded", "false");
    place.replaceChildren();
    if (open) return;
    button.setAttribute("aria-expanded", "true");
    let drawn;
    try {
      drawn = await drawMatches(query, rank);
    } catch {
      drawn = element("p", {}, "The matches cannot be drawn: a file of the report is missing.");
    }
    if (button.getAttribute("aria-expanded") === "true") place.replaceChildren(drawn);
  });
  return button;
}
