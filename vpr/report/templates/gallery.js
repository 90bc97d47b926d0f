// The gallery: queries with their predictions, filtered, sorted and searched, a page at a time.
"use strict";

const PER_PAGE = 50;
const COUNT = REPORT.query.path.length;
const ALL = [...Array(COUNT).keys()];
const FILTERS = {
  all: () => true,
  wrong: (query) => !isRight(query),
  right: isRight,
  "accepted-wrong": (query) => REPORT.top.accepted[query] && !isRight(query),
};
const ORDERS = {
  route: (a, b) => a - b,
  error: (a, b) => REPORT.top.metres[b][0] - REPORT.top.metres[a][0] || a - b,
  margin: (a, b) => REPORT.top.margin[a] - REPORT.top.margin[b] || a - b,
};
// What an address may ask for, as `rank=5..`: above the lower end, up to the upper one.
const ASKED = {
  rank: { of: (query) => REPORT.top.rank[query], words: ([low]) => `without a right prediction among the first ${low}` },
  metres: { of: (query) => REPORT.top.metres[query][0], words: ([low]) => `whose first prediction is more than ${low} m away` },
  score: {
    of: (query) => REPORT.top.score[query],
    words: ([low, high]) => `whose first prediction has a score ${low === "" ? "" : `above ${low} and `}of at most ${high}`,
  },
  image: { of: (query) => REPORT.top.index[query][0], words: ([, high]) => `whose first prediction is ${REPORT.database.path[high]}` },
};
const at = (id) => document.getElementById(id);
const CALIBRATED = !REPORT.top.accepted.includes(null);
let asked = null; // {column, ends}, as the address asks
let shown = ALL; // queries that pass the filter, in order
let current = -1; // place in `shown` of the query with the focus
let page = 0;

function card(query, place) {
  const heading = element("h2", { id: `query-${query}` },
    `Query ${query}: ${REPORT.query.path[query]}`, verdictElement(query));
  const matches = element("div", { className: "matches" });
  const figures = REPORT.top.index[query].map((_, rank) => {
    const figure = predictionFigure(query, rank);
    if (REPORT.top.inliers && REPORT.top.inliers[query][rank] !== null) figure.append(matchesButton(query, rank, matches));
    return figure;
  });
  const link = element("a", { href: `map.html#query=${query}`, className: "small" }, "on the map");
  const made = element("article", { tabIndex: -1 }, element("div", { className: "head" }, heading, link),
    element("div", { className: "row" }, queryFigure(query), ...figures), matches);
  made.setAttribute("aria-labelledby", heading.id);
  made.addEventListener("focusin", () => mark(place));
  return made;
}

function mark(place) {
  current = place;
  for (const [offset, made] of [...at("queries").children].entries()) {
    made.classList.toggle("current", page * PER_PAGE + offset === place);
  }
}

function showPage(number) {
  page = number;
  const start = page * PER_PAGE;
  const cards = shown.slice(start, start + PER_PAGE).map((query, offset) => card(query, start + offset));
  at("queries").replaceChildren(...cards);
  const pages = Math.max(1, Math.ceil(shown.length / PER_PAGE));
  at("page").textContent = `Page ${page + 1} of ${pages}`;
  at("previous-page").disabled = page === 0;
  at("next-page").disabled = page >= pages - 1;
  at("status").textContent = `${shown.length} of ${COUNT} queries, page ${page + 1} of ${pages}`;
}

function goTo(place) {
  if (place < 0 || place >= shown.length) return;
  const wanted = Math.floor(place / PER_PAGE);
  if (wanted !== page) showPage(wanted);
  at("queries").children[place - page * PER_PAGE].focus();
}

function isAsked(query) {
  if (asked === null) return true;
  const value = Number((ASKED[asked.column].of(query) ?? Infinity).toPrecision(6)); // the digits of the charts' values
  const [low, high] = asked.ends;
  return !(low !== "" && value <= Number(low)) && !(high !== "" && value > Number(high));
}

function update() {
  const filter = FILTERS[new FormData(at("controls")).get("filter")];
  const name = at("name").value.trim().toLowerCase();
  const named = (query) => REPORT.query.path[query].toLowerCase().includes(name);
  shown = ALL.filter((query) => filter(query) && named(query) && isAsked(query)).sort(ORDERS[at("sort").value]);
  current = -1;
  showPage(0);
}

function turnPage(step) {
  showPage(page + step);
  goTo(page * PER_PAGE);
}

function onKey(event) {
  const typing = event.target.matches("input, select, textarea");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const steps = { ArrowRight: 1, j: 1, ArrowLeft: -1, k: -1 };
  if (!(event.key in steps)) return;
  event.preventDefault();
  goTo(Math.max(0, current + steps[event.key]));
}

function openFromAddress() {
  const [, column, low, high] = /^#(\w+)=(.*?)\.\.(.*)$/.exec(location.hash) ?? [];
  asked = Object.hasOwn(ASKED, column ?? "") ? { column, ends: [low, high] } : null;
  at("asked").hidden = asked === null;
  if (asked) at("asked-words").textContent = `Only queries ${ASKED[column].words(asked.ends)}.`;
  const query = Number(/^#query=(\d+)$/.exec(location.hash)?.[1] ?? COUNT);
  if (query < COUNT) at("controls").reset();
  update();
  if (query < COUNT) goTo(shown.indexOf(query));
}

function listen() {
  at("controls").addEventListener("submit", (event) => event.preventDefault());
  at("controls").addEventListener("input", update);
  at("previous").addEventListener("click", () => goTo(Math.max(0, current - 1)));
  at("next").addEventListener("click", () => goTo(current + 1));
  at("previous-page").addEventListener("click", () => turnPage(-1));
  at("next-page").addEventListener("click", () => turnPage(1));
  at("all").addEventListener("click", () => { location.hash = ""; });
  document.addEventListener("keydown", onKey);
  window.addEventListener("hashchange", openFromAddress);
}

for (const counter of document.querySelectorAll("[data-count]")) {
  const isKnown = LABELLED || counter.dataset.count === "all";
  counter.textContent = isKnown ? `(${ALL.filter(FILTERS[counter.dataset.count]).length})` : "(unknown)";
  document.querySelector(`[name=filter][value=${counter.dataset.count}]`).disabled = !isKnown;
}
if (!CALIBRATED) {
  document.querySelector("[value=accepted-wrong]").disabled = true;
  document.querySelector("[data-count=accepted-wrong]").textContent = "(not calibrated)";
}
at("sort").querySelector("[value=margin]").disabled = REPORT.top.margin === null;
listen();
openFromAddress();
