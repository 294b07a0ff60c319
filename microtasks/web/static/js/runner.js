// The task page: shows one task after another, keeps the next one ready, sends answers, and loses none.
// The task type's presenter.js draws and reads; everything else (fetching, timing, drafts, keys, bad network) is here.
//   mount(element, {payload, config, media, strings, draft, onchange})
//     -> {read(), isEmpty?(), problem?() -> has it shown that something is missing?, focus?(), undo?() -> was there something to undo?}

const $ = id => document.getElementById(id);
const form = $("work");
const {slug} = form.dataset;
const texts = JSON.parse($("texts").textContent);
const isBack = Number(form.dataset.back) > 0; // an own earlier answer is being corrected
const {store, post, isPassing, outboxOf} = await import(form.dataset.outbox);

let presenter, pristine, mountType;
const pageTask = JSON.parse($("task").textContent);
let current = pageTask;
let queue = [],
  fetching = null,
  reason = null;
const outbox = outboxOf(slug);
let isSending = false,
  retry = 0;
// Any project will do: after so many tasks of this one (less those that lie ready) another one has its turn.
const {onward} = form.dataset;
let run = Number(form.dataset.run);
const isRunOver = () => onward && run <= queue.length && navigator.onLine && !retry;
let done = Number(form.dataset.done),
  gone = new Set(),
  startedAt = 0,
  hiddenFor = 0,
  hiddenAt = 0;
const pageLoaded = Date.now();
const ordered = (_, it) => (it?.constructor === Object ? Object.fromEntries(Object.entries(it).sort()) : it);
const configOf = lease => JSON.stringify(lease.task.config, ordered); // the same whatever the order of its keys
const pageConfig = configOf(current);
const shownConfig = JSON.parse($("shown-config")?.textContent ?? "null"); // its words in the reader's language
const isKept = "offline" in document.body.dataset; // this page was kept on the device: sw.js

// -- showing a task -----------------------------------------------------------------------------------

function fill(root, task) {
  const {payload, media} = task;
  const ask = $("ask");
  ask.textContent = payload.question || ask.dataset.default;
  const base = root.querySelector("[data-base]"),
    pictures = root.querySelector("[data-pictures]"),
    text = root.querySelector("[data-text]"),
    about = root.querySelector("[data-about]");
  const put = (image, it) => {
    image.removeAttribute("src");
    image.srcset = it.srcset ?? "";
    Object.assign(image, {src: it.url, width: it.width, height: it.height});
    if (payload.metadata?.alt) image.alt = payload.metadata.alt;
    return image;
  };
  if (base && media[0]) put(base, media[0]);
  if (pictures) {
    const model =
      pictures.querySelector("img") ??
      Object.assign(new Image(), {sizes: "(min-width:60rem) 66vw, 100vw", alt: ask.textContent});
    pictures.replaceChildren(...media.map(it => put(model.cloneNode(), it)));
    const stage = root.querySelector("[data-stage]");
    stage.classList.toggle("has-image", media.length > 0);
    stage.classList.toggle("has-text", Boolean(payload.text));
  }
  if (text) {
    text.textContent = payload.text ?? "";
    text.hidden = !payload.text;
  }
  if (about) {
    const facts = Object.entries(payload.metadata ?? {}).filter(([name]) => name !== "alt");
    about.hidden = !facts.length;
    about.replaceChildren(
      ...facts.map(pair => {
        const row = document.createElement("div");
        row.append(
          ...["dt", "dd"].map((tag, i) =>
            Object.assign(document.createElement(tag), {textContent: pair[i], dir: "auto"}),
          ),
        );
        return row;
      }),
    );
  }
}

