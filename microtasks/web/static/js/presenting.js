// A task type's part of the page: loads its presenter.js, mounts it on a task, and refuses one that does not keep the
// protocol (docs/adding-a-task-type.md). The page owns all else: the item, the heading, the ways out.

import {isAltGr, isCommand, keyOf} from "./keys.js";

const REQUIRED = ["read", "isEmpty"],
  OPTIONAL = ["problem", "focus", "undo", "unmount"];

export class PresenterError extends Error {}
class NotLoaded extends Error {}

export async function presenting(form) {
  const {mount} = await import(form.dataset.presenter).catch(error => {
    throw new NotLoaded(error.message);
  });
  if (typeof mount !== "function") throw new PresenterError("presenter.js exports no function mount()");
  const places = ["presenter", "over"].map(id => document.getElementById(id)).filter(Boolean);
  const drawn = places.map(place => place.cloneNode(true)); // as the server drew them, before anything was put in
  let last = null;

  return function present(task, {draft = null, strings, config, onchange}) {
    last?.unmount?.();
    last = null;
    const roots = Object.fromEntries(
      drawn.map((model, i) => {
        const fresh = model.cloneNode(true);
        places[i].replaceWith(fresh);
        places[i] = fresh;
        return [model.id, fresh];
      }),
    );
    const board = document.querySelector("[data-board]");
    const made = mount(roots.presenter, {
      payload: task.payload,
      config: config ?? task.config,
      media: task.media,
      draft,
      strings,
      onchange,
      decimal: form.dataset.decimal || ".",
      slug: form.dataset.slug ?? "",
      keys: {isAltGr, isCommand, keyOf},
      stage: roots.over ? {over: roots.over, board, picture: board.querySelector("img")} : null,
    });
    const lacking = REQUIRED.filter(name => typeof made?.[name] !== "function");
    if (lacking.length) throw new PresenterError(`mount() gives no ${lacking.join("(), no ")}()`);
    const unknown = Object.keys(made).filter(
      name => ![...REQUIRED, ...OPTIONAL].includes(name) || typeof made[name] !== "function",
    );
    if (unknown.length) throw new PresenterError(`mount() gives what nobody calls: ${unknown.join(", ")}`);
    last = made;
    return made;
  };
}

// Nothing of a task may stay where its answer could not be given: a picture that is seen belongs to what is asked.
export function refuse(form, wrong, text, error) {
  if (error instanceof NotLoaded) return; // it did not come over the line: the plain form does without
  console.error(error);
  form.inert = true;
  document.querySelector("[data-stage]")?.remove();
  document.getElementById("presenter")?.replaceChildren();
  wrong.textContent = `${text} (${error.message})`;
  document.body.dataset.broken = "1";
}
