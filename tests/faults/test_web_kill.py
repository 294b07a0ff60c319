"""kill -9 of the web between lease and answer: no acknowledged answer is lost, and the seat comes back."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import builders
import pytest
from processes import ROOT, wait_until

from microtasks.engine import checking, sweep
from microtasks.engine.site import Site

pytestmark = pytest.mark.faults

YES = {"answer": "yes"}


class Web:
    """The site's real web server, killed and started again on the same port."""

    def __init__(self, site: Site) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        settings = site.settings
        self.environment = os.environ | {
            "DATABASE_URL": settings.database_url,
            "REDIS_URL": settings.redis_url,
            "MICROTASKS_DATA": str(settings.data),
            "MICROTASKS_SECRET_KEY": settings.secret_key.get_secret_value(),
            "MICROTASKS_WEB_PROCESSES": "1",
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "microtasks", "web", "--port", str(self.port)],
            cwd=ROOT, env=self.environment, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        wait_until(self.answers)

    def answers(self) -> bool:
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            with contextlib.closing(connection):
                connection.request("GET", "/healthz")
                return connection.getresponse().status == 200
        return False

    def kill(self) -> None:
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            wait_until(lambda: not self.answers())


class Volunteer:
    """One cookie and the API. OSError or HTTPException: the outcome is unknown."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.cookie = ""

    def post(self, path: str, body: object) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(connection):
            headers = {"Content-Type": "application/json", "Cookie": self.cookie}
            connection.request("POST", f"/api/v1{path}", json.dumps(body), headers)
            reply = connection.getresponse()
            content = reply.read()
            if reply.status != 200:
                raise http.client.HTTPException(f"{reply.status}: {content!r}")
            self.cookie = (reply.getheader("Set-Cookie") or self.cookie).split(";")[0]
            return json.loads(content)


@pytest.fixture
def web(site: Site) -> Iterator[Web]:
    web = Web(site)
    yield web
    web.kill()


def test_P05_a_lease_outlives_the_web_process_and_an_abandoned_one_frees_its_seat(
    site: Site, web: Web
) -> None:
    project = builders.project(site, redundancy=1)
    builders.tasks(site, project, 2)
    web.start()
    stays, leaves, comes = (Volunteer(web.port) for _ in range(3))
    path = f"/projects/{project.slug}/leases"
    kept = stays.post(path, {"limit": 1})["leases"][0]
    left = leaves.post(path, {"limit": 1})["leases"][0]

    web.kill()
    web.start()

    assert stays.post(path, {"limit": 1})["leases"][0]["task"]["id"] == kept["task"]["id"]
    sent = {"answers": [{"lease": kept["lease"], "kind": "value", "value": YES}]}
    assert stays.post("/answers", sent)["receipts"][0]["status"] == "counted"
    assert comes.post(path, {"limit": 1})["leases"] == []
    with site.db.connection() as connection:
        connection.execute("UPDATE lease SET expires_at = clock_timestamp() - interval '1 second'")
    assert sweep.sweep(site) == 1
    again = comes.post(path, {"limit": 1})["leases"][0]
    assert again["task"]["id"] == left["task"]["id"]
    sent = {"answers": [{"lease": again["lease"], "kind": "value", "value": YES}]}
    assert comes.post("/answers", sent)["receipts"][0]["status"] == "counted"
    assert checking.check(site) == []


def test_P01_what_was_acknowledged_before_the_kill_is_there_after_it(site: Site, web: Web) -> None:
    project = builders.project(site, redundancy=1000)
    builders.tasks(site, project, 40)
    web.start()
    acknowledged: list[tuple[int, str]] = []
    unknown: list[int] = []
    path = f"/projects/{project.slug}/leases"

    def work(volunteer: Volunteer) -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            while leases := volunteer.post(path, {"limit": 1})["leases"]:
                task = leases[0]["task"]["id"]
                unknown.append(task)
                sent = {"answers": [{"lease": leases[0]["lease"], "kind": "value", "value": YES}]}
                assert volunteer.post("/answers", sent)["receipts"][0]["status"] == "counted"
                acknowledged.append((task, volunteer.cookie))

    crowd = [threading.Thread(target=work, args=(Volunteer(web.port),)) for _ in range(6)]
    for one in crowd:
        one.start()
    wait_until(lambda: len(acknowledged) >= 40)
    web.kill()
    for one in crowd:
        one.join()

    with site.db.connection() as connection:
        (stored,) = connection.execute("SELECT count(*) FROM answer WHERE status = 'counted'").fetchone() or (
            0,
        )
    assert len(acknowledged) <= stored <= len(unknown)
    assert checking.check(site) == []
