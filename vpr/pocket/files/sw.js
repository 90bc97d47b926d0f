// Keeps the whole folder for use without a network; `FILES` and `VERSION` are written by the export.
const SHELL = `vpr-${VERSION}`;

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(SHELL).then((cache) => cache.addAll(FILES.map(
    (name) => new Request(name, {cache: "reload"})))).then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  event.waitUntil(caches.keys().then((names) => Promise.all(
    names.filter((name) => name.startsWith("vpr-") && name !== SHELL).map((name) => caches.delete(name)),
  )).then(() => self.clients.claim()));
});

self.addEventListener("fetch", (event) => {
  const {request} = event;
  if (request.method !== "GET" || new URL(request.url).origin !== location.origin) return;
  event.respondWith(answer(request));
});

async function answer(request) {
  const cache = await caches.open(SHELL);
  const reply = await cache.match(request, {ignoreSearch: true}) ?? await fetch(request);
  if (!reply.ok || reply.type === "opaque") return reply;
  const headers = new Headers(reply.headers); // with these a page may use more than one core
  headers.set("Cross-Origin-Opener-Policy", "same-origin");
  headers.set("Cross-Origin-Embedder-Policy", "require-corp");
  return new Response(reply.body, {status: reply.status, headers});
}
