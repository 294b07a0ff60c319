// The task page: shows one task after another, keeps the next one ready, sends answers, and loses none.
// The item is drawn by task/item.js, the answer's part by the task type's presenter.js (presenting.js).

import {hearTime, keepsThings, LineError, post, serverNow, store, takesCookies} from "./device.js";
import {presenting, refuse} from "./presenting.js";
import {outboxOf} from "./sending.js";
import {sure} from "./task/exits.js";
import {newTask} from "./task/gesture.js";
import {drawItem, preload, watch} from "./task/item.js";
import {byId, form, island, texts, toast, wrong, wrongIsGone, wrongIsOver} from "./task/page.js";
import {configOf, queueOf} from "./task/queue.js";
import {shortcuts} from "./task/shortcuts.js";

const {slug, onward, minutes, began} = form.dataset;
const isBack = Number(form.dataset.back) > 0; // an own earlier answer is being corrected
const isKept = "offline" in document.body.dataset; // this page was kept on the device: sw.js
const pageTask = island("task"),
  shownConfig = island("shown-config"); // shownConfig: in the reader's language
const pageConfig = configOf(pageTask);
const loadedAt = performance.now();
const outbox = outboxOf(slug),
  queue = queueOf(slug, pageTask, !isBack);
queue.done = Number(form.dataset.done);

let present,
  presenter = null;
let fetching = null,
  reason = null,
  isSending = false,
  retry = 0,
  waiting = null;
let startedAt = 0,
  hiddenFor = 0,
  hiddenAt = 0;
// Any project will do: after so many tasks of this one (less those that lie ready) another one has its turn.
let run = Number(form.dataset.run);
const isRunOver = () => onward && run <= queue.ready.length && navigator.onLine && !retry;

// -- showing a task -----------------------------------------------------------------------------------

function show(next, draft = store.get(`draft:${next.task.id}`)) {
  const isFirst = !presenter;
  queue.current = next;
  store.set("told", null); // it was read here; what is said at the very end, the next page repeats (outbox.js)
  queue.hold();
  for (const input of document.querySelectorAll("input[name=_lease]")) input.value = next.lease;
  wrongIsGone();
  if (isFirst && next === pageTask) watch(pictureFailed);
  else drawItem(next.task, pictureFailed);
  try {
    presenter = present(next.task, {draft, strings: texts, config: shownConfig, onchange: saveDraft});
  } catch (error) {
    refuse(form, byId("wrong"), texts.broken, error);
    throw error;
  }
  newTask();
  startedAt = performance.now();
  hiddenFor = 0;
  hiddenAt = document.hidden ? startedAt : 0;
  if (!isFirst) {
    document.scrollingElement.scrollTop = 0;
    form.classList.remove("busy");
    byId("main").focus({preventScroll: true}); // what had the focus is gone
    if (matchMedia("(hover:hover)").matches) presenter.focus?.();
  }
  tick();
  sayIfLate();
}
const pictureFailed = () => wrong(texts.image_failed);

// Both times are the site's: what the device's clock says is nobody's promise.
function sayIfLate() {
  const {current} = queue,
    at = serverNow();
  if (isBack || current.isLate || document.hidden || at === null || Date.parse(current.expires_at) >= at)
    return;
  current.isLate = true;
  toast(texts.late);
}

let draftTimer;
function saveDraft() {
  wrongIsOver();
  clearTimeout(draftTimer);
  const {id} = queue.current.task,
    {read} = presenter;
  if (!isBack) draftTimer = setTimeout(() => store.set(`draft:${id}`, read()), 250);
}

function tick() {
  if (isBack) return;
  const parts = [];
  if (queue.done) parts.push(texts.done.replace("{n}", queue.done));
  if (minutes) {
    const spent = (Number(form.dataset.now) - Number(began)) / 60 + (performance.now() - loadedAt) / 60000,
      left = minutes - spent;
    parts.push(
      left > 0
        ? texts.left.replace("{n}", Math.max(1, Math.round(left)))
        : texts.over.replace("{n}", minutes),
    );
    byId("finish").classList.toggle("primary", left <= 0);
    byId("finish").classList.toggle("quiet", left > 0);
  }
  const line = parts.join(" · ");
  if (byId("clock").textContent !== line) byId("clock").textContent = line;
  byId("back").hidden = !queue.done;
}

// -- fetching and sending ------------------------------------------------------------------------------