function show(next, draft = store.get(`draft:${next.task.id}`)) {
  const isFirst = !presenter;
  let root = $("presenter");
  if (isFirst) pristine = root.cloneNode(true);
  if (!isFirst || next !== pageTask) {
    const fresh = pristine.cloneNode(true);
    fill(fresh, next.task);
    root.replaceWith(fresh);
    root = fresh;
  }
  current = next;
  store.set("told", null); // it was read here; what is said at the very end, the next page repeats (outbox.js)
  holdLeases();
  for (const input of document.querySelectorAll("input[name=_lease]")) input.value = next.lease;
  wrong("");
  $("wrong").style.minBlockSize = "";
  const {task} = next;
  presenter = mountType(root, {
    payload: task.payload,
    config: shownConfig ?? task.config,
    media: task.media,
    strings: texts,
    draft,
    onchange: saveDraft,
  });
  zoomable(root);
  for (const image of root.querySelectorAll("img"))
    image.addEventListener("error", () => wrong(texts.image_failed), {once: true});
  startedAt = performance.now();
  hiddenFor = 0;
  hiddenAt = document.hidden ? startedAt : 0;
  if (!isFirst) {
    document.scrollingElement.scrollTop = 0;
    form.classList.remove("busy");
    $("main").focus({preventScroll: true}); // what had the focus is gone
    if (matchMedia("(hover:hover)").matches) presenter.focus?.();
  }
  tick();
  tellIfLate();
}

// What is shown and what lies ready, for the time when this page is loaded again without a connection.
function holdLeases() {
  document.body.dataset.queued = queue.length;
  if (!isBack)
    store.set(`held:${slug}`, {done, leases: [current, ...queue].filter(lease => !gone.has(lease.task.id))});
}
function tellIfLate() {
  if (isBack || current.isLate || document.hidden || Date.parse(current.expires_at) >= Date.now()) return;
  current.isLate = true;
  toast(texts.late);
}

function zoomable(root) {
  const button = root.querySelector("[data-zoom]"),
    stage = root.querySelector("[data-stage]");
  if (!button || !stage.classList.contains("has-image")) return;
  button.hidden = false;
  const flip = () => {
    const isOn = stage.classList.toggle("zoomed");
    button.setAttribute("aria-pressed", isOn);
    for (const image of stage.querySelectorAll("img"))
      image.sizes = isOn ? "200vw" : "(min-width:60rem) 66vw, 100vw";
  };
  button.addEventListener("click", flip);
  root.querySelector("[data-pictures]").addEventListener("dblclick", flip);
}

let draftTimer;
function saveDraft() {
  // Its line stays: if it went, the picture would jump under the finger that draws.
  if ($("wrong").textContent) $("wrong").style.minBlockSize = `${$("wrong").offsetHeight}px`;
  wrong("");
  clearTimeout(draftTimer);
  const {id} = current.task,
    read = presenter.read;
  if (!isBack) draftTimer = setTimeout(() => store.set(`draft:${id}`, read()), 250);
}

function wrong(text) {
  $("wrong").textContent = text;
}

let toastTimer;
function toast(text, link) {
  const box = $("toast");
  box.replaceChildren(text);
  if (link)
    box.append(
      Object.assign(document.createElement("a"), {className: "btn", href: link.href, textContent: link.text}),
    );
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => box.replaceChildren(), link ? 5000 : 4000);
}

function tick() {
  if (isBack) return;
  const {minutes, began, now} = form.dataset,
    parts = [];
  if (done) parts.push(texts.done.replace("{n}", done));
  if (minutes) {
    const spent = (Number(now) - Number(began)) / 60 + (Date.now() - pageLoaded) / 60000,
      left = minutes - spent;
    parts.push(
      left > 0
        ? texts.left.replace("{n}", Math.max(1, Math.round(left)))
        : texts.over.replace("{n}", minutes),
    );
    $("finish").classList.toggle("primary", left <= 0);
    $("finish").classList.toggle("quiet", left > 0);
  }
  const line = parts.join(" · ");
  if ($("clock").textContent !== line) $("clock").textContent = line;
  $("back").hidden = !done;
}

// -- fetching and sending ------------------------------------------------------------------------------

function take(leases) {
  for (const lease of leases ?? []) {
    const {id} = lease.task;
    if (gone.has(id) || id === current.task.id || queue.some(other => other.task.id === id)) continue;
    queue.push(lease);
    preload(lease.task.media);
  }
  holdLeases();
}
const preloaded = new Map();
function preload(media) {
  if (navigator.connection?.saveData) return;
  const sizes = pristine.querySelector("img")?.sizes ?? "100vw";
  for (const it of media) {
    const image = new Image();
    Object.assign(image, {sizes, srcset: it.srcset ?? "", src: it.url});
    image.decode?.().catch(() => {});
    preloaded.set(it.url, image); // held, so that the decoded picture stays at hand
    if (preloaded.size > 6) preloaded.delete(preloaded.keys().next().value);
  }
}

