// A question's fields: reads them, shows those that are asked, says which one lacks an answer.

import {searchable} from "microtasks/search.js";
import {clean, readNumber} from "microtasks/typed.js";

// The keyboard of a phone comes after the focus: what is typed into must not lie behind it.
globalThis.visualViewport?.addEventListener("resize", () => {
  const field = document.activeElement;
  if (field?.matches("[data-fields] :is(textarea,input)")) field.scrollIntoView({block: "nearest"});
});

export function mount(element, {config, strings, draft, onchange, decimal}) {
  const root = element.querySelector("[data-fields]");
  const fields = config.fields.map(field => ({
    ...field,
    box: root.querySelector(`[data-field="${CSS.escape(field.id)}"]`),
  }));
  const inputs = field => [...field.box.querySelectorAll("input:not([type=search]),textarea")];
  let tapped = null; // the choice of a one-tap question

  const valueIn = field => {
    if (field.box.disabled) return null;
    if ("oneTap" in root.dataset) return tapped ?? field.box.querySelector("[aria-current]")?.value ?? null;
    const all = inputs(field);
    if (field.kind === "choices") {
      const chosen = all.filter(input => input.checked).map(input => input.value);
      return chosen.length ? chosen : null;
    }
    if (field.kind === "choice") return all.find(input => input.checked)?.value ?? null;
    if (field.kind === "scale") {
      const step = all.find(input => input.checked)?.value;
      return step === undefined ? null : Number(step);
    }
    const written = clean(all[0].value);
    if (written === "") return null;
    return field.kind === "number" ? (readNumber(written, decimal) ?? written) : written;
  };

  // What was understood of a number is told back: a comma is a point here, and parts thousands there.
  const tellBack = () => {
    for (const field of fields.filter(it => it.kind === "number")) {
      const line = field.box.querySelector("[data-read]"),
        value = valueIn(field);
      const shown = typeof value === "number" ? String(value).replace(".", decimal) : "";
      line.textContent =
        shown && shown !== inputs(field)[0].value.trim() ? line.dataset.read.replace("{n}", shown) : "";
    }
  };
  const trouble = field => {
    const value = valueIn(field);
    if (value === null) return field.required === false ? null : strings.required;
    if (field.kind !== "number")
      return inputs(field).find(input => !input.checkValidity())?.validationMessage;
    const {notNumber, small, great} = field.box.dataset;
    if (typeof value !== "number") return notNumber;
    return value < (field.min ?? -Infinity) ? small : value > (field.max ?? Infinity) ? great : null;
  };

  const showAsked = () => {
    for (const field of fields) {
      if (!field.show_if) continue;
      const parent = fields.find(other => other.id === field.show_if.field);
      const isAsked = [valueIn(parent)].flat().map(String).includes(String(field.show_if.is));
      field.box.hidden = field.box.disabled = !isAsked;
    }
  };

  const put = (field, said) => {
    if ("oneTap" in root.dataset) {
      for (const button of field.box.querySelectorAll("button")) {
        button.toggleAttribute("aria-current", button.value === said);
        if (button.value === said) button.setAttribute("aria-current", "true");
      }
      return;
    }
    for (const input of inputs(field)) {
      if (input.type === "radio" || input.type === "checkbox")
        input.checked = Array.isArray(said) ? said.includes(input.value) : String(said) === input.value;
      else if (typeof said === "number") input.value = String(said).replace(".", decimal);
      else input.value = said ?? "";
    }
  };

  // What stands for a word that cannot be read goes where the caret is; "nothing is written" is the whole text.
  for (const bar of root.querySelectorAll("[data-tokens]")) {
    const text = bar.parentElement.querySelector("input,textarea");
    bar.hidden = false;
    bar.addEventListener("pointerdown", event => event.preventDefault()); // the keyboard stays, and so does the caret
    bar.addEventListener("click", event => {
      const {insert, whole} = event.target.closest("button")?.dataset ?? {};
      if (whole) text.value = whole;
      else if (insert) {
        const before = text.value.slice(0, text.selectionStart),
          after = text.value.slice(text.selectionEnd);
        text.setRangeText(
          `${/\S$/.test(before) ? " " : ""}${insert}${/^\S/.test(after) ? " " : ""}`,
          text.selectionStart,
          text.selectionEnd,
          "end",
        );
      } else return;
      text.focus();
      text.dispatchEvent(new Event("input", {bubbles: true}));
    });
  }
  if (draft) for (const field of fields) put(field, draft[field.id]);
  for (const search of root.querySelectorAll("[data-search]")) {
    const items = [...search.closest("[data-field]").querySelectorAll(".option")];
    searchable(search, items, {
      isChosen: item => item.firstElementChild?.checked ?? item.hasAttribute("aria-current"),
      choose: item => item.click(),
    });
  }
  showAsked();
  tellBack();
  root.addEventListener("input", () => {
    showAsked();
    tellBack();
    onchange();
  });
  root.addEventListener(
    "click",
    event => {
      const button = event.target.closest("button[data-choice]");
      if (button) tapped = button.value;
    },
    true,
  );

  const read = () =>
    Object.fromEntries(fields.map(field => [field.id, valueIn(field)]).filter(([, said]) => said !== null));

  return {
    read,
    isEmpty: () => Object.keys(read()).length === 0,
    focus: () =>
      root
        .querySelector("input:not([type=radio]):not([type=checkbox]),textarea")
        ?.focus({preventScroll: true}),
    problem() {
      for (const field of fields) {
        const line = field.box.querySelector("[data-wrong]");
        line.hidden = true;
        if (field.box.disabled) continue;
        const what = trouble(field);
        if (!what) continue;
        line.hidden = false;
        line.textContent = what;
        field.box.querySelector("input:not([type=search]),textarea,button")?.focus();
        return true;
      }
      return false;
    },
  };
}
