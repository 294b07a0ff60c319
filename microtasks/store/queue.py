"""The doorbell: tells a worker through rq that a job row waits. Redis may be away; the row still waits.

Whoever can write to Redis must not be able to run code. So a ring carries one integer as JSON, and the worker
runs the one function RUN with it and nothing else: no other name, no pickle, no callback, no webhook.
"""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import redis
import rq
from rq.exceptions import StopRequested
from rq.job import Job
from rq.utils import now
from rq.worker import SimpleWorker
from rq.worker.base import WorkerStatus

log = logging.getLogger(__name__)

QUEUE = "microtasks"
RUN = "workers.jobs.run"  # by its dotted name: web and workers never meet
LONGEST_RUN_SECONDS = 6 * 3600
#: A volunteer's answer may ring: after Redis did not answer, nobody waits for it again for so long.
REST_SECONDS = 10.0


class Bell:
    """Rings for a job. Arguments are one integer id, as JSON; a lost ring is rung again by the clock."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.redis = redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1)
        self.rest_until = 0.0
        self.queue = rq.Queue(QUEUE, connection=self.redis, serializer="json")

    def ring(self, job_id: int) -> bool:
        """Ring after the commit of the job's row. False when Redis did not answer: the clock will ring."""
        if time.monotonic() < self.rest_until:
            return False
        try:
            self.queue.enqueue(RUN, job_id, job_timeout=LONGEST_RUN_SECONDS, result_ttl=0, failure_ttl=86400)
        except redis.RedisError:
            self.rest_until = time.monotonic() + REST_SECONDS
            log.warning("bell_unanswered", extra={"job": job_id})
            return False
        return True

    def n_rings(self) -> int | None:
        """How many rings no worker has heard yet; None when Redis does not answer."""
        try:
            return self.queue.count
        except redis.RedisError:
            return None

    def close(self) -> None:
        self.redis.close()


class RingRefused(Exception):
    """Something other than our own ring was found in the queue."""


class Ring(Job):
    """A job in Redis, of which only its one integer is believed."""

    def restore(self, raw_data: Any) -> None:
        """Read what Redis holds, without everything by which it could name other code or addresses."""
        super().restore(raw_data)
        self._success_callback_name = self._failure_callback_name = self._stopped_callback_name = None
        self.webhooks = []

    def _execute(self) -> Any:
        arguments = self.args
        if (
            self.func_name != RUN
            or self.instance is not None
            or self.kwargs
            or len(arguments) != 1
            or type(arguments[0]) is not int
        ):
            log.error("ring_refused", extra={"ring": self.id})
            raise RingRefused
        return super()._execute()


class Worker(SimpleWorker):
    """Hears the bell and runs jobs one after the other in this process.

    No fork a job: that costs more than most jobs, and what could crash (images) runs in children of its own.
    `stop` is called on SIGTERM and SIGINT, so that a long job can end at its next safe point. A second signal
    ends the process at once, which is safe too.
    """

    max_connection_wait_time = 5.0  # seconds between tries while Redis is away

    def __init__(self, url: str, stop: Callable[[], None]) -> None:
        self._tell_to_stop = stop
        connection = redis.Redis.from_url(url, socket_connect_timeout=5)
        super().__init__(
            [QUEUE], connection=connection, job_class=Ring, serializer="json", log_job_description=False
        )

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """Stop after the job at hand. rq's own handler talks to Redis, which may be away just now."""
        self._tell_to_stop()
        self._shutdown_requested_date = now()
        signal.signal(signal.SIGINT, self.request_force_stop)
        signal.signal(signal.SIGTERM, self.request_force_stop)
        self._stop_requested = True
        if self.get_state() != WorkerStatus.BUSY:
            raise StopRequested
