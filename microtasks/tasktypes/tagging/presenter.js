// Tags: chips of the list, own tags as chips that can be taken off again, a search in long lists.

export function mount(element, {config, draft, onchange}) {
  const root = element.querySelector("[data-fields]");
  const boxes = [...root.querySelectorAll("input[name=tags]")];
  const own = root.querySelector("input[name=own_tags]");
  const shelf = root.querySelector("[data-own]");
  const search = root.querySelector("[data-search]");
  const model = root.querySelector("template");
  const plain = text => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase().trim(); // Müller is found by muller
  const split = text =>
    text
      .split(/[,;\n]/)
      .map(tag => tag.trim())
      .filter(Boolean);
  let mine = [];

  const drawOwn = () => {
    shelf?.replaceChildren(
      ...mine.map(tag => {
        const chip = model.content.firstElementChild.cloneNode(true);
        chip.firstElementChild.textContent = tag;
        chip.addEventListener("click", () => {
          mine = mine.filter(other => other !== tag);
          drawOwn();
          onchange();
          own.focus();
        });
        return chip;
      }),
    );
  };
  const addOwn = () => {
    for (const tag of split(own.value)) {
      const listed = boxes.find(box =>
        [box.value, box.nextElementSibling.textContent].some(
          name => name.trim().toLowerCase() === tag.toLowerCase(),
        ),
      );
      if (listed) listed.checked = true;
      else if (!mine.includes(tag)) mine.push(tag);
    }
    own.value = "";
    drawOwn();
    onchange();
  };

  const start = draft?.tags ?? null;
  if (start) {
    const ids = (config.tags ?? []).map(tag => tag.id);
    for (const box of boxes) box.checked = start.includes(box.value);
    mine = start.filter(tag => !ids.includes(tag));
  } else if (own) mine = split(own.value);
  if (own) {
    own.value = "";
    const add = root.querySelector("[data-add]");
    add.hidden = false;
    add.addEventListener("click", () => {
      addOwn();
      own.focus();
    });
    const list = root.querySelector("datalist"),
      slug = element.closest("form")?.dataset.slug;
    if (slug)
      own.addEventListener(
        "focus",
        async () => {
          const said = await fetch(`/p/${slug}/tags`).then(
            it => (it.ok ? it.json() : {tags: []}),
            () => ({tags: []}),
          );
          list.replaceChildren(
            ...said.tags.map(tag => Object.assign(document.createElement("option"), {value: tag})),
          );
        },
        {once: true},
      );
    own.addEventListener("keydown", event => {
      if (event.key === "," || (event.key === "Enter" && own.value.trim())) {
        event.preventDefault();
        event.stopPropagation();
        addOwn();
      }
    });
    drawOwn();
  }
  if (search) {
    search.hidden = false;
    search.addEventListener("input", () => {
      const wanted = plain(search.value);
      for (const box of boxes)
        box.parentElement.hidden =
          !box.checked && !plain(box.nextElementSibling.textContent).includes(wanted);
    });
    search.addEventListener("keydown", event => {
      if (event.key !== "Enter") return;
      event.preventDefault(); // it is no Done: it takes what was found, if that is one tag
      const found = boxes.filter(box => !box.parentElement.hidden && !box.checked);
      if (!search.value.trim() || found.length !== 1) return;
      found[0].click();
      search.value = "";
      search.dispatchEvent(new Event("input"));
    });
  }
  root.addEventListener("change", onchange);

  const read = () => ({
    tags: [...boxes.filter(box => box.checked).map(box => box.value), ...mine, ...split(own?.value ?? "")],
  });
  return {read, isEmpty: () => read().tags.length === 0};
}