// Sees to it that a task lies ready; false when the site could not be asked.
function fetchMore() {
  if (!queue.length && isRunOver()) lookAhead();
  if (isBack || queue.length || isRunOver()) return Promise.resolve(true);
  fetching ??= post(`/api/v1/projects/${slug}/leases`, {limit: 2})
    .then(
      said => {
        take(said.leases);
        reason = said.reason;
        return true;
      },
      () => false,
    )
    .finally(() => {
      fetching = null;
    });
  return fetching;
}

// The last one of this run is on the screen: the other project's first task is held, and its picture fetched.
let isAhead = false;
function lookAhead() {
  if (isAhead) return;
  isAhead = true;
  const {lang} = document.documentElement;
  post("/api/v1/leases", {after: slug, language: lang}).then(
    said => {
      for (const {task} of said.leases) preload(task.media);
    },
    () => {},
  );
}

async function send() {
  if (isSending || !outbox.all().length) return;
  isSending = true;
  try {
    await outbox.send(isRunOver() ? 0 : 2, (said, sent) => {
      if (retry) toast(texts.online);
      retry = 0;
      for (const [i, receipt] of said.receipts.entries()) received(receipt, sent[i]);
      take(said.leases);
      if (!said.leases?.length) reason = said.reason ?? reason;
      tabs?.postMessage({});
    });
  } catch (error) {
    if (isPassing(error)) {
      retry = Math.min(retry + 1, 6);
      toast(navigator.onLine ? texts.trouble : texts.offline);
      setTimeout(send, 1000 * 2 ** retry);
    } else toast(error.message); // refused for good: sending it again would not help
  } finally {
    isSending = false;
  }
  if (outbox.all().length && !retry) send();
  waiting?.();
}

function received(receipt, sent) {
  if (receipt.status === "surplus") {
    toast(texts.surplus);
    store.set("told", texts.surplus);
  }
  if (receipt.status !== "rejected") {
    store.set(`draft:${sent.task.task.id}`, null);
    if (form.dataset.poll && sent.kind !== "skip")
      import(form.dataset.poll).then(it => it.show($("told"), `/p/${slug}/poll`)).catch(() => {});
    if (form.dataset.feedback && sent.kind !== "skip")
      import(form.dataset.feedback).then(it => it.tell(form, $("told"), sent.lease)).catch(() => {});
    return;
  }
  if (receipt.error?.error === "already_answered") return toast(receipt.error.message);
  // The answer did not fit after all: back to that task, with what was said and why it cannot be taken.
  gone.delete(sent.task.task.id);
  if (sent.kind !== "skip") done--;
  if (receipt.error?.error === "lease_invalid") return toast(receipt.error.message);
  if (current.task.id !== sent.task.task.id) queue.unshift(current);
  show(sent.task, sent.value);
  wrong(receipt.error?.message ?? "");
}

// -- answering -----------------------------------------------------------------------------------------

async function answer(kind) {
  if (form.classList.contains("busy")) return;
  let value = null;
  if (kind === "value") {
    if (presenter.problem?.()) return; // the presenter has said so, beside the field
    value = presenter.read();
    if (presenter.isEmpty?.()) return wrong(texts.nothing);
  } else if (kind === "empty") {
    value = presenter.empty?.() ?? emptied(presenter.read());
    kind = "value";
  }
  if (isBack) return revise(kind, value);
  const away = hiddenFor + (hiddenAt ? performance.now() - hiddenAt : 0);
  const seconds = Math.round((performance.now() - startedAt - away) / 100) / 10;
  outbox.add({
    lease: current.lease,
    kind,
    value,
    seconds_spent: Math.max(0, Math.min(seconds, 86400)),
    task: current,
  });
  clearTimeout(draftTimer);
  gone.add(current.task.id);
  run--;
  if (kind !== "skip") done++;
  tabs?.postMessage({task: current.task.id, kind});
  holdLeases();
  const sending = send();
  if ("oneTap" in (document.querySelector("[data-fields]")?.dataset ?? {}) && kind === "value")
    toast(texts.saved);
  await advance(sending);
}

