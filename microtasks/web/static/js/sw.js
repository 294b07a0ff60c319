// The service worker of /p/: a task page that is loaded again without a connection is shown from the device.
// Kept are: what has its hash in its name (scripts, styles, pictures), the task page as it was last fetched, and one
// page that says "offline". Pages always come from the network first, so nothing stale is shown to who has one; the
// owner's pages are outside of its scope. runner.js fills the cache for the first visit, and holds tasks and answers.

const PAGES = "mt-pages", FILES = "mt-files", PICTURES = "mt-pictures";
const MOST = {[PAGES]: 8, [FILES]: 40, [PICTURES]: 60};
const isWork = url => /^\/p\/[^/]+\/work$/.test(url.pathname);

async function keep(name, key, response) {
  const cache = await caches.open(name);
  await cache.delete(key);
  await cache.put(key, response);
  const keys = await cache.keys();
  for (const old of keys.slice(0, Math.max(0, keys.length - MOST[name]))) await cache.delete(old);
}

async function page(event, url) {
  try {
    const response = await fetch(event.request);
    // A page that tells of something else (a redirect to thank-you, an error) is no task page.
    if (isWork(url) && response.ok && !response.redirected) event.waitUntil(keep(PAGES, url.pathname, response.clone()).catch(() => {}));
    return response;
  } catch (error) {
    const kept = isWork(url) && await caches.match(url.pathname, {cacheName: PAGES});
    if (!kept) {
      const offline = await caches.match("/offline", {cacheName: PAGES});
      if (offline) return offline;
      throw error;
    }
    // Marked, so that runner.js takes its task from the device: the one in this page may be long done.
    const text = await kept.text();
    return new Response(text.replace('<body class="', '<body data-offline class="'), {headers: kept.headers});
  }
}

async function hashed(event, name) {
  const kept = await caches.match(event.request, {cacheName: name});
  if (kept) return kept;
  const response = await fetch(event.request);
  const isForEver = response.headers.get("Cache-Control")?.includes("immutable");
  if (response.ok && isForEver) event.waitUntil(keep(name, event.request.url, response.clone()).catch(() => {}));
  return response;
}

addEventListener("install", () => skipWaiting());
addEventListener("activate", event => event.waitUntil(clients.claim()));
addEventListener("fetch", event => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || url.origin !== location.origin) return;
  if (event.request.mode === "navigate") { if (url.pathname.startsWith("/p/")) event.respondWith(page(event, url)); }
  else if (url.pathname.startsWith("/static/")) event.respondWith(hashed(event, FILES));
  else if (url.pathname.startsWith("/media/")) event.respondWith(hashed(event, PICTURES));
});
