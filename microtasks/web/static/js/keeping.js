// After the first task is there: what this page needs to be loaded again without a connection (sw.js).

export async function keepOnDevice() {
  const isFirstVisit = !navigator.serviceWorker.controller; // asked before: the worker claims this page at once
  await navigator.serviceWorker.register("/sw.js", {scope: "/p/"});
  await navigator.serviceWorker.ready; // it has fetched all that task pages need
  if (isFirstVisit) await keepThisPage();
  document.body.dataset.kept = "1";
}

// On the first visit the worker came after the page and its pictures: put them where it looks for them.
async function keepThisPage() {
  const [pages, pictures] = await Promise.all(["pages", "pictures"].map(name => caches.open(`mt-${name}`)));
  const loaded = new Set(performance.getEntriesByType("resource").map(it => it.name.split("#")[0]));
  await pictures.addAll([...loaded].filter(url => url.startsWith(`${location.origin}/media/`)));
  const page = await fetch(location.pathname, {headers: {Accept: "text/html"}});
  if (page.ok && !page.redirected) await pages.put(location.pathname, page);
}