// Answers go first: until they are in, the tasks that the site would give are the ones just answered.
async function sentAndFetched() {
  await send();
  return queue.length > 0 || (!outbox.all().length && (await fetchMore()));
}

// "Nothing here" is the value with every list empty.
const emptied = value =>
  Object.fromEntries(Object.entries(value).map(([key, it]) => [key, Array.isArray(it) ? [] : it]));

let waiting = null;
async function advance(sending) {
  if (!queue.length) {
    form.classList.add("busy");
    tick();
    await sending;
    for (let pause = 2; !(await sentAndFetched()); pause = Math.min(pause * 2, 30)) {
      toast(navigator.onLine ? texts.trouble : texts.offline_end);
      await new Promise(go => {
        waiting = go;
        setTimeout(go, 1000 * pause);
      });
    }
    waiting = null;
    if (!queue.length) {
      await flushed();
      location.href = onward ?? `${form.dataset.thanks}?why=${encodeURIComponent(reason ?? "")}`;
      return;
    }
  }
  // The owner has changed the question meanwhile: the page, drawn for the old one, is fetched anew.
  if (configOf(queue[0]) !== pageConfig) {
    await flushed();
    return location.reload();
  }
  show(queue.shift());
  if (!queue.length && !isSending) fetchMore();
}
async function flushed() {
  for (let i = 0; i < 20 && outbox.all().length && !retry; i++) {
    await send();
    await new Promise(go => setTimeout(go, 50));
  }
}

async function revise(kind, value) {
  form.classList.add("busy");
  try {
    await post("/api/v1/revisions", {lease: current.lease, kind, value});
    location.href = `/p/${slug}/work`;
  } catch (error) {
    form.classList.remove("busy");
    wrong(error.message || texts.trouble);
  }
}

function undo() {
  if (presenter.undo?.() || isBack || !done) return;
  $("back").click();
}

// -- other tabs ----------------------------------------------------------------------------------------

// Each tab may show the same task: the first answer is the one that counts, and the others go on.
const tabs = isBack || !("BroadcastChannel" in window) ? null : new BroadcastChannel(`mt:${slug}`);
tabs?.addEventListener("message", ({data: {task, kind}}) => {
  if (!task) return fetchMore(); // answers came in: the site has further tasks for us
  gone.add(task);
  if (kind !== "skip") done++;
  queue = queue.filter(lease => lease.task.id !== task);
  if (current.task.id !== task || form.classList.contains("busy")) return tick();
  clearTimeout(draftTimer);
  toast(texts.other_tab);
  advance(Promise.resolve());
});

// -- wiring --------------------------------------------------------------------------------------------

form.noValidate = true; // the presenter says what is missing, beside the field
form.addEventListener("submit", event => {
  event.preventDefault();
  const button = event.submitter;
  answer(button?.name === "_kind" ? button.value : "value");
});
$("report-form").addEventListener("submit", async event => {
  event.preventDefault();
  const sent = new FormData(event.target);
  try {
    await post("/api/v1/reports", {lease: current.lease, reason: sent.get("reason"), note: sent.get("note")});
  } catch (error) {
    return toast(error.message || texts.trouble);
  }
  event.target.reset();
  $("report").hidePopover();
  toast(texts.reported);
  if (!isBack) answer("skip");
});

for (const id of ["finish", "back"])
  $(id)?.addEventListener("click", async event => {
    if (!outbox.all().length || retry) return;
    event.preventDefault();
    const {href} = event.currentTarget;
    await flushed();
    location.href = href;
  });

