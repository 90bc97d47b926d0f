// Asks the service where a photo was taken. Names are untrusted: they become text nodes only.
"use strict";

const WORDS = JSON.parse(document.getElementById("main").dataset.words);
const TRIES = 5; // of a service that is busy
const VERDICTS = new Map([ // class names of the colours: green, amber, grey
  ["known", ["known", "right"]], ["unsure", ["unsure", "unsure"]],
  ["unknown", ["unknown", "unknown"]], [null, ["undecided", "undecided"]],
]);
const at = (id) => document.getElementById(id);
let token = "", photo = null, places = null, near = true, matches = [], addresses = [], asked = 0;

function words(name, values = {}) {
  return WORDS[name].replace(/\{(\w+)\}/g, (_, key) => values[key]);
}

function ask(path, options = {}) {
  const headers = { ...options.headers, ...(token && { Authorization: `Bearer ${token}` }) };
  return fetch(path, { ...options, headers });
}

function address(blob) { // kept until the next answer
  addresses.push(URL.createObjectURL(blob));
  return addresses.at(-1);
}

async function answerOf(file) {
  for (let turn = 1; ; turn += 1) {
    const body = new FormData();
    body.append("photo", file);
    const reply = await ask("locate", { method: "POST", body });
    if (reply.status !== 503 || turn === TRIES) return reply;
    at("status").textContent = words("busy");
    await new Promise((done) => setTimeout(done, 1000 * Number(reply.headers.get("Retry-After"))));
  }
}

async function locate(file) {
  const number = asked += 1;
  photo = file;
  at("status").textContent = words("sending");
  let reply;
  try {
    reply = await answerOf(file);
    at("token-form").hidden = reply.status !== 401;
    if (reply.status === 401) return askForToken();
    const content = await reply.json();
    if (number !== asked) return; // another photo was chosen since
    if (!reply.ok) return refuse(words("failed", { reason: content.error }));
    await show(file, content);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error; // fetch's, of a service that is gone
    refuse(words("unreachable"));
  }
}

function askForToken() {
  at("status").textContent = words("tokenNeeded");
  at("token").focus();
}

function refuse(sentence) {
  at("answer").hidden = true;
  at("status").textContent = sentence;
}

function round(value) {
  return value.toLocaleString("en", { maximumFractionDigits: 1, useGrouping: false });
}

function placeOf(match) {
  return { name: match.database, east: round(match.easting), north: round(match.northing) };
}

function positionOf({ probability, position }) {
  if (!position) return "";
  const place = { east: round(position.easting), north: round(position.northing) };
  const within = position.uncertainty_m === null ? words("circle_none")
    : words("circle", { metres: round(position.uncertainty_m) });
  const sure = probability === null ? "" : words("probability", { percent: (100 * probability).toFixed(1) });
  return `${words("position", place)} ${within} ${sure}`;
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

async function pictureOf(match) {
  const reply = await ask(`places/${match.image}/picture`);
  return reply.ok ? address(await reply.blob()) : "data:,";
}

function line(text) {
  return element("span", { className: "path" }, text);
}

async function figureOf(match) {
  const alt = words("matchAlt", { rank: match.rank, name: match.database });
  const { east, north } = placeOf(match);
  const lines = [line(words("distance", { distance: match.distance.toFixed(3) }))];
  if (match.inliers !== undefined) lines.push(line(words("inliers", { inliers: match.inliers })));
  lines.push(line(`${east} E ${north} N`));
  if (match.latitude !== null) {
    const globe = `${match.latitude.toFixed(6)}, ${match.longitude.toFixed(6)}`;
    lines.push(element("a", { className: "path", href: `geo:${globe.replace(" ", "")}` }, globe));
  }
  return element("figure", {}, element("img", { src: await pictureOf(match), alt }),
    element("figcaption", {}, `${match.rank}.`, ...lines, line(match.database)));
}

async function show(file, { located: [found], threshold }) {
  addresses.splice(0).forEach((old) => URL.revokeObjectURL(old));
  matches = found.matches;
  places ??= await (await ask("places")).json();
  const own = element("figure", {}, element("img", { src: address(file), alt: words("photoAlt") }),
    element("figcaption", {}, words("photo"), line(found.photo)));
  const [name, look] = VERDICTS.get(found.state);
  const verdict = words(name);
  at("verdict").textContent = verdict;
  at("verdict").className = `verdict ${look}`;
  at("reason").textContent = [positionOf(found), words("nearest", placeOf(matches[0])),
    reasonOf(matches[0], threshold)].join(" ");
  at("pictures").replaceChildren(own, ...await Promise.all(matches.map(figureOf)));
  at("answer").hidden = false;
  draw();
  at("status").textContent = words("done", { verdict, num: matches.length });
  at("verdict").focus();
}

function draw() {
  const label = words("mapLabel", { ...placeOf(matches[0]), num: places.easting.length });
  drawMap(at("map"), places, matches, near, label);
}

function listen() {
  for (const id of ["camera", "file"]) {
    at(id).addEventListener("change", ({ target }) => target.files[0] && locate(target.files[0]));
  }
  for (const [id, value] of [["near", true], ["all", false]]) {
    at(id).addEventListener("click", () => { near = value; draw(); });
  }
  at("token-form").addEventListener("submit", (event) => {
    event.preventDefault();
    token = at("token").value;
    if (photo) locate(photo);
  });
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  document.addEventListener("dragleave", () => document.body.classList.remove("dropping"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    if (event.dataTransfer.files[0]) locate(event.dataTransfer.files[0]);
  });
}

listen();
