"""The clock: each duty when it is due, and no duty's trouble is another's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psycopg
import pytest

from microtasks.engine.site import Site
from microtasks.store.operations import heartbeat
from workers import clock


def test_a_failing_duty_does_not_stop_the_others(site: Site, caplog: pytest.LogCaptureFixture):
    stop, done = threading.Event(), []

    def fail(site: Site) -> None:
        raise psycopg.OperationalError("the database is away")

    def work(site: Site) -> None:
        done.append(time.monotonic())
        if len(done) == 3:
            stop.set()

    clock.run(site, stop, [clock.Duty("failing", 0.01, fail), clock.Duty("working", 0.01, work)])
    assert len(done) == 3
    assert "duty_failed" in caplog.messages


def test_a_failing_duty_is_tried_more_and_more_rarely_and_then_as_before(site: Site):
    troubles = [True] * 12 + [False]

    def do(site: Site) -> None:
        if troubles.pop(0):
            raise OSError

    duty = clock.Duty("moody", 1, do)
    pauses = []
    while troubles:
        duty.run(site, 0.0)
        pauses.append(duty.due_at)
    assert pauses == [2, 4, 8, *[clock.LONGEST_PAUSE_S] * 9, 1]


def test_what_must_be_done_is_on_the_list(site: Site):
    assert {duty.name for duty in clock.duties(site)} == {
        "sweep", "beat", "advance_heads", "ring_waiting", "refresh_models", "clean",
        "queue_mail", "join_stragglers", "clean_mail", "queue_backup",
    }  # fmt: skip


def test_P16_the_clock_beats_and_ends_when_asked(site: Site):
    environment = os.environ | {
        "DATABASE_URL": site.settings.database_url,
        "REDIS_URL": site.settings.redis_url,
        "MICROTASKS_SECRET_KEY": site.settings.secret_key.get_secret_value(),
        "MICROTASKS_DATA": str(site.settings.data),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "workers.clock"], env=environment, stderr=subprocess.PIPE, text=True,
        cwd=Path(__file__).parent,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with site.db.connection() as connection:
                age_s = heartbeat.age_s(connection, "clock")
            if age_s is not None:
                break
            time.sleep(0.05)
        assert age_s is not None and age_s < 20
    finally:
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=20)
    assert process.returncode == 0
    assert '"event": "clock_stopped"' in log
    assert "duty_failed" not in log


def test_the_clock_waits_for_a_database_that_is_away(site: Site, caplog: pytest.LogCaptureFixture):
    stop = threading.Event()
    tries = []

    class Away:
        settings = site.settings

        @property
        def db(self) -> object:
            tries.append(1)
            stop.set()
            raise psycopg.OperationalError("the database is away")

    clock.wait_until_ready(Away(), stop)  # type: ignore[arg-type]
    assert tries and "not_ready" in caplog.messages
