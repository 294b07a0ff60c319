"""The doorbell: tells a worker through rq that a job row waits. Redis may be away; the row still waits."""

from __future__ import annotations

import logging

import redis
import rq

log = logging.getLogger(__name__)

QUEUE = "microtasks"
RUN = "workers.jobs.run"  # by its dotted name: web and workers never meet


class Bell:
    """Rings for a job. Arguments are one integer id, as JSON; a lost ring is rung again by the clock."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.redis = redis.Redis.from_url(url, socket_timeout=5, socket_connect_timeout=2)
        self.queue = rq.Queue(QUEUE, connection=self.redis, serializer="json")

    def ring(self, job_id: int) -> bool:
        """Ring after the commit of the job's row. False when Redis did not answer: the clock will ring."""
        try:
            self.queue.enqueue(RUN, job_id, job_timeout=6 * 3600, result_ttl=0, failure_ttl=86400)
        except redis.RedisError:
            log.warning("bell_unanswered", extra={"job": job_id})
            return False
        return True

    def close(self) -> None:
        self.redis.close()
