// How the last answers turned out, beside the next task: asked for after an answer is in, only where the owner allows it.
// Answers to tasks that are not done yet are asked about again with the next ones.

const KEPT = 10,
  KEY = "mt:asked";
const kept = () => {
  try {
    return JSON.parse(sessionStorage.getItem(KEY)) ?? {};
  } catch {
    return {};
  }
};

export async function tell(form, place, lease) {
  const {slug} = form.dataset;
  const asked = [lease, ...(kept()[slug] ?? []).filter(other => other !== lease)].slice(0, KEPT);
  keep(slug, asked); // the page may be left before the reply is there
  const body = new URLSearchParams(asked.map(it => ["lease", it]));
  body.append("csrf_token", form.elements.csrf_token.value);
  const reply = await fetch(form.dataset.told, {method: "POST", body});
  if (!reply.ok) return keep(slug, []);
  const page = new DOMParser().parseFromString(await reply.text(), "text/html");
  const told = [...page.querySelectorAll("[data-lease]")];
  keep(
    slug,
    asked.filter(it => !told.some(one => one.dataset.lease === it)),
  ); // each is told once
  if (!told.length) return;
  if (form.dataset.look) {
    document.head.append(
      Object.assign(document.createElement("link"), {rel: "stylesheet", href: form.dataset.look}),
    );
    delete form.dataset.look;
  }
  place.replaceChildren(...told);
}

function keep(slug, leases) {
  try {
    sessionStorage.setItem(KEY, JSON.stringify({...kept(), [slug]: leases}));
  } catch {
    /* private mode: asked once */
  }
}
