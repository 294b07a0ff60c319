"""Take expired leases back and move the projects' heads. Run by the clock; several at once are safe."""

from __future__ import annotations

from microtasks.engine.site import Site
from microtasks.store.assignment import hotpath

BATCH = 500
#: So many batches in one call at most, so that the clock's other work is not kept waiting.
BATCHES_MAX = 40


def sweep(site: Site) -> int:
    """Take back all expired leases, in batches of their own transactions; return how many."""
    total = 0
    for _ in range(BATCHES_MAX):
        with site.db.connection() as connection:
            n = hotpath.sweep(connection, BATCH)
        total += n
        if n == 0:
            break
    return total


def advance_heads(site: Site) -> int:
    """Let new contributors start at each project's first open task, and place new known tasks in the order.

    Return how many projects' heads moved.
    """
    with site.db.connection() as connection:
        hotpath.place_gold(connection)
        return hotpath.advance_heads(connection)
