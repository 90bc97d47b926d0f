// The answer in words, on the map and in pictures, from `state`. Names are untrusted: they become text nodes only.
"use strict";

const LOOKS = { known: ["right", "✓"], unsure: ["unsure", "?"], unknown: ["unknown", "–"], undecided: ["undecided", "≈"] };

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function words(name, values = {}) {
  return WORDS[state.language][name].replace(/\{(\w+)\}/g, (_, key) => values[key]);
}

function icon(sign) {
  const made = element("span", { className: "icon" }, sign);
  made.setAttribute("aria-hidden", "true");
  return made;
}

function round(value, digits = 1) {
  return value.toLocaleString("en", { maximumFractionDigits: digits, useGrouping: false });
}

function verdictOf(found) {
  return found.state ?? "undecided";
}

// The place of a photo: its position, or where nothing was decided that of its first match.
function placeOf(found) {
  const nearest = { ...found.matches[0], uncertainty_m: null, heading: null };
  return found.position ?? (found.state === null ? nearest : null);
}

function textOf(place) {
  if (place.latitude === null) return words("metresPlace", { east: round(place.easting), north: round(place.northing) });
  return `${place.latitude.toFixed(6)}, ${place.longitude.toFixed(6)}`;
}

function renderVerdict(found) {
  const name = verdictOf(found);
  const [look, sign] = LOOKS[name];
  at("verdict").className = `verdict ${look}`;
  at("verdict").replaceChildren(icon(sign), words(name));
  at("advice").textContent = words(`advice_${name}`);
  at("advice").hidden = !at("advice").textContent;
}

function renderPosition(place) {
  if (!place) return at("position").replaceChildren();
  const metres = place.uncertainty_m;
  const error = metres === null ? words("circle_none") : words("circle", { metres: round(metres) });
  const text = element("span", { id: "coordinates" }, textOf(place));
  const copy = element("button", { type: "button", id: "copy" }, words("copy"));
  copy.addEventListener("click", () => copyText(text, copy));
  const links = place.latitude === null ? [] : linksOf(place);
  const facing = place.heading === null ? "" : words("facing", { degrees: round(place.heading, 0) });
  at("position").replaceChildren(
    element("p", { className: "coordinates" }, `${words("position")} `, text),
    element("p", { className: "note" }, `${error} ${facing}`.trim()),
    element("div", { className: "toolbar" }, copy, ...links),
  );
}

function linksOf({ latitude, longitude }) {
  const [lat, lon] = [latitude.toFixed(6), longitude.toFixed(6)];
  const osm = `https://www.openstreetmap.org/?mlat=${lat}&mlon=${lon}#map=18/${lat}/${lon}`;
  return [
    element("a", { id: "geo", href: `geo:${lat},${lon}?q=${lat},${lon}` }, words("openMap")),
    element("a", { id: "osm", href: osm, target: "_blank", rel: "noopener noreferrer" }, words("openOsm")),
  ];
}

async function copyText(text, button) {
  let done = "copied";
  try {
    await navigator.clipboard.writeText(text.textContent);
  } catch { // without HTTPS a browser has no clipboard
    getSelection().selectAllChildren(text);
    done = "copyYourself";
  }
  at("status").textContent = button.textContent = words(done);
}

function renderWalk(located) {
  if (located.length === 1) return at("walk").replaceChildren();
  at("walk").replaceChildren(...located.map((found, number) => {
    const name = verdictOf(found);
    const [look, sign] = LOOKS[name];
    const image = element("img", { src: state.photos[number].url, alt: "" });
    const button = choice(number === state.photo, () => choosePhoto(number), image, icon(sign), String(number + 1));
    button.className = look;
    button.setAttribute("aria-label", words("walkPhoto", { number: number + 1, verdict: words(name) }));
    return button;
  }));
}

function choice(isChosen, choose, ...content) {
  const button = element("button", { type: "button" }, ...content);
  button.setAttribute("aria-current", isChosen);
  button.addEventListener("click", choose);
  return button;
}

