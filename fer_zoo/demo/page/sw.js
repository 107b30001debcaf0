// Keeps the page for use without a network, and gives it the headers that threads need where the
// server does not send them.
importScripts("build.js"); // self.BUILD: version, files, engines
const { version, files, engines } = self.BUILD;
const PREFIX = `fer_zoo ${self.registration.scope} `;
const CACHE = PREFIX + version;
const engine = new URL(self.location).searchParams.get("engine");

self.addEventListener("install", (event) => {
  event.waitUntil(
    caches
      .open(CACHE)
      .then((cache) => cache.addAll([...files, ...(engines[engine] ?? [])]))
      .then(() => self.skipWaiting()),
  );
});

self.addEventListener("activate", (event) => {
  event.waitUntil(
    caches
      .keys()
      .then((names) => names.filter((name) => name.startsWith(PREFIX) && name !== CACHE))
      .then((old) => Promise.all(old.map((name) => caches.delete(name))))
      .then(() => self.clients.claim()),
  );
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method === "GET" && request.url.startsWith(self.registration.scope)) {
    event.respondWith(answer(request));
  }
});

async function answer(request) {
  const cache = await caches.open(CACHE);
  const found = await cache.match(request, { ignoreSearch: true });
  const response = found ?? (await fetch(request));
  return ["document", "worker"].includes(request.destination) ? isolated(response) : response;
}

function isolated(response) {
  const headers = new Headers(response.headers);
  headers.set("Cross-Origin-Opener-Policy", "same-origin");
  headers.set("Cross-Origin-Embedder-Policy", "require-corp");
  const { status, statusText } = response;
  return new Response(response.body, { status, statusText, headers });
}
