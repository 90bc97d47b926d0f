// What the page asks: here the network and the map in this folder, not a service. Photos stay here.
"use strict";

class Refused extends Error {
  constructor(status, sentence) {
    super(sentence);
    this.status = status;
  }
}

const CARD = "model.json";
let street = null; // a promise of what is loaded once

async function read(name) {
  const reply = await fetch(name).catch((error) => { throw new Refused(0, error.message); });
  if (!reply.ok) throw new Refused(reply.status, `${name}: ${reply.statusText}`);
  return new Uint8Array(await reply.arrayBuffer());
}

async function loadStreet() {
  if (!globalThis.crypto?.subtle) throw new Refused(422, "This page needs https:// or localhost.");
  const modules = await Promise.all(
    ["./map.js", "./judge.js", "./pixels.js", "./ort/ort.wasm.bundle.min.mjs"].map((name) => import(new URL(name, document.baseURI))));
  const [{loadMap, rank}, {checkModel, judge, number}, {readPhoto}, ort] = modules;
  try {
    const map = await loadMap(read);
    const {model, bytes} = await checkModel(map, CARD, read);
    ort.env.wasm.wasmPaths = {wasm: new URL("ort/ort-wasm-simd-threaded.wasm", document.baseURI).href};
    ort.env.wasm.numThreads = globalThis.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency) : 1;
    const session = await ort.InferenceSession.create(bytes, {executionProviders: ["wasm"]});
    return {map, model, session, ort, rank, judge, number, readPhoto};
  } catch (error) {
    throw error instanceof Refused ? error : new Refused(422, error.message);
  }
}

function useToken() {} // nobody asks for one

async function loadPlaces() {
  const {map, number} = await (street ??= loadStreet());
  const column = (name) => map.places.map((place) => number(place[name]));
  return {
    run: map.meta.run, easting: column("easting"), northing: column("northing"),
    latitude: map.places[0].latitude ? column("latitude") : null, longitude: map.places[0].longitude ? column("longitude") : null,
    towards: column("heading"), longest: null,
  };
}

async function loadPicture(image) {
  return new Blob([await read(`thumbnails/${String(image).padStart(6, "0")}.jpg`)], {type: "image/jpeg"});
}

async function locatePhotos(photos, top) {
  const {map} = await (street ??= loadStreet());
  const located = [];
  for (const photo of photos) located.push(await locateOne(photo, top));
  const {calibration, run} = map.meta;
  return {run, threshold: {by: "distance", limit: calibration?.map_limit ?? null}, located};
}

async function describe(blob) {
  const {map, session, ort, readPhoto} = await (street ??= loadStreet());
  const {data, width, height} = await readPhoto(blob, map.meta.input).catch((error) => { throw new Refused(422, error.message); });
  const pixels = new ort.Tensor("uint8", new Uint8Array(data.buffer), [1, height, width, 3]);
  const {descriptor} = await session.run({pixels});
  return descriptor.data;
}

async function locateOne({blob, name}, top) {
  const {map, rank, judge, number} = await street;
  const ranked = rank(map, await describe(blob), Math.max(top, map.meta.calibration?.depth ?? 0));
  const matches = ranked.slice(0, top).map(({index, distance}, place) => {
    const {path, easting, northing, latitude, longitude, heading} = map.places[index];
    return {
      rank: place + 1, image: index, database: path, easting: number(easting), northing: number(northing),
      latitude: number(latitude), longitude: number(longitude), heading: number(heading), distance,
    };
  });
  return {photo: name, ...judge(map, ranked), matches};
}

function begin() { // after the page's own script
  const wanted = new URLSearchParams(location.search).get("lang") ?? navigator.language.slice(0, 2);
  document.querySelector(`nav [hreflang="${CSS.escape(wanted)}"]`)?.click();
  document.head.append(Object.assign(document.createElement("link"), {rel: "manifest", href: "manifest.webmanifest"}));
}

addEventListener("DOMContentLoaded", begin);
navigator.serviceWorker?.register("sw.js");
