// Answers on their way: kept on the device until the site says that it has them, and sent again until it does.
// One outbox a project, shared by all tabs: any tab may send what another put in, one of them at a time.
// runner.js fills it; every other page of a volunteer sends what was left behind when a task page was closed.

const memory = new Map(); // where the device keeps nothing (private mode, no room)
export const store = {
  get(key) {
    if (memory.has(key)) return memory.get(key);
    try {
      return JSON.parse(localStorage.getItem(`mt:${key}`));
    } catch {
      return null;
    }
  },
  set(key, value) {
    memory.delete(key);
    try {
      value === null
        ? localStorage.removeItem(`mt:${key}`)
        : localStorage.setItem(`mt:${key}`, JSON.stringify(value));
    } catch {
      memory.set(key, value);
    }
  },
};

export async function post(path, body) {
  const response = await fetch(path, {
    method: "POST",
    headers: {"Content-Type": "application/json", Accept: "application/json"},
    body: JSON.stringify(body),
    keepalive: path.endsWith("/answers") && JSON.stringify(body).length < 50_000, // also when the page is left
  });
  const said = await response.json().catch(() => ({}));
  if (response.ok) return said;
  throw Object.assign(new Error(said.message ?? ""), {status: response.status, said});
}

// Is it the network or the site that is in trouble, so that the same may do later? What is no refusal in the site's own
// words (a proxy's page, a hotel's sign-in) says nothing about the answer.
export const isPassing = error => !error.said?.error || error.status >= 500 || error.status === 429;

export function outboxOf(slug) {
  const key = `out:${slug}`;
  const all = () => store.get(key) ?? [];
  const put = entries => store.set(key, entries.length ? entries : null);
  const drop = sent => {
    const leases = new Set(sent.map(it => it.lease));
    put(all().filter(it => !leases.has(it.lease)));
  };
  // Sends the oldest, at most 20; heard(reply, sent) is called when the site has them. What it refuses for good goes.
  const send = async (next, heard) => {
    const sent = all().slice(0, 20);
    if (!sent.length) return;
    let said;
    try {
      said = await post("/api/v1/answers", {answers: sent.map(({task, ...answer}) => answer), next});
      if (!Array.isArray(said.receipts)) throw new Error("");
    } catch (error) {
      if (!isPassing(error)) drop(sent);
      throw error;
    }
    drop(sent);
    heard(said, sent);
  };
  return {
    all,
    add: entry => put([...all().filter(it => it.lease !== entry.lease), entry]),
    send: (next, heard) =>
      navigator.locks ? navigator.locks.request(`mt:${key}`, () => send(next, heard)) : send(next, heard),
  };
}

if (!document.getElementById("work")) {
  let slugs = [],
    isNews = false;
  try {
    slugs = Object.keys(localStorage)
      .filter(key => key.startsWith("mt:out:"))
      .map(key => key.slice(7));
  } catch {
    /* nothing is kept */
  }
  for (const slug of slugs) {
    const outbox = outboxOf(slug);
    try {
      while (outbox.all().length)
        await outbox.send(0, () => {
          isNews = true;
        });
    } catch {
      /* the next page tries again */
    }
  }
  if (isNews && document.querySelector("[data-counts]")) location.reload(); // it says how much was done
  const told = store.get("told");
  if (told && !isNews) {
    store.set("told", null);
    document
      .getElementById("main")
      .prepend(
        Object.assign(document.createElement("p"), {className: "notice", role: "status", textContent: told}),
      );
  }
}
