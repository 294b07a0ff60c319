// The owner's preview: the task type's own presenter on one task, and nothing is sent.

import {presenting, refuse} from "./presenting.js";

const form = document.getElementById("work");
const {task} = JSON.parse(document.getElementById("task").textContent);
const strings = JSON.parse(document.getElementById("texts").textContent);
const {sent} = JSON.parse(document.getElementById("preview-texts").textContent);
const toast = document.getElementById("toast");

try {
  const present = await presenting(form);
  present(task, {strings, onchange() {}});
  document.addEventListener("submit", event => {
    event.preventDefault();
    document.getElementById("report").hidePopover?.();
    toast.textContent = sent;
    setTimeout(() => {
      toast.textContent = "";
    }, 4000);
  });
  document.body.dataset.ready = "1";
} catch (error) {
  refuse(form, document.getElementById("wrong"), strings.broken, error);
}