// Sees to it that a task lies ready; false when the site could not be asked.
function fetchMore() {
  if (!queue.ready.length && isRunOver()) lookAhead();
  if (isBack || queue.ready.length || isRunOver()) return Promise.resolve(true);
  fetching ??= post(`/api/v1/projects/${slug}/leases`, {limit: 2})
    .then(
      reply => {
        queue.take(reply.leases);
        reason = reply.reason;
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
    reply => preload(reply.leases.flatMap(it => it.task.media)),
    () => {},
  );
}

async function send() {
  if (isSending || !outbox.all().length) return;
  isSending = true;
  try {
    await outbox.send(isRunOver() ? 0 : 2, (reply, sent) => {
      if (retry) toast(texts.online);
      retry = 0;
      for (const [i, receipt] of reply.receipts.entries()) received(receipt, sent[i]);
      queue.take(reply.leases);
      if (!reply.leases?.length) reason = reply.reason ?? reason;
      tabs?.postMessage({});
    });
  } catch (error) {
    if (error instanceof LineError) {
      retry = Math.min(retry + 1, 6);
      toast(navigator.onLine ? texts.trouble : texts.offline);
      setTimeout(send, 1000 * 2 ** retry);
    } else {
      console.error(error);
      toast(error.message); // refused for good, or a fault of ours: sending it again would not help
    }
  } finally {
    isSending = false;
  }
  if (outbox.all().length && !retry) send();
  waiting?.();
}

function received(receipt, sent) {
  const {id} = sent.task.task;
  if (receipt.status === "surplus") {
    toast(texts.surplus);
    store.set("told", texts.surplus);
  }
  if (receipt.status !== "rejected") {
    store.set(`draft:${id}`, null);
    if (form.dataset.poll && sent.kind !== "skip")
      import(form.dataset.poll).then(it => it.show(byId("told"), `/p/${slug}/poll`)).catch(() => {});
    if (form.dataset.feedback && sent.kind !== "skip")
      import(form.dataset.feedback).then(it => it.tell(form, byId("told"), sent.lease)).catch(() => {});
    return;
  }
  // Another answer to this task came first (from another tab, or before a lost reply): that one is stored.
  if (receipt.error?.error === "already_answered") return toast(receipt.error.message);
  if (sent.kind !== "skip") queue.done--;
  if (receipt.error?.error === "lease_invalid") return toast(receipt.error.message);
  // The answer did not fit after all: back to that task, with what was said and why it cannot be taken.
  queue.gone.delete(id);
  if (queue.current.task.id !== id) queue.ready.unshift(queue.current);
  show(sent.task, sent.value);
  wrong(receipt.error?.message ?? "");
}

// -- answering -----------------------------------------------------------------------------------------

function answer(kind, button) {
  if (form.classList.contains("busy") || document.body.dataset.broken) return;
  if (kind === "value") {
    if (presenter.problem?.()) return; // the presenter has said so, beside the field
    if (presenter.isEmpty()) return wrong(texts.nothing);
    return give("value", presenter.read());
  }
  sure(!presenter.isEmpty(), button, () =>
    kind === "empty" ? give("value", island("empty")) : give(kind, null),
  );
}

async function give(kind, value) {
  const {current} = queue;
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
  queue.gone.add(current.task.id);
  run--;
  if (kind !== "skip") queue.done++;
  tabs?.postMessage({task: current.task.id, kind});
  queue.hold();
  const sending = send();
  if (!byId("done") && kind === "value") toast(texts.saved); // a tap was the answer
  await advance(sending);
}

// Answers go first: until they are in, the tasks that the site would give are the ones just answered.
async function sentAndFetched() {
  await send();
  return queue.ready.length > 0 || (!outbox.all().length && (await fetchMore()));
}

async function advance(sending) {
  if (!queue.ready.length) {
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
    if (!queue.ready.length) {
      await flushed();
      location.href = onward ?? `${form.dataset.thanks}?why=${encodeURIComponent(reason ?? "")}`;
      return;
    }
  }
  // The owner has changed the question meanwhile: the page, drawn for the old one, is fetched anew.
  if (configOf(queue.ready[0]) !== pageConfig) {
    await flushed();
    return location.reload();
  }
  show(queue.ready.shift());
  if (!queue.ready.length && !isSending) fetchMore();
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
    await post("/api/v1/revisions", {lease: queue.current.lease, kind, value});
    location.href = form.dataset.return;
  } catch (error) {
    form.classList.remove("busy");
    wrong(error.message || texts.trouble);
  }
}

