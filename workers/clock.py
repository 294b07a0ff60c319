"""What runs on a timer: `python -m workers.clock`. One process is enough; a second one does no harm."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from microtasks import logs, settings
from microtasks.core.errors import SettingsInvalid
from microtasks.engine.accounts import mail
from microtasks.engine.assignment import sweep
from microtasks.engine.operations import backups, housekeeping, jobs, startup
from microtasks.engine.results import aggregate
from microtasks.engine.site import Site, open_site
from microtasks.engine.volunteers import claims

log = logging.getLogger(__name__)

#: The longest pause after an error, as when the database is away.
LONGEST_PAUSE_S = 15.0


@dataclass(slots=True)
class Duty:
    """Something to do every so many seconds."""

    name: str
    every_s: float
    do: Callable[[Site], object]
    due_at: float = 0.0
    failures: int = 0

    def run(self, site: Site, now: float) -> None:
        """Do it, and note when next. An error is logged, and the next try waits longer; others go on."""
        try:
            self.do(site)
        except Exception:
            self.failures += 1
            log.exception("duty_failed", extra={"duty": self.name, "failures": self.failures})
        else:
            self.failures = 0
        pause = min(self.every_s * 2**self.failures, max(self.every_s, LONGEST_PAUSE_S))
        self.due_at = now + pause


def duties(site: Site) -> list[Duty]:
    """All there is to do, the most urgent first."""
    return [
        Duty("sweep", site.settings.sweep_seconds, sweep.sweep),
        Duty("beat", 5, housekeeping.beat),
        Duty("advance_heads", 10, sweep.advance_heads),
        Duty("ring_waiting", 15, jobs.ring_waiting),
        Duty("queue_mail", 15, mail.queue_due),
        Duty("join_stragglers", 60, claims.join_stragglers),
        Duty("refresh_models", 60, aggregate.refresh),
        Duty("queue_backup", 60, backups.queue_due),
        Duty("clean", 3600, housekeeping.clean),
        Duty("clean_mail", 3600, mail.clean),
    ]


def run(site: Site, stop: threading.Event, todo: list[Duty] | None = None) -> None:
    """Do each duty when it is due, until `stop` is set."""
    todo = duties(site) if todo is None else todo
    while not stop.is_set():
        for duty in todo:
            if duty.due_at <= time.monotonic() and not stop.is_set():
                duty.run(site, time.monotonic())
        stop.wait(max(0.01, min(duty.due_at for duty in todo) - time.monotonic()))


def wait_until_ready(site: Site, stop: threading.Event) -> None:
    """Return when database and Redis answer. Errors: SettingsInvalid, in production, for unsafe settings."""
    while not stop.is_set():
        try:
            return startup.check(site)
        except SettingsInvalid:
            raise
        except Exception as error:
            log.warning("not_ready", extra={"reason": str(error)})
            stop.wait(2)


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    logs.configure()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        site = open_site(settings.read())
        wait_until_ready(site, stop)
    except SettingsInvalid as error:
        sys.exit(error.message)
    log.info("clock_started")
    run(site, stop)
    site.close()
    log.info("clock_stopped")


if __name__ == "__main__":
    main()
