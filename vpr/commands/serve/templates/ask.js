// What the page asks the service. A page without a service brings other functions of the same names.
"use strict";

const TRIES = 5; // of a service that is busy
let token = "";

class Refused extends Error {
  constructor(status, sentence) {
    super(sentence);
    this.status = status; // 0: the service is gone
  }
}

async function ask(path, options = {}) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  let reply;
  try {
    reply = await fetch(path, { ...options, headers });
  } catch (error) {
    throw new Refused(0, error.message);
  }
  if (reply.ok) return reply;
  const { error } = await reply.json().catch(() => ({ error: reply.statusText }));
  throw Object.assign(new Refused(reply.status, error), { after: Number(reply.headers.get("Retry-After")) });
}

function useToken(given) {
  token = given;
}

// The places of the map, in columns, and `longest`: pixels of the longer side beyond which photos gain nothing.
async function loadPlaces() {
  const [version, places] = await Promise.all(["v1/version", "v1/places"].map(async (path) => (await ask(path)).json()));
  // Twice as large as what is looked at: the service's own scaling decides what it sees.
  return { ...places, longest: version.max_side_px && 2 * version.max_side_px };
}

async function loadPicture(image) {
  return (await ask(`v1/places/${image}/picture`)).blob();
}

// Locates one photo, or several as one walk; `busy` is called before each further try.
async function locatePhotos(photos, top, busy) {
  const path = `v1/${photos.length === 1 ? "locate" : "sequence"}?pairs=true&top=${top}`;
  for (let turn = 1; ; turn += 1) {
    const body = new FormData();
    for (const { blob, name } of photos) body.append("photo", blob, name);
    try {
      return await (await ask(path, { method: "POST", body })).json();
    } catch (error) {
      if (error.status !== 503 || turn === TRIES) throw error;
      busy();
      await new Promise((done) => setTimeout(done, 1000 * error.after));
    }
  }
}
