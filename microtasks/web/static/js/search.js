// A search in a long list of choices: those that do not fit are put aside, those chosen stay.

const folded = text => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase().trim(); // Müller is found by muller

// items: the elements; each holds its label's text. isChosen(item); choose(item): what Enter does with the only one left.
export function searchable(search, items, {isChosen, choose}) {
  search.hidden = false;
  const draw = () => {
    const wanted = folded(search.value);
    for (const item of items) item.hidden = !isChosen(item) && !folded(item.textContent).includes(wanted);
  };
  search.addEventListener("input", event => {
    event.stopPropagation(); // it is no answer
    draw();
  });
  search.addEventListener("change", event => event.stopPropagation());
  search.addEventListener("keydown", event => {
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault(); // it is no Done: it takes what was found, if that is one
    const left = items.filter(item => !item.hidden && !isChosen(item));
    if (!search.value.trim() || left.length !== 1) return;
    choose(left[0]);
    search.value = "";
    draw();
  });
}
