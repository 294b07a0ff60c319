"""The handle of a running job: whether it is still ours, and whether we were asked to stop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from microtasks.store import jobs
from microtasks.store.db import Connection


class JobLost(Exception):
    """Another worker has taken this job: write nothing more."""


class JobStopped(Exception):
    """The worker was asked to stop: what is done is kept, the rest waits."""


@dataclass(frozen=True, slots=True)
class Running:
    """A claimed job, as the work sees it."""

    claim: jobs.Claim
    should_stop: Callable[[], bool] = lambda: False

    def hold(self, connection: Connection) -> None:
        """Begin each transaction of the job with this: JobLost unless the claim is still the latest.

        The job's row stays locked until the commit, so no newer claim can begin before it.
        """
        if not jobs.advance(connection, self.claim):
            raise JobLost

    def check_stop(self) -> None:
        """Call where the work may end: raises JobStopped when the worker was asked to stop."""
        if self.should_stop():
            raise JobStopped
