// The tasks of this page: the one on the screen, those that lie ready, and those that are answered.

import {serverNow, store} from "../device.js";
import {preload} from "./item.js";

export function queueOf(slug, first, isKeeping) {
  const key = `held:${slug}`;
  const queue = {
    current: first,
    ready: [],
    gone: new Set(), // answered here or in another tab: not to be shown again
    done: 0,
    take(leases) {
      for (const lease of leases ?? []) {
        const {id} = lease.task;
        if (
          queue.gone.has(id) ||
          id === queue.current.task.id ||
          queue.ready.some(other => other.task.id === id)
        )
          continue;
        queue.ready.push(lease);
        preload(lease.task.media);
      }
      queue.hold();
    },
    drop(id) {
      queue.gone.add(id);
      queue.ready = queue.ready.filter(lease => lease.task.id !== id);
    },
    // For the time when this page is loaded again without a connection.
    hold() {
      document.body.dataset.queued = queue.ready.length;
      const leases = [queue.current, ...queue.ready].filter(lease => !queue.gone.has(lease.task.id));
      if (isKeeping) store.set(key, {done: queue.done, leases, at: Date.now(), siteAt: serverNow()});
    },
    held: () => store.get(key),
  };
  return queue;
}

// The same whatever the order of its keys.
const ordered = (_, it) => (it?.constructor === Object ? Object.fromEntries(Object.entries(it).sort()) : it);
export const configOf = lease => JSON.stringify(lease.task.config, ordered);
