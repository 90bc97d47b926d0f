// What follows from a ranking: vpr/evaluation/calibration.py by distance, without matching points.
import {parse, sha256} from "./map.js";

const APART = 2; // radii between places that are different for sure

/** Refuse a network of another run than the map, or a damaged one; else give its card and bytes. */
export async function checkModel(map, card, read) {
  const model = parse(await read(card), card, "vpr-model");
  if (model.run !== map.meta.run) {
    throw new Error(`${card}: of run ${model.run}, the map is of ${map.meta.run}`);
  }
  const bytes = await read(model.file);
  if (await sha256(bytes) === model.sha256) return {model, bytes};
  throw new Error(`${model.file}: missing, damaged, or of another export than ${card}`);
}

/** Conclude from the first `calibration.depth` of a ranking; null is what is not calibrated. */
export function judge({meta, places}, ranked) {
  const {calibration} = meta;
  const nothing = {state: null, probability: null, probability_interval: null, position: null};
  if (!calibration) return nothing;
  const first = ranked.slice(0, calibration.depth), [{index, distance}] = first;
  const [odds, spread] = logOdds(calibration, places, first);
  const state = calibration.map_limit === null ? null
    : distance > calibration.map_limit ? "unknown"
      : odds > (calibration.place?.least_log_odds ?? 0) ? "known" : "unsure";
  const reach = calibration.reach * Math.sqrt(spread);
  const model = state === null ? null : calibration.place; // what decides nothing says no probability
  const place = places[index], circle = calibration.circles_m[state ?? "any"] ?? null;
  return {
    state,
    probability: model && sigmoid(odds),
    probability_interval: model && [sigmoid(odds - reach), sigmoid(odds + reach)],
    position: state === "unknown" ? null : {
      easting: Number(place.easting), northing: Number(place.northing),
      latitude: number(place.latitude), longitude: number(place.longitude),
      uncertainty_m: place.latitude === "" ? null : circle, heading: number(place.heading),
    },
  };
}

/** Log odds that the first match is right, and their variance. */
function logOdds({place, radius_m: radius}, places, first) {
  if (!place) return [-Infinity, 0];
  const metres = ({index}) => Math.hypot(places[index].easting - places[first[0].index].easting,
    places[index].northing - places[first[0].index].northing);
  const elsewhere = first.filter((match) => metres(match) > APART * radius + 1e-8);
  const rival = (elsewhere[0] ?? first.at(-1)).distance;
  const roots = [-first[0].distance, rival - first[0].distance, 1]
    .map((value) => Math.sign(value) * Math.sqrt(Math.abs(value)));
  const dot = (weights) => weights.reduce((sum, weight, axis) => sum + weight * roots[axis], 0);
  return [dot(place.weights), Math.max(0, dot(place.covariance.map(dot)))];
}

export const number = (text) => text === "" ? null : Number(text);
const sigmoid = (value) => 1 / (1 + Math.exp(-value));
