// Tags: chips of the list, custom tags as chips that can be taken off again, a search in long lists.

import {searchable} from "microtasks/search.js";
import {clean, parts} from "microtasks/typed.js";

export function mount(element, {config, draft, onchange, slug}) {
  const root = element.querySelector("[data-fields]");
  const boxes = [...root.querySelectorAll("input[name=tags]")];
  const input = root.querySelector("input[name=own_tags]");
  const shelf = root.querySelector("[data-own]");
  const search = root.querySelector("[data-search]");
  const model = root.querySelector("template");
  const spelling = text => clean(clean(text).normalize("NFKC").toLowerCase(), {lines: false});
  let custom = [];

  const drawCustom = () => {
    shelf?.replaceChildren(
      ...custom.map(tag => {
        const chip = model.content.firstElementChild.cloneNode(true);
        chip.firstElementChild.textContent = tag;
        chip.addEventListener("click", () => {
          custom = custom.filter(other => other !== tag);
          drawCustom();
          onchange();
          input.focus();
        });
        return chip;
      }),
    );
  };
  const take = tags => {
    for (const tag of tags) {
      const listed = boxes.find(box =>
        [box.value, box.nextElementSibling.textContent].some(name => spelling(name) === spelling(tag)),
      );
      if (listed) listed.checked = true;
      else if (!custom.some(other => spelling(other) === spelling(tag))) custom.push(tag);
    }
  };
  const takeTyped = () => {
    take(parts(input.value));
    input.value = "";
    drawCustom();
    onchange();
  };

  if (draft?.tags) {
    const ids = (config.tags ?? []).map(tag => tag.id);
    for (const box of boxes) box.checked = draft.tags.includes(box.value);
    custom = draft.tags.filter(tag => !ids.includes(tag));
  } else if (input) take(parts(input.value));
  if (input) {
    input.value = "";
    const add = root.querySelector("[data-add]");
    add.hidden = false;
    add.addEventListener("click", () => {
      takeTyped();
      input.focus();
    });
    const list = root.querySelector("datalist");
    if (slug)
      input.addEventListener(
        "focus",
        async () => {
          const reply = await fetch(`/p/${slug}/tags`).then(
            it => (it.ok ? it.json() : {tags: []}),
            () => ({tags: []}),
          );
          list.replaceChildren(
            ...reply.tags.map(tag => Object.assign(document.createElement("option"), {value: tag})),
          );
        },
        {once: true},
      );
    // While an input method composes, Enter and commas are its own: the word is not written yet.
    input.addEventListener("keydown", event => {
      if (event.key !== "Enter" || !input.value.trim()) return;
      event.preventDefault();
      event.stopPropagation();
      if (!event.isComposing && event.keyCode !== 229) takeTyped();
    });
    const atAComma = event => {
      if (event.isComposing) return;
      const last = input.value.trimEnd().at(-1) ?? "";
      if (last && input.selectionStart === input.value.length && parts(`a${last}b`).length === 2) takeTyped();
    };
    input.addEventListener("input", atAComma);
    input.addEventListener("compositionend", atAComma);
    drawCustom();
  }
  if (search)
    searchable(
      search,
      boxes.map(box => box.parentElement),
      {isChosen: chip => chip.firstElementChild.checked, choose: chip => chip.firstElementChild.click()},
    );
  root.addEventListener("change", onchange);

  const read = () => ({
    tags: [
      ...boxes.filter(box => box.checked).map(box => box.value),
      ...custom,
      ...parts(input?.value ?? ""),
    ],
  });
  return {read, isEmpty: () => read().tags.length === 0};
}
