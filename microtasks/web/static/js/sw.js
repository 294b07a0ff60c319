// The service worker of /p/: a task page that is loaded again without a connection is shown from the device.
// Kept are: the files of every task page (NEEDED: web/assets.py puts the list before this text), pictures, the task
// pages as they were last fetched, and one page that says "offline". Pages always come from the network first, so
// nothing stale is shown to who has one; the owner's pages are outside of its scope. runner.js holds tasks and answers.

const PAGES = "mt-pages",
  FILES = "mt-files",
  PICTURES = "mt-pictures",
  OFFLINE = "/offline";
const MOST = {[PAGES]: 8, [FILES]: 60, [PICTURES]: 60};
const isWork = url => /^\/p\/[^/]+\/work$/.test(url.pathname);
// What a page depends on (language, cookie, compression) is the same on one device: a kept copy always fits.
const kept = (cacheName, key) => caches.match(key, {cacheName, ignoreVary: true});

async function keep(name, key, response) {
  const cache = await caches.open(name);
  await cache.put(key, response);
  const keys = await cache.keys(); // the oldest first
  for (const old of keys.slice(0, Math.max(0, keys.length - MOST[name]))) await cache.delete(old);
}

async function page(event, url) {
  try {
    const response = await fetch(event.request);
    // A page that tells of something else (a redirect to thank-you, an error) is no task page.
    if (isWork(url) && response.ok && !response.redirected)
      event.waitUntil(keep(PAGES, url.pathname, response.clone()).catch(() => {}));
    return response;
  } catch (error) {
    const work = isWork(url) && (await kept(PAGES, url.pathname));
    if (!work) {
      const offline = await kept(FILES, OFFLINE);
      if (offline) return offline;
      throw error;
    }
    // Marked, so that runner.js takes its task from the device: the one in this page may be long done.
    const text = await work.text();
    return new Response(text.replace('<body class="', '<body data-offline class="'), {headers: work.headers});
  }
}

async function hashed(event, name) {
  const found = await kept(name, event.request.url);
  if (found) return found;
  const response = await fetch(event.request);
  const isForEver = response.headers.get("Cache-Control")?.includes("immutable");
  if (response.ok && isForEver)
    event.waitUntil(keep(name, event.request.url, response.clone()).catch(() => {}));
  return response;
}

// All or none: a worker that could not fetch every file is not installed, and the one before it goes on.
async function install() {
  await (await caches.open(FILES)).addAll([...NEEDED, OFFLINE]);
  await skipWaiting();
}

addEventListener("install", event => event.waitUntil(install()));
addEventListener("activate", event => event.waitUntil(clients.claim()));
addEventListener("fetch", event => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || url.origin !== location.origin) return;
  if (event.request.mode === "navigate") {
    if (url.pathname.startsWith("/p/")) event.respondWith(page(event, url));
  } else if (url.pathname.startsWith("/static/")) event.respondWith(hashed(event, FILES));
  else if (url.pathname.startsWith("/media/")) event.respondWith(hashed(event, PICTURES));
});
