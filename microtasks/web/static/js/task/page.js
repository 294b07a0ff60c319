// The parts of the task page that say something: its line of trouble, its toast.

export const byId = id => document.getElementById(id);
export const form = byId("work");
export const island = id => JSON.parse(byId(id)?.textContent ?? "null");
export const texts = island("texts");

export function wrong(text) {
  byId("wrong").textContent = text;
}

// Its line stays while somebody draws: if it went, the picture would jump under the finger.
export function wrongIsOver() {
  if (byId("wrong").textContent) byId("wrong").style.minBlockSize = `${byId("wrong").offsetHeight}px`;
  wrong("");
}
export function wrongIsGone() {
  wrong("");
  byId("wrong").style.minBlockSize = "";
}

let toastTimer;
export function toast(text) {
  const box = byId("toast");
  box.replaceChildren(text);
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => box.replaceChildren(), 4000);
}
