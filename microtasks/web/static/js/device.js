// What this device can keep, and messages to the site. Where it keeps nothing, everything lives as long as the page.

const memory = new Map();
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
      if (value === null) localStorage.removeItem(`mt:${key}`);
      else localStorage.setItem(`mt:${key}`, JSON.stringify(value));
    } catch {
      memory.set(key, value);
    }
  },
  keys() {
    try {
      return Object.keys(localStorage)
        .filter(key => key.startsWith("mt:"))
        .map(key => key.slice(3));
    } catch {
      return [];
    }
  },
};

// Does it keep anything when the page is left? Blocked cookies block this as well.
export function keepsThings() {
  try {
    localStorage.setItem("mt:probe", "1");
    localStorage.removeItem("mt:probe");
    return true;
  } catch {
    return false;
  }
}

// Without the site's cookie each request comes from somebody else, and no task is anybody's.
export function takesCookies() {
  try {
    // biome-ignore lint/suspicious/noDocumentCookie: whether a cookie is kept is the question
    document.cookie = "mt_probe=1; SameSite=Lax; Path=/";
    const isKept = document.cookie.includes("mt_probe=1");
    // biome-ignore lint/suspicious/noDocumentCookie: the probe is taken away again
    document.cookie = "mt_probe=; Max-Age=0; Path=/";
    return isKept;
  } catch {
    return false;
  }
}

// One tab at a time; a frame or a browser that has no locks goes without.
export async function alone(name, work) {
  let isIn = false;
  try {
    return await navigator.locks.request(`mt:${name}`, () => {
      isIn = true;
      return work();
    });
  } catch (error) {
    if (isIn) throw error;
    return work();
  }
}

// The site's clock, by its own word and the time since: the device's may be hours off.
let serverMs = null,
  heardAt = 0;
export function hearTime(ms) {
  if (Number.isFinite(ms)) [serverMs, heardAt] = [ms, performance.now()];
}
export const serverNow = () => (serverMs === null ? null : serverMs + performance.now() - heardAt);

// The network, or something between, did not bring the message there or the reply back: the same may do later.
export class LineError extends Error {}

export async function post(path, body) {
  const text = JSON.stringify(body);
  let response;
  try {
    response = await fetch(path, {
      method: "POST",
      headers: {"Content-Type": "application/json", Accept: "application/json"},
      body: text,
      keepalive: path.endsWith("/answers") && text.length < 50_000, // also when the page is left
    });
  } catch (error) {
    throw new LineError(error.message);
  }
  hearTime(Date.parse(response.headers.get("Date")));
  const reply = await response.json().catch(() => ({}));
  if (response.ok) return reply;
  // What is no refusal in the site's own words (a proxy's page, a hotel's sign-in) says nothing about the answer.
  if (!reply.error || response.status >= 500 || response.status === 429)
    throw new LineError(reply.message ?? "");
  throw Object.assign(new Error(reply.message ?? ""), {status: response.status, reply});
}
