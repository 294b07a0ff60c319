// On every page of a volunteer but the task page: sends what was left behind when a task page was closed.

import {store} from "./device.js";
import {outboxOf} from "./sending.js";

let isNews = false;
for (const key of store.keys().filter(it => it.startsWith("out:"))) {
  const outbox = outboxOf(key.slice(4));
  try {
    while (outbox.all().length)
      await outbox.send(0, () => {
        isNews = true;
      });
  } catch {
    /* the next page tries again */
  }
}
if (isNews && document.querySelector("[data-counts]")) location.reload(); // it says how much was done
const told = store.get("told");
if (told && !isNews) {
  store.set("told", null);
  document
    .getElementById("main")
    .prepend(
      Object.assign(document.createElement("p"), {className: "notice", role: "status", textContent: told}),
    );
}
