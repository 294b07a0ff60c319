// Answers on their way: kept on the device until the site says that it has them, and sent again until it does.
// One outbox a project, shared by all tabs: any tab may send what another put in, one of them at a time.
// runner.js fills it; on every other page of a volunteer outbox.js sends what was left behind.

import {alone, LineError, post, store} from "./device.js";

export function outboxOf(slug) {
  const key = `out:${slug}`;
  const all = () => store.get(key) ?? [];
  const put = entries => store.set(key, entries.length ? entries : null);
  const drop = sent => {
    const leases = new Set(sent.map(it => it.lease));
    put(all().filter(it => !leases.has(it.lease)));
  };
  // Sends the oldest, at most 20; heard(reply, sent) is called when the site has them. What it refuses for good goes.
  const sendOldest = async (next, heard) => {
    const sent = all().slice(0, 20);
    if (!sent.length) return;
    let reply;
    try {
      reply = await post("/api/v1/answers", {answers: sent.map(({task, ...answer}) => answer), next});
    } catch (error) {
      if (error.reply) drop(sent); // refused in the site's own words
      throw error;
    }
    if (!Array.isArray(reply.receipts)) throw new LineError("");
    drop(sent);
    heard(reply, sent);
  };
  return {
    all,
    add: entry => put([...all().filter(it => it.lease !== entry.lease), entry]),
    send: (next, heard) => alone(key, () => sendOldest(next, heard)),
  };
}
