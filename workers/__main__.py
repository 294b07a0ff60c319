"""`python -m workers`: hears the bell in as many processes as `worker_processes` says.

SIGTERM or SIGINT: the jobs at hand end at their next safe point, then the processes. A process that dies is
started again. Redis away: waits and goes on.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
import sys
import threading

import redis

from microtasks import logs, settings
from microtasks.core.errors import SettingsInvalid
from microtasks.engine.operations import startup
from microtasks.store.queue import Worker
from workers import jobs

log = logging.getLogger(__name__)

RETRY_SECONDS = 2.0
PR_SET_PDEATHSIG = 1


def work(url: str, stop: threading.Event) -> None:
    """Hear the bell until `stop` is set by a signal."""
    while not stop.is_set():
        try:
            # rq's loop ends by itself on a fault it does not know: then a new one begins.
            Worker(url, stop.set).work(logging_level="WARNING")
        except (redis.RedisError, OSError):
            log.warning("redis_away")
        _on_signal(stop)  # rq left its own handlers
        stop.wait(RETRY_SECONDS)


def supervise(n_processes: int, stop: threading.Event) -> None:
    """Keep so many workers running, each in a process of its own, until `stop` is set by a signal."""
    command = [sys.executable, "-m", "workers", "--child-of", str(os.getpid())]
    processes = [subprocess.Popen(command) for _ in range(n_processes)]  # noqa: S603  (our own command)
    while not stop.wait(0.5):
        for index, process in enumerate(processes):
            if process.poll() is not None:
                log.error("worker_died", extra={"code": process.returncode})
                processes[index] = subprocess.Popen(command)  # noqa: S603
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait()


def _on_signal(stop: threading.Event) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())


def _die_with(parent: int) -> None:
    """Let the kernel stop this worker when its supervisor is gone (Linux), however that ended."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit(1)


def main(arguments: list[str]) -> None:
    """Run until SIGTERM or SIGINT; exit with a plain sentence when the settings cannot work."""
    logs.configure()
    _on_signal(jobs.stopping)
    if arguments[:1] == ["--child-of"]:
        _die_with(int(arguments[1]))
    try:
        configured = settings.read()
        if not configured.redis_url or not configured.database_url:
            raise SettingsInvalid("Set DATABASE_URL and REDIS_URL, or use `microtasks up`.")
        if configured.worker_processes > 1 and not arguments:
            supervise(configured.worker_processes, jobs.stopping)
            return
        startup.check(jobs.site())
    except SettingsInvalid as error:
        sys.exit(error.message)
    log.info("worker_started")
    work(configured.redis_url, jobs.stopping)
    jobs.site().close()
    log.info("worker_stopped")


if __name__ == "__main__":
    main(sys.argv[1:])
