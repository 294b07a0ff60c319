"""What the bell rings for. Thin: open a site, call the engine, log."""

from __future__ import annotations

import threading
from functools import cache

from microtasks import settings
from microtasks.engine.operations import jobs
from microtasks.engine.site import Site, open_site

#: Set when this process was asked to stop: a long job ends at its next safe point.
stopping = threading.Event()


@cache
def site() -> Site:
    """This process's own site, opened at the first ring."""
    return open_site(settings.read())


def run(job_id: int) -> str:
    """Run the job with this id, if it still waits (engine.jobs.run)."""
    return jobs.run(site(), job_id, should_stop=stopping.is_set)
