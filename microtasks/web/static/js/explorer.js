// The results explorer by keyboard: the arrow keys go to the previous and the next task, as the links do.

const links = {ArrowLeft: "prev", ArrowRight: "next"};
const isHere = matchMedia("(pointer: fine)").matches;
for (const hint of document.querySelectorAll("[data-keys]"))
  hint.hidden = !isHere || !document.querySelector("[rel=prev], [rel=next]:not(link)");

// Who has looked is remembered by a POST, as nothing is changed by a GET; without this script by a button.
const looked = document.querySelector("[data-looked]");
if (looked) {
  looked.hidden = true;
  fetch(looked.action, {
    method: "POST",
    body: new URLSearchParams(new FormData(looked)),
    redirect: "manual",
    keepalive: true,
  }).then(
    () => (document.body.dataset.looked = "1"),
    () => (looked.hidden = false),
  );
}

document.addEventListener("keydown", event => {
  if (
    !(event.key in links) ||
    event.defaultPrevented ||
    event.altKey ||
    event.ctrlKey ||
    event.metaKey ||
    event.shiftKey
  )
    return;
  // In fields, choices and boxes that scroll the arrows have a meaning already.
  if (event.target.closest("input, select, textarea, [tabindex='0']")) return;
  const link = document.querySelector(`a[rel=${links[event.key]}]`);
  if (!link) return;
  event.preventDefault();
  link.click();
});
