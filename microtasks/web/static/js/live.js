// A page that stays true while it is looked at: its parts marked data-live are fetched again and put in place.

const holder = document.querySelector("[data-live-switch]");
const choice = holder.querySelector("label");
choice.hidden = false;

async function again() {
  const answer = await fetch(location.href, {headers: {Accept: "text/html"}, cache: "no-store"});
  if (!answer.ok || answer.redirected) return false; // signed out, or no longer allowed: the page stays as it was
  // Our own page: texts in it are escaped by the server, and scripts that a parser makes never run.
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of document.querySelectorAll("[data-live]")) {
    const next = fresh.querySelector(`[data-live="${CSS.escape(part.dataset.live)}"]`);
    // What somebody reads with the keyboard or has marked stays under their hands.
    if (!next || part.contains(document.activeElement) || getSelection().containsNode(part, true)) continue;
    const [there, table] = [part.querySelector("details"), next.querySelector("details")];
    if (there && table) table.open = there.open;
    if (!next.isEqualNode(part)) part.replaceWith(next);
  }
  return true;
}

async function keep() {
  for (;;) {
    await new Promise(go => setTimeout(go, holder.dataset.every * 1000));
    if (document.hidden || !choice.control.checked) continue;
    if ((await again().catch(() => true)) === false) return; // offline: the next round tries again
  }
}
keep();
