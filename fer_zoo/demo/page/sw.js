// Keeps the page for use without a network, and gives it the headers that threads need where the
// server does not send them. What the network has comes first: another page may have taken this
// address, such as that of another program on localhost.
importScripts("build.js"); // self.BUILD: version, files, engines
const { version, files, engines } = self.BUILD;
const PREFIX = `fer_zoo ${self.registration.scope} `;
const CACHE = PREFIX + version;
const MARK = '<meta name="application-name" content="fer_zoo">'; // of index.html
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
  const response = await fetch(request).catch(() => kept(request));
  if (request.destination === "worker") return isolated(response);
  if (request.destination !== "document") return response;
  if ((await response.clone().text()).includes(MARK)) return isolated(response);
  await self.registration.unregister(); // this is another page
  return response;
}

async function kept(request) {
  const cache = await caches.open(CACHE);
  return (await cache.match(request, { ignoreSearch: true })) ?? Response.error();
}

function isolated(response) {
  const headers = new Headers(response.headers);
  headers.set("Cross-Origin-Opener-Policy", "same-origin");
  headers.set("Cross-Origin-Embedder-Policy", "require-corp");
  const { status, statusText } = response;
  return new Response(response.body, { status, statusText, headers });
}
