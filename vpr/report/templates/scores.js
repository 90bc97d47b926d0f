// How sure right and wrong first predictions are: a histogram, whose bars lead to their queries.
"use strict";

const BARS = 30; // at most
const KINDS = LABELLED ? [
  ["right", "right", (query) => isRight(query)],
  ["wrong", "wrong", (query) => !isRight(query) && REPORT.top.positives[query] > 0],
  ["no place of the map", "database", (query) => !isRight(query) && REPORT.top.positives[query] === 0],
] : [["queries", "accent", () => true]];

// A width of 1, 2 or 5 times a power of ten, and the ends of the bars; a bar has its upper end.
function binsOf(scores) {
  const low = scores.reduce((least, score) => Math.min(least, score), Infinity);
  const high = scores.reduce((most, score) => Math.max(most, score), -Infinity);
  const power = 10 ** Math.floor(Math.log10(Math.max(high - low, 1e-6) / BARS));
  const width = [1, 2, 5, 10].map((factor) => factor * power).find((step) => (high - low) / step <= BARS);
  const place = (score) => Math.ceil(Number((score / width).toPrecision(12))); // number of the upper end
  const ends = [];
  for (let end = place(low); end <= place(high); end += 1) ends.push(Number((end * width).toPrecision(12)));
  return { width, ends, binOf: (score) => place(score) - place(low) };
}

const BINS = binsOf(REPORT.top.score);
const COUNTS = KINDS.map(() => BINS.ends.map(() => 0));
REPORT.top.score.forEach((score, query) => {
  COUNTS[KINDS.findIndex(([, , belongs]) => belongs(query))][BINS.binOf(score)] += 1;
});

function startOf(bin) {
  return Number((BINS.ends[bin] - BINS.width).toPrecision(12));
}

function queriesOf(bin) {
  return `score=${startOf(bin)}..${BINS.ends[bin]}`;
}

function limitShapes() {
  if (SCORES.limit === null) return {};
  const line = { type: "line", x0: SCORES.limit, x1: SCORES.limit, yref: "paper", y0: 0, y1: 1, line: { color: colour("text"), width: 2, dash: "dash" } };
  const words = { text: "threshold", x: SCORES.limit, y: 1, yref: "paper", xanchor: "right", yanchor: "top", showarrow: false };
  return { shapes: [line], annotations: [words] };
}

function drawScores() {
  const traces = KINDS.map(([name, shade], kind) => ({
    name: `${name} (${COUNTS[kind].reduce((sum, count) => sum + count, 0)})`, type: "bar",
    x: BINS.ends.map((end) => end - BINS.width / 2), y: COUNTS[kind], width: BINS.width,
    marker: { color: colour(shade), line: { color: colour("surface"), width: 1 } },
    customdata: BINS.ends.map((end, bin) => `${startOf(bin)} to ${end}`),
    hovertemplate: `${name}: %{y}<br>%{customdata}<extra></extra>`,
  }));
  const layout = layoutOf({
    barmode: "stack", bargap: 0, hovermode: "closest", showlegend: LABELLED,
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", traceorder: "normal" }, margin: { l: 55, r: 15, t: 40, b: 45 },
    xaxis: { title: { text: SCORES.title } }, yaxis: { title: { text: "queries", standoff: 8 } }, ...limitShapes(),
  });
  Plotly.react("scores", traces, layout, CONFIG);
}

function tabulateScores() {
  const cells = (tag, texts) => texts.map((text) => element(tag, {}, text));
  const heads = element("tr", {}, ...cells("th", [SCORES.title, ...KINDS.map(([name]) => name)]));
  const rows = BINS.ends.map((end, bin) => {
    const link = element("a", { href: `gallery.html#${queriesOf(bin)}` }, `${startOf(bin)} to ${end}`);
    return element("tr", {}, ...cells("td", [link, ...COUNTS.map((counts) => counts[bin])]));
  });
  document.getElementById("scores-table").replaceChildren(heads, ...rows);
}

drawInEveryScheme(drawScores);
tabulateScores();
leadOnClick("scores", ({ pointIndex }) => queriesOf(pointIndex));
