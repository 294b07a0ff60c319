// The owner's pages, a little quicker: rows of a form, dropped files, progress that moves. All works without it.

// -- rows: add and remove without asking the server ---------------------------------------------------

document.addEventListener("click", event => {
  const add = event.target.closest("[data-add]");
  const remove = event.target.closest("[data-remove]");
  if (add) {
    event.preventDefault();
    addRow(add.closest("[data-rows]"));
  } else if (remove) {
    event.preventDefault();
    removeRow(remove.closest("[data-row]"));
  }
});

function addRow(rows) {
  const list = rows.querySelector(":scope > [data-list]");
  const template = rows.querySelector(":scope > template");
  const used = [...list.querySelectorAll(":scope > [data-row] > [data-remove]")].map(
    button => +button.value.split(".").pop(),
  );
  const next = used.length ? Math.max(...used) + 1 : 0;
  // The template is our own page's markup; nobody's text is in it.
  const holder = document.createElement("template");
  holder.innerHTML = template.innerHTML.replaceAll(`__${rows.dataset.depth}__`, next);
  const row = holder.content.firstElementChild;
  list.append(row);
  row.querySelector("input, select, textarea")?.focus();
}

function removeRow(row) {
  const rows = row.closest("[data-rows]");
  row.remove();
  rows.querySelector(":scope > div > [data-add]").focus();
}

// -- files: say what was chosen, take what is dropped, show how much is sent ---------------------------

for (const form of document.querySelectorAll("[data-upload]")) {
  const drop = form.querySelector("[data-drop]");
  const inputs = [...form.querySelectorAll("input[type=file]")];
  const said = form.querySelector("[data-chosen]");
  const megabytes = new Intl.NumberFormat(document.documentElement.lang, {
    style: "unit",
    unit: "megabyte",
    maximumFractionDigits: 1,
  });
  const say = () => {
    const files = inputs.flatMap(input => [...input.files]);
    const size = files.reduce((sum, file) => sum + file.size, 0);
    said.textContent = files.length
      ? `${files.length === 1 ? files[0].name : said.dataset.chosen.replace("{n}", files.length)} · ${megabytes.format(size / 1e6)}`
      : "";
  };
  form.addEventListener("change", say);
  for (const name of ["dragover", "dragleave", "drop"]) {
    drop.addEventListener(name, event => {
      event.preventDefault();
      drop.classList.toggle("over", name === "dragover");
    });
  }
  drop.addEventListener("drop", event => {
    if (event.dataTransfer.files.length) {
      inputs[0].files = event.dataTransfer.files;
      say();
    }
  });
  form.addEventListener("submit", event => {
    event.preventDefault();
    send(form);
  });
}

// In pieces, each tried again after a break; what was sent of the same files before is not sent again.
async function send(form) {
  const files = [...form.querySelectorAll("input[type=file]")].flatMap(input => [...input.files]);
  const bar = form.querySelector("[data-sent]");
  const button = form.querySelector("button.primary");
  const failed = form.querySelector("[data-failed]");
  const left = form.querySelector("[data-left]");
  const token = form.elements.csrf_token.value;
  const names = files.map(file => ({name: file.webkitRelativePath || file.name, size: file.size}));
  const key =
    "sending " +
    form.dataset.upload +
    JSON.stringify(files.map((file, n) => [names[n].name, file.size, file.lastModified]));
  const total = files.reduce((sum, file) => sum + file.size, 0);
  const ask = async (address, options = {}) => {
    const answer = await fetch(address, {
      ...options,
      headers: {"X-CSRF-Token": token, Accept: "application/json", ...options.headers},
    });
    const body = await answer.json().catch(() => ({}));
    if (!answer.ok)
      throw Object.assign(new Error(body.message ?? answer.statusText), {status: answer.status, body});
    return body;
  };
  const json = body => ({
    method: "POST",
    body: JSON.stringify(body),
    headers: {"Content-Type": "application/json"},
  });
  bar.hidden = false;
  failed.hidden = true;
  button.disabled = true;
  try {
    const known = stored(key);
    let state = known && (await ask(`${form.dataset.upload}/${known}`).catch(() => null));
    if (!state) {
      state = await ask(form.dataset.upload, json({files: names}));
      stored(key, state.id);
    }
    const begun = performance.now();
    const before = state.files.reduce((sum, file) => sum + file.received, 0);
    let sent = before;
    for (const [n, file] of files.entries()) {
      let at = state.files[n].received;
      while (at < file.size) {
        const received = await piece(
          `${form.dataset.upload}/${state.id}/${n}?offset=${at}`,
          file.slice(at, at + state.piece_bytes),
          ask,
        );
        sent += received - at;
        at = received;
        bar.value = (100 * sent) / (total || 1);
        const seconds = ((performance.now() - begun) / 1000) * ((total - sent) / (sent - before || 1));
        left.textContent = sent < total ? left.dataset.left.replace("{time}", span(seconds)) : "";
      }
    }
    const {location: next} = await ask(`${form.dataset.upload}/${state.id}/finish`, json({}));
    stored(key, null);
    location.assign(next);
  } catch (error) {
    bar.hidden = true;
    button.disabled = false;
    left.textContent = "";
    failed.textContent = error.status && error.status < 500 ? error.message : failed.dataset.broken;
    failed.hidden = false;
    if (error.status === 404 || error.status === 409) stored(key, null);
  }
}

