// The page: what was sent and answered, and what a person does.
"use strict";

const MAIN = document.getElementById("main");
const WORDS = JSON.parse(MAIN.dataset.words);
const TILES = JSON.parse(MAIN.dataset.tiles);
const TOP = 5; // matches
const at = (id) => document.getElementById(id);
const state = {
  language: document.documentElement.lang, places: null, map: null,
  files: [], // that were chosen
  photos: [], // what is sent of them: { name, blob, url }
  answer: null, photo: 0, match: 0, // chosen ones
  lines: false, // whether matching points are shown
  pictures: new Map(), // addresses by image
  problem: null, notice: null, waiting: null, // words that are shown: [name, values]
  asked: 0,
};

function translate() {
  document.documentElement.lang = state.language;
  document.title = words("title");
  for (const found of document.querySelectorAll("[data-word]")) found.textContent = words(found.dataset.word);
  for (const found of document.querySelectorAll("[data-label]")) found.setAttribute("aria-label", words(found.dataset.label));
  for (const link of document.querySelectorAll("nav [hreflang][lang]")) {
    if (link.lang === state.language) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  for (const [side, name] of [["in", "zoomIn"], ["out", "zoomOut"]]) {
    const button = document.querySelector(`.leaflet-control-zoom-${side}`);
    button?.setAttribute("title", words(name));
    button?.setAttribute("aria-label", words(name));
  }
}

function render() {
  const { answer, places } = state;
  document.body.classList.toggle("answered", answer !== null);
  at("status").textContent = state.notice ? words(...state.notice) : "";
  at("waiting").hidden = state.waiting === null;
  if (state.waiting) at("preview").src = state.waiting;
  renderProblem();
  at("example").hidden = places === null;
  for (const id of ["answer", "matches"]) at(id).hidden = answer === null;
  for (const id of ["near", "all"]) at(id).hidden = answer === null;
  if (answer) renderAnswer(answer);
  else state.map?.marks.clearLayers();
  if (!places) return;
  at("map").setAttribute("aria-label", words("mapLabel", { num: places.easting.length }));
  at("legend").textContent = words(answer ? "legend" : "legendStart", { num: places.easting.length });
}

function renderAnswer(answer) {
  const found = answer.located[state.photo];
  renderVerdict(found);
  renderPosition(placeOf(found));
  renderWalk(answer.located);
  renderPair(found);
  renderOthers(found);
  renderFacts(found, answer);
  if (state.map) renderMarks(answer);
}

function renderProblem() {
  at("problem").hidden = state.problem === null;
  if (!state.problem) return at("problem").replaceChildren();
  const [name, sentence] = state.problem;
  const said = element("details", {}, element("summary", {}, words("service")), element("p", { lang: "en", className: "small" }, sentence));
  const parts = element("div", {}, words(name), ...(sentence ? [said] : []));
  at("problem").replaceChildren(element("div", { className: "problem" }, icon("!"), parts));
}

function refuse(error) {
  if (!(error instanceof Refused)) throw error;
  Object.assign(state, { waiting: null, notice: null, answer: null });
  const isForToken = error.status === 401;
  at("token-form").hidden = !isForToken;
  if (isForToken && !at("token").value) Object.assign(state, { problem: null, notice: ["tokenNeeded"] });
  else {
    const name = `problem_${error.status === 415 ? 422 : error.status}`;
    state.problem = [name in WORDS.en ? name : "problem_other", error.status ? error.message : ""];
  }
  render();
  if (isForToken && state.files.length) at("token").focus();
}

async function start() {
  state.places = await loadPlaces();
  at("token-form").hidden = true;
  at("area").hidden = false;
  state.map?.remove();
  state.map = makeMap(at("map"), state.places, TILES, { zoomIn: words("zoomIn"), zoomOut: words("zoomOut") });
  state.notice = null;
  render();
}

async function locate(files) {
  const number = state.asked += 1;
  const isLast = () => number === state.asked; // else other photos were chosen since
  const names = { num: files.length };
  state.photos.forEach(({ url }) => URL.revokeObjectURL(url));
  Object.assign(state, { files, photos: [], answer: null, problem: null, photo: 0, match: 0, lines: false });
  try {
    if (!state.places) await start();
    for (const [count, file] of files.entries()) {
      state.notice = ["preparing", { ...names, number: count + 1 }];
      render();
      const blob = await prepare(file, state.places.longest);
      if (!isLast()) return;
      state.photos.push({ name: file.name, blob, url: URL.createObjectURL(blob) });
      state.waiting = state.photos[0].url;
    }
    const notice = (name) => { if (isLast()) { state.notice = [name]; render(); } };
    notice("sending");
    const top = Math.min(TOP, state.places.easting.length);
    const answer = await locatePhotos(state.photos, top, () => notice("busy"));
    if (!isLast()) return;
    if (answer.run !== state.places.run) await start(); // another run answers by now
    await loadPictures(answer.located);
    if (isLast()) show(answer);
  } catch (error) {
    if (isLast()) refuse(error);
  }
}

async function loadPictures(located) {
  state.pictures.forEach((url) => URL.revokeObjectURL(url));
  state.pictures.clear();
  const images = new Set(located.flatMap(({ matches }) => matches.map(({ image }) => image)));
  await Promise.all([...images].map(async (image) => {
    const picture = await loadPicture(image).catch(() => null); // replaced since: shown without
    if (picture) state.pictures.set(image, URL.createObjectURL(picture));
  }));
}

function show(answer) {
  Object.assign(state, { answer, waiting: null, problem: null });
  announce();
  render();
  zoomTo(true);
  at("verdict").focus();
}

function announce() {
  const { located } = state.answer;
  const verdict = words(verdictOf(located[0]));
  const known = located.filter((found) => found.state === "known").length;
  if (located.length === 1) state.notice = ["done", { verdict, num: located[0].matches.length }];
  else state.notice = located[0].state === null ? ["walkUndecided", { num: located.length }]
    : ["walkVerdict", { known, num: located.length }];
}

function zoomTo(near) {
  const { located } = state.answer;
  const found = located.map(placeOf).filter(Boolean);
  const answered = found.length ? found.flatMap(cornersOf) : located[state.photo].matches.map(spotOf);
  showSpots(state.map, near ? answered : state.map.spots);
}

// Corners around the circle that holds a place.
function cornersOf(place) {
  const spot = L.latLng(spotOf(place));
  if (place.latitude === null || !place.uncertainty_m) return [spot];
  const bounds = spot.toBounds(2 * place.uncertainty_m);
  return [bounds.getSouthWest(), bounds.getNorthEast()];
}

function choosePhoto(photo) {
  Object.assign(state, { photo, match: 0 });
  render();
  at("walk").children[photo].focus();
}

function chooseMatch(match) {
  state.match = match;
  render();
  at("others").children[match].focus({ preventScroll: true });
}

function take(files) {
  const photos = inOrder(files).filter((file) => !file.type || file.type.startsWith("image/"));
  if (photos.length) return locate(photos);
  if (files.length) { state.problem = ["notAPhoto", ""]; render(); }
}

async function takeExample() {
  const middle = Math.floor(state.places.easting.length / 2);
  const picture = await loadPicture(middle).catch(refuse);
  if (picture) take([new File([picture], `${words("exampleName")}.jpg`, { type: "image/jpeg" })]);
}

function speak(language, link) {
  state.language = language;
  history.replaceState(null, "", link.href);
  if (state.answer) announce();
  translate();
  render();
}

function listen() {
  for (const id of ["camera", "file"]) {
    at(id).addEventListener("change", ({ target }) => { take(target.files); target.value = ""; });
  }
  at("example").addEventListener("click", takeExample);
  at("lines").addEventListener("click", () => { state.lines = !state.lines; render(); });
  for (const [id, near] of [["near", true], ["all", false]]) at(id).addEventListener("click", () => zoomTo(near));
  at("token-form").addEventListener("submit", (event) => {
    event.preventDefault();
    useToken(at("token").value);
    if (state.files.length) locate(state.files);
    else start().catch(refuse);
  });
  for (const link of document.querySelectorAll("nav [hreflang][lang]")) {
    link.addEventListener("click", (event) => { event.preventDefault(); speak(link.lang, link); });
  }
  document.addEventListener("paste", ({ clipboardData }) => take(clipboardData.files));
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  document.addEventListener("dragleave", () => document.body.classList.remove("dropping"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    take(event.dataTransfer.files);
  });
}

listen();
start().catch(refuse);
