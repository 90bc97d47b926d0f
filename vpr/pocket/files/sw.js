// Keeps the whole folder for use without a network; the export writes VERSION and FILES above.
const SHELL = `vpr-${VERSION}`, TOGETHER = 50; // files that are fetched at once

self.addEventListener("install", (event) => event.waitUntil(keep()));
self.addEventListener("activate", (event) => event.waitUntil(replaceOthers()));
self.addEventListener("fetch", (event) => {
  const {method, url} = event.request;
  if (method === "GET" && new URL(url).origin === location.origin) event.respondWith(answer(event.request));
});

async function keep() {
  const cache = await caches.open(SHELL);
  for (let start = 0; start < FILES.length; start += TOGETHER) {
    const names = FILES.slice(start, start + TOGETHER);
    await cache.addAll(names.map((name) => new Request(name, {cache: "reload"})));
  }
  await self.skipWaiting();
}

async function replaceOthers() {
  const names = await caches.keys();
  await Promise.all(names.filter((name) => name !== SHELL).map((name) => caches.delete(name)));
  await self.clients.claim();
}

async function answer(request) {
  const cache = await caches.open(SHELL);
  const reply = await cache.match(request, {ignoreSearch: true}) ?? await fetch(request);
  const headers = new Headers(reply.headers); // with these a page may use more than one core
  headers.set("Cross-Origin-Opener-Policy", "same-origin");
  headers.set("Cross-Origin-Embedder-Policy", "require-corp");
  return new Response(reply.body, {status: reply.status, headers});
}