function undo() {
  if (presenter.undo?.() || isBack || byId("back").hidden) return;
  byId("back").click();
}

// -- other tabs ----------------------------------------------------------------------------------------

// Each tab may show the same task: the first answer is the one that counts, and the others go on.
const tabs = isBack || !("BroadcastChannel" in window) ? null : new BroadcastChannel(`mt:${slug}`);
tabs?.addEventListener("message", ({data: {task, kind}}) => {
  if (!task) return fetchMore(); // answers came in: the site has further tasks for us
  if (kind !== "skip") queue.done++;
  queue.drop(task);
  if (queue.current.task.id !== task || form.classList.contains("busy")) return tick();
  clearTimeout(draftTimer);
  toast(texts.other_tab);
  advance(Promise.resolve());
});

// -- wiring --------------------------------------------------------------------------------------------

function listen() {
  form.noValidate = true; // the presenter says what is missing, beside the field
  form.addEventListener("submit", event => {
    event.preventDefault();
    const button = event.submitter;
    answer(button?.name === "_kind" ? button.value : "value", button);
  });
  byId("report-form").addEventListener("submit", async event => {
    event.preventDefault();
    const sent = new FormData(event.target);
    try {
      await post("/api/v1/reports", {
        lease: queue.current.lease,
        reason: sent.get("reason"),
        note: sent.get("note"),
      });
    } catch (error) {
      return toast(error.message || texts.trouble);
    }
    event.target.reset();
    byId("report").hidePopover();
    toast(texts.reported);
    if (!isBack) answer("skip");
  });
  for (const id of ["finish", "back"])
    byId(id)?.addEventListener("click", async event => {
      if (!outbox.all().length || retry) return;
      event.preventDefault();
      const {href} = event.currentTarget;
      await flushed();
      location.href = href;
    });
  shortcuts({answer, undo});
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) hiddenAt = performance.now();
    else {
      if (hiddenAt) hiddenFor += performance.now() - hiddenAt;
      hiddenAt = 0;
      sayIfLate();
    }
  });
  addEventListener("online", () => {
    outbox.all().length ? send() : waiting?.();
  }); // sent: send() goes on itself
  addEventListener("pagehide", () => {
    const {id} = queue.current.task;
    if (!isBack && !queue.gone.has(id) && !presenter.isEmpty()) store.set(`draft:${id}`, presenter.read());
  });
  setInterval(() => {
    tick();
    sayIfLate();
  }, 10_000);
}

async function begin() {
  await fetchMore();
  if (isBack || isKept || !("serviceWorker" in navigator)) return;
  import(form.dataset.keeping).then(it => it.keepOnDevice()).catch(() => {}); // without it, no reload without a connection
}

async function start() {
  const held = queue.held();
  if (!isKept) hearTime(Number(form.dataset.now) * 1000);
  else if (held?.siteAt) hearTime(held.siteAt + Math.max(0, Date.now() - held.at)); // the device's clock beside itself
  for (const {task} of outbox.all()) queue.gone.add(task.task.id); // answered before the page was loaded again, not sent yet
  if (isKept && held) {
    queue.done = held.done;
    const left = held.leases.filter(lease => !queue.gone.has(lease.task.id));
    if (left.length && configOf(left[0]) === pageConfig) [queue.current, ...queue.ready] = left;
    else queue.gone.add(queue.current.task.id);
  }
  try {
    present = await presenting(form);
  } catch (error) {
    return refuse(form, byId("wrong"), texts.broken, error);
  }
  const {current} = queue;
  show(current, current.value ?? store.get(`draft:${current.task.id}`));
  listen();
  document.body.dataset.ready = "1";
  performance.mark("usable");
  if (isKept) toast(current.isLate ? texts.late : texts.offline_kept);
  else if (!keepsThings()) wrong(texts.keeps_nothing);
  const sending = send();
  if (queue.gone.has(current.task.id)) advance(sending);
  if (document.readyState === "complete") begin();
  else addEventListener("load", begin, {once: true});
}

if (takesCookies()) start();
else {
  // found out before the first task: nothing answered here could be counted
  form.inert = true;
  wrong(texts.no_cookies);
  document.body.dataset.broken = "1";
}
