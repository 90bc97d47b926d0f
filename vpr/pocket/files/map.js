// Reads a map that `python -m vpr export-map` wrote, in browsers and Node; it needs nothing else.

/** Load a map. `read` gives the bytes of a file by its name, as a promise of a Uint8Array. */
export async function loadMap(read) {
  const meta = parse(await read("map.json"), "map.json", "vpr-map"), bytes = {};
  for (const [name, expected] of Object.entries(meta.files)) {
    bytes[name] = await read(name);
    if (await sha256(bytes[name]) !== expected) {
      throw new Error(`${name}: missing, damaged, or of another map than map.json`);
    }
  }
  const places = parseTable(new TextDecoder().decode(bytes["places.csv"]));
  const rows = unitRows(bytes["descriptors.npy"], meta);
  if (rows.length !== meta.count * meta.dim || places.length !== meta.count) {
    throw new Error("map.json: count or dim is not that of descriptors.npy and places.csv");
  }
  return {meta, places, rows};
}

/** Rank places for a unit descriptor: [{index, distance}], best first. */
export function rank({meta, rows}, descriptor, top) {
  const distances = new Float64Array(meta.count);
  for (let index = 0, at = 0; index < meta.count; index++) {
    let dot = 0;
    for (let axis = 0; axis < meta.dim; axis++, at++) dot += rows[at] * descriptor[axis];
    distances[index] = Math.sqrt(Math.max(0, 2 - 2 * dot));
  }
  const order = [...distances.keys()].sort((a, b) => distances[a] - distances[b] || a - b);
  return order.slice(0, top).map((index) => ({index, distance: distances[index]}));
}

export function parse(bytes, name, form) {
  let found = null;
  try { found = JSON.parse(new TextDecoder().decode(bytes)); } catch { /* said below */ }
  if (found?.format === form && found.version === 1) return found;
  throw new Error(`${name}: missing, damaged, or not a ${form} of version 1`);
}

export async function sha256(bytes) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function unitRows(npy, {dim, dtype}) {
  const start = npy.byteOffset + 10 + npy[8] + 256 * npy[9]; // after NumPy's header, version 1
  const values = npy.buffer.slice(start, npy.byteOffset + npy.length);
  const wide = dtype === "int8" ? null : Float32Array.from({length: 65536}, (_, half) => widen(half));
  const rows = wide ? Float32Array.from(new Uint16Array(values), (half) => wide[half])
    : Float32Array.from(new Int8Array(values));
  for (let at = 0; at < rows.length; at += dim) {
    const row = rows.subarray(at, at + dim);
    const length = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0));
    for (let axis = 0; axis < dim; axis++) row[axis] /= length;
  }
  return rows;
}

function widen(half) { // IEEE 754 binary16
  const exponent = (half >> 10) & 31, sign = half >> 15 ? -1 : 1;
  return sign * 2 ** (Math.max(exponent, 1) - 25) * ((half & 1023) + (exponent ? 1024 : 0));
}

function parseTable(text) {
  const rows = [[]];
  for (const [, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\n]*))(,|\n)/g)) {
    rows.at(-1).push(plain ?? quoted.replaceAll('""', '"'));
    if (end === "\n") rows.push([]);
  }
  const [names, ...values] = rows.slice(0, -1);
  return values.map((row) => Object.fromEntries(names.map((name, column) => [name, row[column]])));
}
