// Plotly's look in the page's colours; drawn anew when the reader's colour scheme changes.
"use strict";

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function layoutOf(extra) {
  const axis = { gridcolor: colour("line"), zerolinecolor: colour("line"), linecolor: colour("line") };
  return {
    paper_bgcolor: colour("surface"), plot_bgcolor: colour("surface"),
    font: { color: colour("text"), family: "system-ui, sans-serif", size: 13 },
    hoverlabel: { bgcolor: colour("page"), font: { color: colour("text") }, align: "left" },
    margin: { l: 55, r: 15, t: 10, b: 45 },
    ...extra, xaxis: { ...axis, ...extra.xaxis }, yaxis: { automargin: true, ...axis, ...extra.yaxis },
  };
}

const CONFIG = { responsive: true, displaylogo: false, displayModeBar: false };

function drawInEveryScheme(draw) {
  draw();
  document.getElementById("js-plotly-tester")?.setAttribute("aria-hidden", "true");
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
}

// A click on a point of a chart opens the gallery with the queries that `asked` names.
function leadOnClick(id, asked) {
  const chart = document.getElementById(id);
  chart.classList.add("leads");
  chart.on("plotly_click", ({ points }) => { location.href = `gallery.html#${asked(points[0])}`; });
}
