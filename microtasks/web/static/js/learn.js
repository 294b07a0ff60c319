// A try of the tutorial, or an expert's own answer: the task type's own presenter, with what there is to begin
// with; what it reads goes into the form, which the page sends.

import {isCommand, keyOf} from "./keys.js";
import {presenting, refuse} from "./presenting.js";

const form = document.getElementById("work"),
  wrong = document.getElementById("wrong");
const {task, value = null} = JSON.parse(document.getElementById("task").textContent);
const strings = JSON.parse(document.getElementById("texts").textContent);

try {
  const present = await presenting(form);
  const presenter = present(task, {
    strings,
    draft: value,
    onchange() {
      // Its line stays: if it went, the picture would jump under the finger that draws.
      if (wrong.textContent) wrong.style.minBlockSize = `${wrong.offsetHeight}px`;
      wrong.textContent = "";
    },
  });
  form.noValidate = true;
  form.addEventListener("submit", event => {
    if ((event.submitter?.value ?? "value") === "value" || event.submitter.name !== "_kind") {
      if (presenter.problem?.()) return event.preventDefault();
      if (presenter.isEmpty()) {
        event.preventDefault();
        wrong.textContent = strings.nothing;
        return;
      }
      form.elements._value.value = JSON.stringify(presenter.read());
    }
  });
  document.addEventListener("keydown", event => {
    if (isCommand(event) && keyOf(event) === "Enter") {
      event.preventDefault();
      document.getElementById("done")?.click();
    }
  });
  document.body.dataset.ready = "1";
} catch (error) {
  refuse(form, wrong, strings.broken, error);
}
