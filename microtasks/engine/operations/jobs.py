"""Run what waits in the background: claim, work, finish; and ring again for whatever still waits."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from microtasks.core import faults
from microtasks.core.errors import Conflict
from microtasks.engine.accounts import mail
from microtasks.engine.exports import requests, restore
from microtasks.engine.imports import importing, preview
from microtasks.engine.job_handle import JobLost, JobStopped, Running
from microtasks.engine.operations import backups
from microtasks.engine.results import aggregate, review
from microtasks.engine.site import Site
from microtasks.store import jobs
from microtasks.store.exports import requests as store_requests
from microtasks.store.exports import restorations
from microtasks.store.imports import batches

log = logging.getLogger(__name__)


def run(site: Site, job_id: int, *, should_stop: Callable[[], bool] = lambda: False) -> str:
    """Run one job if it waits. Return "done", "failed", "queued" (to be tried again) or "nothing" (not ours).

    1. Claim it: whoever comes second finds nothing to do.
    2. Work, with a heartbeat. The work itself commits in steps, each guarded by the claim.
    3. Finish; or after a fault let it wait for another try, `job_attempts` in all without getting on. While
       a server that it needs is away, or the disk is full, it pauses instead, longer each time, up to days.
    """
    with site.db.connection() as connection:
        claim = jobs.claim(connection, job_id, site.settings.job_stale_seconds)
    if claim is None:
        return "nothing"
    facts = {"job": claim.id, "job_name": claim.name, "target": claim.target_id, "attempt": claim.attempt}
    if claim.n_tries > site.settings.job_attempts:
        log.error("job_given_up", extra=facts)
        return _give_up(site, claim, "Its worker died each time.")
    log.info("job_started", extra=facts)
    try:
        with _heartbeat(site, claim):
            _work(site, Running(claim, should_stop))
    except JobLost:
        log.warning("job_lost", extra=facts)
        return "nothing"
    except JobStopped:
        log.info("job_stopped", extra=facts)
        with site.db.connection() as connection:
            jobs.give_back(connection, claim)
        site.bell.ring(claim.id)
        return "queued"
    except Exception as error:
        if sentence := faults.reason(error):
            return _pause(site, claim, sentence)
        log.exception("job_fault", extra=facts)
        reason = f"{type(error).__name__}: {error}"[:1000]
        if claim.n_tries >= site.settings.job_attempts:
            return _give_up(site, claim, reason)
        with site.db.connection() as connection:
            jobs.give_back(connection, claim, error=reason)
        return "queued"
    with site.db.connection() as connection:
        jobs.finish(connection, claim)
    log.info("job_done", extra=facts)
    return "done"


def _work(site: Site, job: Running) -> None:
    """The allow-list: what each name in `store.jobs.NAMES` does."""
    target = job.claim.target_id
    match job.claim.name:
        case "import":
            importing.run(site, target, job)
        case "look":
            preview.look(site, target, job)
        case "reduce":
            aggregate.reduce_task(site, target)
        case "aggregate":
            review.review(site, target)
        case "mail":
            mail.send(site, target)
        case "export":
            requests.run(site, target, job)
        case "restore":
            restore.run(site, target, job)
        case "backup":
            backups.run(site)
        case name:
            raise LookupError(f"There is no job called {name!r}.")


def _pause(site: Site, claim: jobs.Claim, sentence: str) -> str:
    """Let the job wait for what is away: that is no verdict on what it works on."""
    with site.db.connection() as connection:
        seconds = jobs.pause(connection, claim, sentence)
    log.warning("job_paused", extra={"job": claim.id, "reason": sentence, "seconds": seconds})
    if seconds is None:
        return _give_up(site, claim, sentence)
    return "queued"


def try_again(site: Site, job_id: int) -> None:
    """Run a job that pauses, or was given up, once more. Errors: Conflict when there is nothing to try again.

    1. Queue it. 2. What it works on waits again too; an upload must still be there. 3. Ring.
    """
    with site.db.connection() as connection:
        again = jobs.again(connection, job_id)
        if again is None:
            raise Conflict("This is done, or waits already.")
        name, target = again
        upload = None
        if name == "import":
            upload = batches.wait_again(connection, target)
        elif name == "export":
            store_requests.wait_again(connection, target)
        elif name == "restore":
            upload = restorations.wait_again(connection, target)
        if upload is not None and not site.uploads.exists(upload):
            raise Conflict("The uploaded files are gone. Please upload them again.")
    site.bell.ring(job_id)


def _give_up(site: Site, claim: jobs.Claim, reason: str) -> str:
    with site.db.connection() as connection:
        if jobs.fail(connection, claim, reason):
            if claim.name == "import":
                batches.fail(connection, claim.target_id, importing.GIVEN_UP)
            elif claim.name == "export":
                store_requests.fail(connection, claim.target_id, requests.GIVEN_UP)
            elif claim.name == "restore":
                restore.give_up(connection, claim.target_id, restore.GIVEN_UP)
        if claim.name == "look":
            batches.set_look(connection, claim.target_id, preview.GIVEN_UP)
    return "failed"


@contextmanager
def _heartbeat(site: Site, claim: jobs.Claim) -> Iterator[None]:
    """Beat from a thread while the block runs: one step of the work may take long."""
    is_over = threading.Event()

    def beat() -> None:
        while not is_over.wait(site.settings.job_stale_seconds / 4):
            try:
                with site.db.connection() as connection:
                    jobs.beat(connection, claim)
            except Exception:
                # The database is away for a moment; if for long, another worker will take the job.
                log.warning("job_heartbeat_missed", extra={"job": claim.id})

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def ring_waiting(site: Site) -> int:
    """Ring again for every job that waits or whose worker is silent; return for how many. For the clock.

    Nothing is rung while at least as many rings are unheard: busy workers do not need a longer queue.
    """
    with site.db.connection() as connection:
        waiting = jobs.waiting(connection, site.settings.job_stale_seconds)
    n_rings = site.bell.n_rings()
    if n_rings is None or n_rings >= len(waiting):
        return 0
    return sum(site.bell.ring(job_id) for job_id in waiting)
