"""kill -9 of the web between lease and answer: no acknowledged answer is lost, and the seat comes back."""

from __future__ import annotations

import contextlib
import http.client
import threading
from collections.abc import Iterator

import builders
import pytest
from processes import Volunteer, Web, wait_until

from microtasks.engine.assignment import sweep
from microtasks.engine.operations import invariants
from microtasks.engine.site import Site

pytestmark = pytest.mark.faults

YES = {"answer": "yes"}


@pytest.fixture
def web(site: Site) -> Iterator[Web]:
    web = Web(site.settings)
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
    assert invariants.check(site) == []


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
    assert invariants.check(site) == []
