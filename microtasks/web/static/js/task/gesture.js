// One press answers one task. A double click or tap, a key held or hit twice, a press that began before the task was
// on the screen: none of them says anything about a task that nobody has seen yet.

import {form} from "./page.js";

const CALM_MS = 350; // nobody sees a picture and answers it faster

const isWriting = target => target.matches?.("textarea,select,input:not([type=radio]):not([type=checkbox])");
let seenAt = 0,
  pressedAt = null,
  firstAt = 0,
  calm;

// A task has just been shown: it counts as seen from the next frame on.
export function newTask() {
  seenAt = performance.now();
  form.classList.add("fresh");
  requestAnimationFrame(() => {
    seenAt = performance.now();
  });
  clearTimeout(calm);
  calm = setTimeout(() => form.classList.remove("fresh"), CALM_MS + 30);
}

const isEarly = at => at < seenAt + CALM_MS;
function swallow(event) {
  event.preventDefault();
  event.stopImmediatePropagation();
}

addEventListener(
  "pointerdown",
  event => {
    pressedAt = event.timeStamp;
  },
  true,
);
form.addEventListener(
  "click",
  event => {
    const at = pressedAt ?? event.timeStamp;
    pressedAt = null;
    if (event.detail <= 1) firstAt = at;
    if (!event.target.closest(".act,.presenter")) return; // the tools of a picture answer nothing
    if (isEarly(at) || (event.detail > 1 && firstAt < seenAt)) swallow(event);
  },
  true,
);
addEventListener(
  "keydown",
  event => {
    if (document.querySelector("[popover]:popover-open")) return;
    if ((event.ctrlKey || event.metaKey) && event.key !== "Enter") return;
    if (event.key.length > 1 && event.key !== "Enter") return; // arrows and their like answer nothing
    const isAnswer = event.key === "Enter" || !isWriting(event.target); // what is written into a field is no answer yet
    const isHeld = event.key === "Enter" && event.repeat && !event.target.matches?.("textarea");
    if (isAnswer && (isEarly(event.timeStamp) || isHeld)) swallow(event);
  },
  true,
);
