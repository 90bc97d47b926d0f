// The overview's curves. A point leads to its queries.
"use strict";

const LEAST = 0.1; // where a logarithmic axis begins
const DECADES = [0.1, 1, 10, 100, 1000, 10_000, 100_000];

// The range of an axis that shows what differs: it begins at 0 only if the values come near it.
function rangeOf(values, isShare) {
  const low = values.reduce((least, value) => Math.min(least, value), Infinity);
  const high = values.reduce((most, value) => Math.max(most, value), -Infinity);
  const margin = Math.max(0.06 * (high - low), 0.005 * (isShare ? 1 : Math.abs(high) || 1));
  return [low < high / 2 ? 0 : low - margin, high + margin];
}

// The part of a falling curve that is not flat yet.
function cornerOf({ x, y }) {
  const last = y.indexOf(y[y.length - 1]);
  return x.slice(0, last + 2);
}

function drawChart(chart) {
  const few = chart.x.length <= 60;
  const x = chart.is_log ? chart.x.map((value) => Math.max(value, LEAST)) : chart.x;
  let across = { range: rangeOf(chart.is_corner ? cornerOf(chart) : x, chart.diagonal) };
  if (chart.is_log) across = { type: "log", tickvals: DECADES.flatMap((start) => [start, 3 * start]), tickformat: "~r" };
  const down = { range: rangeOf(chart.y, chart.is_share) };
  const trace = {
    x, y: chart.y, type: "scatter", mode: few ? "lines+markers" : "lines", customdata: chart.x,
    line: { color: colour("accent"), width: 2.5 }, marker: { color: colour("accent"), size: 6 },
    hovertemplate: `${chart.x_title}: %{customdata:.4~g}<br>${chart.y_title}: %{y:.4~g}<extra></extra>`,
  };
  const ideal = { type: "line", xref: "x", yref: "y", x0: 0, y0: 0, x1: 1, y1: 1, layer: "below",
    line: { color: colour("muted"), width: 1, dash: "dot" } };
  const layout = layoutOf({
    xaxis: { title: { text: chart.x_title }, ...across },
    yaxis: { title: { text: chart.y_title, standoff: 8 }, ...down },
    shapes: chart.diagonal ? [ideal] : [], hovermode: "closest",
  });
  Plotly.react(chart.name, [trace], layout, CONFIG);
}

function leadFrom(chart) {
  if (!chart.leads_to) return;
  leadOnClick(chart.name, ({ pointIndex }) => chart.leads_to.replace("{}", chart.leads_by[pointIndex]));
}

drawInEveryScheme(() => CHARTS.forEach(drawChart));
CHARTS.forEach(leadFrom);