const keysOn = $("use-keys");
keysOn.checked = store.get("keys") !== false;
keysOn.addEventListener("change", () => {
  store.set("keys", keysOn.checked);
  document.body.classList.toggle("no-keys", !keysOn.checked);
});
document.body.classList.toggle("no-keys", !keysOn.checked);
document.addEventListener("keydown", event => {
  if (event.defaultPrevented || event.altKey || document.querySelector("[popover]:popover-open")) return;
  const isUndo = event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey);
  const isWriting = event.target.matches("textarea,input:not([type=radio]):not([type=checkbox]),select");
  if (isUndo && !isWriting) {
    event.preventDefault();
    return undo();
  }
  if (event.ctrlKey && event.key === "Enter") {
    event.preventDefault();
    return answer("value");
  }
  if (isWriting || event.ctrlKey || event.metaKey || event.repeat) return;
  if (event.key === "Enter") {
    if (event.target.closest("button,a,summary")) return;
    event.preventDefault();
    if ($("done")) answer("value");
    return;
  }
  if (!keysOn.checked) return;
  const key = event.key.toLowerCase();
  if (/^[1-9]$/.test(key)) {
    const group = event.target.closest("[data-field]") ?? unanswered() ?? document;
    const choice = [...group.querySelectorAll("[data-choice]")].filter(it => it.offsetParent)[key - 1];
    if (choice) {
      event.preventDefault();
      choice.click();
      if (choice.matches("input")) choice.focus();
    }
  } else if (key === "?") $("keys").showPopover();
  else if (key === "u") {
    event.preventDefault();
    undo();
  } else form.querySelector(`[data-hotkey="${CSS.escape(key)}"]`)?.click();
});
function unanswered() {
  const groups = [...form.querySelectorAll("[data-field]")].filter(
    it => !it.disabled && it.querySelector("[data-choice]"),
  );
  return groups.find(it => !it.querySelector(":checked")) ?? groups[0];
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) hiddenAt = performance.now();
  else {
    if (hiddenAt) hiddenFor += performance.now() - hiddenAt;
    hiddenAt = 0;
    tellIfLate();
  }
});
addEventListener("online", () => {
  outbox.all().length ? send() : waiting?.();
}); // sent: send() goes on itself
addEventListener("pagehide", () => {
  if (presenter && !isBack && !gone.has(current.task.id) && !presenter.isEmpty?.())
    store.set(`draft:${current.task.id}`, presenter.read());
});
setInterval(() => {
  tick();
  tellIfLate();
}, 10_000);

for (const {task} of outbox.all()) gone.add(task.task.id); // answered before the page was loaded again, not sent yet
const held = store.get(`held:${slug}`);
if (isKept && held) {
  done = held.done;
  const left = held.leases.filter(lease => !gone.has(lease.task.id));
  if (left.length && configOf(left[0]) === pageConfig) [current, ...queue] = left;
  else gone.add(current.task.id);
}
({mount: mountType} = await import(form.dataset.presenter));
show(current, current.value ?? store.get(`draft:${current.task.id}`));
document.body.dataset.ready = "1";
performance.mark("usable");
if (isKept) toast(current.isLate ? texts.late : texts.offline_kept);
const sending = send();
if (gone.has(current.task.id)) advance(sending);
if (document.readyState === "complete") begin();
else addEventListener("load", begin, {once: true});

async function begin() {
  await fetchMore();
  if (isBack || isKept || !("serviceWorker" in navigator)) return;
  try {
    const isFirstVisit = !navigator.serviceWorker.controller; // asked before: the worker claims this page at once
    await navigator.serviceWorker.register("/sw.js", {scope: "/p/"});
    await navigator.serviceWorker.ready; // it has fetched all that task pages need
    if (isFirstVisit) await keepThisPage();
    document.body.dataset.kept = "1";
  } catch {
    /* not allowed here, or no room: everything works but a reload without a connection */
  }
}
// On the first visit the worker came after the page and its pictures: put them where it looks for them.
async function keepThisPage() {
  const [pages, pictures] = await Promise.all(["pages", "pictures"].map(name => caches.open(`mt-${name}`)));
  const loaded = new Set(performance.getEntriesByType("resource").map(it => it.name.split("#")[0]));
  await pictures.addAll([...loaded].filter(url => url.startsWith(`${location.origin}/media/`)));
  const page = await fetch(location.pathname, {headers: {Accept: "text/html"}});
  if (page.ok && !page.redirected) await pages.put(location.pathname, page);
}
