// The task page's keys: digits choose, letters press the button that names them, Enter is Done.

import {store} from "../device.js";
import {isAltGr, isCommand, keyOf} from "../keys.js";
import {byId, form} from "./page.js";

export function shortcuts({answer, undo}) {
  const isOn = byId("use-keys");
  const draw = () => document.body.classList.toggle("no-keys", !isOn.checked);
  isOn.checked = store.get("keys") !== false;
  isOn.addEventListener("change", () => {
    store.set("keys", isOn.checked);
    draw();
  });
  draw();

  document.addEventListener("keydown", event => {
    if (event.defaultPrevented || event.isComposing || (event.altKey && !isAltGr(event))) return;
    if (document.querySelector("[popover]:popover-open")) return;
    const key = keyOf(event),
      isWriting = event.target.matches("textarea,input:not([type=radio]):not([type=checkbox]),select");
    if (key === "z" && isCommand(event) && !isWriting) {
      event.preventDefault();
      return undo();
    }
    if (event.ctrlKey && key === "Enter") {
      event.preventDefault();
      return answer("value");
    }
    if (isWriting || isCommand(event) || event.repeat) return;
    if (key === "Enter") {
      if (event.target.closest("button,a,summary")) return;
      event.preventDefault();
      if (byId("done")) answer("value");
    } else if (!isOn.checked) return;
    else if (/^[1-9]$/.test(key)) {
      const choice = choices(event.target)[key - 1];
      if (choice) {
        event.preventDefault();
        choice.click();
        if (choice.matches("input")) choice.focus();
      }
    } else if (key === "?") byId("keys").showPopover();
    else if (key === "u") {
      event.preventDefault();
      undo();
    } else form.querySelector(`[data-hotkey="${CSS.escape(key)}"]`)?.click();
  });

  // Of the field that has the focus, or else of the first that has no answer; where nothing is named, what can be chosen.
  function choices(target) {
    const named = [...form.querySelectorAll("[data-field]")].filter(
      it => !it.disabled && it.querySelector("[data-choice]"),
    );
    const group =
      target.closest("[data-field]") ?? named.find(it => !it.querySelector(":checked")) ?? named[0] ?? form;
    const found = [...group.querySelectorAll("[data-choice]")];
    const any = found.length
      ? found
      : [...byId("presenter").querySelectorAll("input[type=radio],input[type=checkbox],button[type=submit]")];
    return any.filter(it => it.offsetParent);
  }
}