// A break of the line is waited out, a little longer each time, about two minutes in all.
async function piece(address, content, ask) {
  for (let pause = 500; ; pause *= 2) {
    try {
      return (
        await ask(address, {
          method: "POST",
          body: content,
          headers: {"Content-Type": "application/octet-stream"},
        })
      ).received;
    } catch (error) {
      if (error.status === 409 && error.body.details?.received !== undefined)
        return error.body.details.received;
      if ((error.status && error.status < 500) || pause > 60000) throw error;
      await new Promise(go => setTimeout(go, pause));
    }
  }
}

function stored(key, value) {
  try {
    if (value === undefined) return localStorage.getItem(key);
    if (value === null) localStorage.removeItem(key);
    else localStorage.setItem(key, value);
  } catch {} // no storage: an upload that breaks begins anew
  return null;
}

function span(seconds) {
  const [value, unit] =
    seconds < 90 ? [seconds, "second"] : seconds < 5400 ? [seconds / 60, "minute"] : [seconds / 3600, "hour"];
  return new Intl.NumberFormat(document.documentElement.lang, {
    style: "unit",
    unit,
    unitDisplay: "long",
    maximumFractionDigits: 0,
  }).format(value);
}

// -- what is typed is kept, with advice on it; the preview follows ---------------------------------------

for (const form of document.querySelectorAll("[data-autosave]")) {
  const said = form.querySelector("[data-kept]");
  const frame = document.querySelector("[data-preview]");
  let waiting = 0;
  let isLeaving = false;
  const keep = async () => {
    waiting = 0;
    let answer;
    try {
      answer = await fetch(form.dataset.autosave, {
        method: "POST",
        body: new URLSearchParams(new FormData(form)),
      });
    } catch {
      return; // offline: the next change tries again, and the form is still here
    }
    if (!answer.ok || isLeaving) return;
    const {saved, advice} = await answer.json();
    said.textContent = saved;
    for (const place of form.querySelectorAll("[data-advice]")) {
      place.replaceChildren(
        ...(advice[place.dataset.advice] ?? []).map(sentence =>
          Object.assign(document.createElement("p"), {textContent: sentence}),
        ),
      );
    }
    frame?.contentWindow.location.reload();
  };
  const later = () => {
    clearTimeout(waiting);
    waiting = setTimeout(keep, 700);
  };
  form.addEventListener("input", later);
  form.addEventListener("click", event => event.target.closest("[data-add], [data-remove]") && later());
  form.addEventListener("submit", () => {
    isLeaving = true; // what is sent now is saved; a draft that came after it would be old
    clearTimeout(waiting);
  });
}

// -- progress: poll while the page is seen, soon at first; the server says 304 while nothing changed -------

const number = new Intl.NumberFormat(document.documentElement.lang);

async function poll(section, address, done) {
  let tag = "";
  for (let pause = 400; ; pause = Math.min(1.5 * pause, 2000)) {
    await new Promise(go => setTimeout(go, pause)); // what is small is done at once; what is large may wait two seconds
    if (document.hidden) continue;
    let answer;
    try {
      answer = await fetch(address, {headers: tag ? {"If-None-Match": tag} : {}, cache: "no-store"});
    } catch {
      continue;
    }
    if (answer.status === 304) continue;
    if (!answer.ok) return;
    tag = answer.headers.get("ETag") ?? "";
    const facts = await answer.json();
    for (const place of section.querySelectorAll("[data-count]"))
      place.textContent = number.format(facts[place.dataset.count] ?? 0);
    if (done(facts, section.querySelector("progress"))) return;
  }
}

for (const section of document.querySelectorAll("[data-watch]")) {
  poll(section, section.dataset.watch, (facts, bar) => {
    const isOver =
      facts.state === "done" ||
      facts.state === "failed" ||
      (facts.trouble ?? "") !== (section.dataset.trouble ?? "") ||
      (facts.state === "staged" && facts.is_looked_through);
    if (isOver) location.reload();
    const left = section.querySelector("[data-left]");
    if (left)
      left.textContent = facts.seconds_left
        ? left.dataset.left.replace("{time}", span(facts.seconds_left))
        : "";
    const phases = [...section.querySelectorAll("[data-phase]")];
    const now = phases.findIndex(phase => phase.dataset.phase === facts.phase);
    for (const [n, phase] of phases.entries()) phase.classList.toggle("done", n <= now);
    if (facts.n_rows) {
      bar.max = facts.n_rows;
      bar.value = facts.rows_done;
    }
    return isOver;
  });
}

for (const section of document.querySelectorAll("[data-progress]")) {
  poll(section, section.dataset.progress, (facts, bar) => {
    bar.max = facts.answers_wanted || 1;
    bar.value = facts.answers;
    return false;
  });
}

document.getElementById("problems")?.focus();
document.querySelector(".tabs [aria-current]")?.scrollIntoView({block: "nearest", inline: "center"});

// -- what is shown once: into the clipboard -----------------------------------------------------------

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    const field = document.getElementById(button.dataset.copy);
    field.select();
    await navigator.clipboard.writeText(field.value);
    button.textContent = button.dataset.done;
  });
}