function renderPair(found) {
  const match = found.matches[state.match];
  const pairs = match.pairs?.length ? match.pairs : null;
  const photo = element("img", { src: state.photos[state.photo].url, alt: words("photoAlt") });
  const other = element("img", { src: state.pictures.get(match.image) ?? "data:,", alt: words("matchAlt", { rank: match.rank, name: match.database }) });
  const title = [words("match", { rank: match.rank }), ...(match.inliers === undefined ? [] : [words("inliers", { inliers: match.inliers })])];
  at("matches-title").textContent = words(found.state === "unknown" ? "matchesUnknown" : "matches");
  at("pair").replaceChildren(
    element("figure", {}, photo, element("figcaption", {}, words("photo"), element("span", { className: "path" }, found.photo))),
    element("figure", {}, other, element("figcaption", {}, title.join(" · "), element("span", { className: "path" }, match.database))),
  );
  at("lines").hidden = !pairs;
  at("lines").setAttribute("aria-pressed", state.lines);
  at("pair").classList.remove("drawn");
  if (!pairs || !state.lines) return;
  Promise.all([photo.decode(), other.decode()]).then(() => {
    const label = words("linesAlt", { rank: match.rank, num: pairs.length });
    if (!photo.isConnected) return; // another match was chosen since
    at("pair").prepend(drawPairs(photo, other, pairs, label));
    at("pair").classList.add("drawn");
  });
}

function renderOthers(found) {
  at("others").replaceChildren(...found.matches.map((match, rank) => {
    const image = element("img", { src: state.pictures.get(match.image) ?? "data:,", alt: "" });
    return choice(rank === state.match, () => chooseMatch(rank), image, words("match", { rank: match.rank }));
  }));
}

function reasonOf(first, threshold) {
  if (threshold.limit === null) return words("by_nothing");
  if (threshold.by === "inliers") {
    const [limit, chance] = [threshold.limit.toFixed(1), (first.log10_nfa ?? 0).toFixed(1)];
    return words("by_inliers", { limit, chance, inliers: first.inliers ?? 0 });
  }
  const [limit, distance] = [threshold.limit.toFixed(3), first.distance.toFixed(3)];
  return words("by_distance", { limit, distance });
}

function renderFacts(found, { threshold, run }) {
  const sentences = [reasonOf(found.matches[0], threshold), words("runId", { run })];
  if (found.probability !== null) {
    const [percent, low, high] = [found.probability, ...found.probability_interval].map((share) => (100 * share).toFixed(1));
    sentences.unshift(words("probability", { percent, low, high }));
  }
  at("reason").textContent = sentences.join(" ");
  const rows = found.matches.map((match) => [match.rank, match.distance.toFixed(3), match.inliers ?? "",
    round(match.easting), round(match.northing), match.database]);
  const head = element("tr", {}, ...words("columns").split(", ").map((name) => element("th", {}, name)));
  at("facts").querySelector("table").replaceChildren(head,
    ...rows.map((row) => element("tr", {}, ...row.map((cell) => element("td", {}, String(cell))))));
}

function renderMarks(answer) {
  const { map } = state;
  map.marks.clearLayers();
  const found = answer.located[state.photo];
  const walk = answer.located.map(placeOf).filter(Boolean).map(spotOf);
  if (walk.length > 1) map.marks.addLayer(L.polyline(walk, { className: "walk", interactive: false }));
  for (const match of [...found.matches].reverse()) {
    const chosen = match.rank - 1 === state.match ? "chosen" : "";
    const title = words("matchAlt", { rank: match.rank, name: match.database });
    map.marks.addLayer(numberMark(spotOf(match), match.rank, title, chosen, () => chooseMatch(match.rank - 1)));
  }
  if (found.position) map.marks.addLayer(placeMark(spotOf(found.position), found.position, words("here")));
}
