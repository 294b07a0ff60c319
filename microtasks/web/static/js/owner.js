// The owner's pages, a little quicker: rows of a form, dropped files, progress that moves. All works without it.

// -- rows: add and remove without asking the server ---------------------------------------------------

document.addEventListener("click", (event) => {
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
  const used = [...list.querySelectorAll(":scope > [data-row] > [data-remove]")].map((button) => +button.value.split(".").pop());
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
  const megabytes = new Intl.NumberFormat(document.documentElement.lang, { style: "unit", unit: "megabyte", maximumFractionDigits: 1 });
  const say = () => {
    const files = inputs.flatMap((input) => [...input.files]);
    const size = files.reduce((sum, file) => sum + file.size, 0);
    said.textContent = files.length ? `${files.length === 1 ? files[0].name : files.length} · ${megabytes.format(size / 1e6)}` : "";
  };
  form.addEventListener("change", say);
  for (const name of ["dragover", "dragleave", "drop"]) {
    drop.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", name === "dragover");
    });
  }
  drop.addEventListener("drop", (event) => {
    if (event.dataTransfer.files.length) {
      inputs[0].files = event.dataTransfer.files;
      say();
    }
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(form);
  });
}

// XMLHttpRequest, because fetch does not tell how much has been sent.
function send(form) {
  const bar = form.querySelector("[data-sent]");
  const button = form.querySelector("button.primary");
  const request = new XMLHttpRequest();
  bar.hidden = false;
  form.querySelector("[data-failed]").hidden = true;
  button.disabled = true;
  request.upload.onprogress = (event) => (bar.value = (100 * event.loaded) / event.total);
  request.onload = () => {
    if (request.responseURL && new URL(request.responseURL).pathname !== new URL(form.action).pathname) {
      location.assign(request.responseURL);
    } else {
      document.open();
      document.write(request.responseText);
      document.close();
    }
  };
  request.onerror = () => {
    bar.hidden = true;
    button.disabled = false;
    form.querySelector("[data-failed]").hidden = false;
  };
  request.open("POST", form.action);
  request.send(new FormData(form));
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
      answer = await fetch(form.dataset.autosave, { method: "POST", body: new URLSearchParams(new FormData(form)) });
    } catch {
      return; // offline: the next change tries again, and the form is still here
    }
    if (!answer.ok || isLeaving) return;
    const { saved, advice } = await answer.json();
    said.textContent = saved;
    for (const place of form.querySelectorAll("[data-advice]")) {
      place.replaceChildren(...(advice[place.dataset.advice] ?? []).map((sentence) => Object.assign(document.createElement("p"), { textContent: sentence })));
    }
    frame?.contentWindow.location.reload();
  };
  const later = () => {
    clearTimeout(waiting);
    waiting = setTimeout(keep, 700);
  };
  form.addEventListener("input", later);
  form.addEventListener("click", (event) => event.target.closest("[data-add], [data-remove]") && later());
  form.addEventListener("submit", () => {
    isLeaving = true; // what is sent now is saved; a draft that came after it would be old
    clearTimeout(waiting);
  });
}

// -- progress: poll every two seconds while the page is seen; the server says 304 while nothing changed --

const number = new Intl.NumberFormat(document.documentElement.lang);

async function poll(section, address, done) {
  let tag = "";
  for (;;) {
    await new Promise((go) => setTimeout(go, 2000));
    if (document.hidden) continue;
    let answer;
    try {
      answer = await fetch(address, { headers: tag ? { "If-None-Match": tag } : {}, cache: "no-store" });
    } catch {
      continue;
    }
    if (answer.status === 304) continue;
    if (!answer.ok) return;
    tag = answer.headers.get("ETag") ?? "";
    const facts = await answer.json();
    for (const place of section.querySelectorAll("[data-count]")) place.textContent = number.format(facts[place.dataset.count] ?? 0);
    if (done(facts, section.querySelector("progress"))) return;
  }
}

for (const section of document.querySelectorAll("[data-watch]")) {
  poll(section, section.dataset.watch, (facts, bar) => {
    if (facts.state === "done" || facts.state === "failed") location.reload();
    if (facts.n_rows) {
      bar.max = facts.n_rows;
      bar.value = facts.rows_done;
    }
    return facts.state === "done" || facts.state === "failed";
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
document.querySelector(".tabs [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

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
