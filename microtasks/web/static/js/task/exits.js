// The ways out that throw away what is on the page ask first: one key must not undo eight drawn circles.

import {byId} from "./page.js";

const sheet = byId("sure"),
  yes = byId("sure-yes");
let go = null;

// Runs `leave` at once, or after a yes where there is something to lose. Which way out it is, its own button says.
export function sure(hasWork, button, leave) {
  if (!hasWork) return leave();
  go = leave;
  yes.textContent = button?.firstChild.textContent.trim() || yes.dataset.usual;
  sheet.showPopover();
  byId("sure-no").focus();
}
yes.addEventListener("click", () => {
  sheet.hidePopover();
  const leave = go;
  go = null;
  leave?.();
});
