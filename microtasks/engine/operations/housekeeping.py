"""What the clock does besides taking back leases: say that it is alive, and forget what must be forgotten."""

from __future__ import annotations

from microtasks.engine.exports import requests
from microtasks.engine.site import Site
from microtasks.store.operations import heartbeat, housekeeping

CHUNK = 5_000


def beat(site: Site) -> None:
    """Say that the clock is alive."""
    with site.db.connection() as connection:
        heartbeat.beat(connection, "clock")


def clean(site: Site) -> None:
    """Forget what is over. Safe to stop at any point, and to run again.

    1. Delete files of old exports, expired sign-in links, sessions and done jobs. 2. For each period of
    network keys that ended 30 days ago: empty the hashes in its answers, in short transactions, 3. and then
    destroy the key.
    """
    requests.drop_old(site)
    with site.db.connection() as connection:
        housekeeping.drop_expired(connection)
        periods = housekeeping.ended_network_periods(connection)
    for period in periods:
        after_id: int | None = 0
        while after_id is not None:
            with site.db.connection() as connection:
                after_id = housekeeping.forget_networks(connection, period, after_id, CHUNK)
        with site.db.connection() as connection:
            housekeeping.destroy_network_key(connection, period)
