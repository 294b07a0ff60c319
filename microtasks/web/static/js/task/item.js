// What is judged: heading, pictures, text and facts of a task. Whatever one task has, the next one has anew or not at all.

import {byId, form} from "./page.js";

const SIZES = "(min-width:60rem) 66vw, 100vw",
  CLOSE = "200vw";
const STRIP = 3.2; // as in work.html: so much wider than high is a line of writing
const stage = document.querySelector("[data-stage]"),
  pictures = stage.querySelector("[data-pictures]");
const isDrawn = "board" in pictures.dataset; // answered on the picture: then it shows one, under the presenter's own part
const sizes = stage.dataset.sizes || SIZES;

export function pictureOf(it, alt) {
  const image = Object.assign(new Image(), {sizes, alt, srcset: it.srcset ?? ""});
  return Object.assign(image, {src: it.url, width: it.width, height: it.height});
}

export function drawItem({payload, media}, failed) {
  const ask = byId("ask"),
    facts = Object.entries(payload.metadata ?? {}).filter(([name]) => name !== "alt");
  ask.textContent = payload.question || ask.dataset.default;
  ask.lang = payload.question ? stage.dataset.lang : ask.dataset.lang;
  ask.translate = !payload.question;
  const shown = media
    .slice(0, isDrawn ? 1 : undefined)
    .map(it => pictureOf(it, payload.metadata?.alt || stage.dataset.alt));
  for (const old of pictures.querySelectorAll("img")) if (!old.closest("#over")) old.remove();
  pictures.prepend(...shown);
  form.classList.toggle("has-image", shown.length > 0);
  form.classList.toggle("has-text", Boolean(payload.text));
  form.classList.toggle("strip", !isDrawn && media.length === 1 && media[0].width > STRIP * media[0].height);
  const text = form.querySelector("[data-text]"),
    about = form.querySelector("[data-about]");
  text.textContent = payload.text ?? "";
  text.hidden = !payload.text;
  about.hidden = !facts.length;
  about.replaceChildren(
    ...facts.map(pair => {
      const row = document.createElement("div");
      row.append(
        ...["dt", "dd"].map((tag, i) =>
          Object.assign(document.createElement(tag), {
            textContent: pair[i],
            dir: "auto",
            lang: stage.dataset.lang,
            translate: false,
          }),
        ),
      );
      return row;
    }),
  );
  byId("switched")?.remove(); // it was said with the first task
  lookClose(false);
  watch(failed);
}

// Also for the first task, which the server has drawn.
export function watch(failed) {
  const images = [...pictures.querySelectorAll("img")].filter(it => !it.closest("#over"));
  for (const image of images) {
    if (image.complete && image.naturalWidth === 0 && image.currentSrc) failed();
    image.addEventListener("error", failed, {once: true});
  }
  const button = stage.querySelector("[data-zoom]");
  if (button) button.hidden = !images.length;
}

function lookClose(isClose) {
  stage.classList.toggle("zoomed", isClose);
  stage.querySelector("[data-zoom]")?.setAttribute("aria-pressed", isClose);
  if (!isDrawn) for (const image of pictures.querySelectorAll("img")) image.sizes = isClose ? CLOSE : sizes;
}
if (!isDrawn) {
  const flip = () => lookClose(!stage.classList.contains("zoomed"));
  stage.querySelector("[data-zoom]").addEventListener("click", flip);
  pictures.addEventListener("dblclick", flip);
}

const ahead = new Map();
export function preload(media) {
  if (navigator.connection?.saveData) return;
  for (const it of media) {
    const image = pictureOf(it, "");
    image.decode?.().catch(() => {});
    ahead.set(it.url, image); // held, so that the decoded picture stays at hand
    if (ahead.size > 6) ahead.delete(ahead.keys().next().value);
  }
}
