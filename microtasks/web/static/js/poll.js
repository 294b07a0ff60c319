// How a poll stands, beside the next task and with the thanks; there it is brought up to date while it is looked at.

const EVERY = 10_000;

async function fetched(url) {
  const reply = await fetch(url);
  return reply.ok
    ? [...new DOMParser().parseFromString(await reply.text(), "text/html").querySelectorAll("[data-poll]")]
    : [];
}

export async function show(place, url) {
  const polls = await fetched(url);
  if (polls.length) place.replaceChildren(...polls);
}

const live = document.getElementById("work") ? null : document.querySelector("[data-poll]")?.parentElement;
if (live)
  setInterval(() => {
    if (!document.hidden)
      show(live, live.querySelector("[data-poll]").dataset.poll).catch(() => {
        /* the next time */
      });
  }, EVERY);
