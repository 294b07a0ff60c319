"""The feed as programs and people without JavaScript meet it."""

from __future__ import annotations

import re
from typing import Any

import builders as b
import pytest
from flask import Flask
from flask.testing import FlaskClient

from microtasks.engine.site import Site
from microtasks.engine.volunteers import feed
from microtasks.web import create_app
from microtasks.web.api import models


@pytest.fixture(autouse=True)
def counted_anew() -> None:
    feed._needy._entries.clear()


@pytest.fixture
def cy(site: Site) -> FlaskClient:
    app: Flask = create_app(site=site)
    return app.test_client()


@pytest.fixture
def projects(site: Site) -> list[b.ProjectRow]:
    made = [b.project(site) for _ in range(2)]
    for project in made:
        b.tasks(site, project, 20)
    return made


def post(client: FlaskClient, path: str, body: dict[str, Any]) -> dict[str, Any]:
    reply = client.post(f"/api/v1{path}", json=body)
    assert reply.status_code == 200, reply.text
    said: dict[str, Any] = reply.json
    return said


def hidden(page: str) -> dict[str, str]:
    return {name: re.findall(f'name="{name}" value="([^"]+)"', page)[0] for name in ("_lease", "csrf_token")}


def test_a_program_goes_through_all_projects_by_answers_alone(
    cy: FlaskClient, projects: list[b.ProjectRow]
) -> None:
    said = post(cy, "/leases", {"limit": 1, "language": "en"})
    models.LeasesOut.model_validate(said)
    seen = []
    for _ in range(40):
        (lease,) = said["leases"]
        seen.append(lease["project"]["slug"])
        answer = {"lease": lease["lease"], "kind": "value", "value": b.YES}
        said = post(cy, "/answers", {"answers": [answer], "next": 1, "feed": {"types": ["question"]}})
        models.AnswersOut.model_validate(said)
        assert said["receipts"][0]["status"] == "counted"
    assert said["leases"] == [] and said["reason"] == "none_for_you"
    assert sorted(seen) == sorted(project.slug for project in projects for _ in range(20))
    assert len(set(seen[: feed.RUN])) == 1 and len(set(seen[: 2 * feed.RUN])) == 2


def test_who_has_had_enough_of_a_project_holds_the_task_that_the_start_page_then_leads_to(
    cy: FlaskClient, projects: list[b.ProjectRow]
) -> None:
    (lease,) = post(cy, "/leases", {})["leases"]
    here = lease["project"]["slug"]
    (ahead,) = post(cy, "/leases", {"after": here})["leases"]
    assert ahead["project"]["slug"] != here
    page = cy.get(f"/start?after={here}", follow_redirects=True)
    assert page.request.path == f"/p/{ahead['project']['slug']}/work"
    assert hidden(page.text)["_lease"] == ahead["lease"]
    assert post(cy, "/leases", {"after": "nowhere"})["leases"]  # unknown: as if nothing had been said


def test_what_is_not_understood_is_refused(cy: FlaskClient) -> None:
    for body in ({"limit": 0}, {"types": "question"}, {"low_data": 1}, {"project": "x"}):
        assert cy.post("/api/v1/leases", json=body).status_code == 400


def test_one_start_button_leads_through_several_projects_without_a_script(
    cy: FlaskClient, projects: list[b.ProjectRow]
) -> None:
    reply = cy.get("/start?minutes=5")
    seen = []
    for _ in range(20):
        while reply.status_code == 303:
            reply = cy.get(reply.headers["Location"])
        page = reply.text
        seen.append(re.findall(r'data-slug="([^"]+)"', page)[0])
        assert 'data-minutes="5"' in page
        fields = {
            name: re.findall(f'name="{name}" value="([^"]+)"', page)[0] for name in ("_lease", "csrf_token")
        }
        reply = cy.post(f"/p/{seen[-1]}/work", data=fields | {"_kind": "value", "answer": "yes"})
    assert [len(set(seen[i : i + feed.RUN])) for i in (0, feed.RUN)] == [1, 1]
    assert seen[0] != seen[feed.RUN] and seen[2 * feed.RUN] == seen[0]


def test_who_chose_a_project_stays_there(cy: FlaskClient, projects: list[b.ProjectRow]) -> None:
    led = cy.get("/start?minutes=5").headers["Location"]
    for project in projects:
        page = cy.get(f"/p/{project.slug}/work").text
        assert ("data-onward" in page) == (project.slug in led)


def test_with_one_project_the_page_is_never_changed(site: Site, cy: FlaskClient) -> None:
    project = b.project(site)
    b.tasks(site, project, 3)
    assert "data-onward" not in cy.get("/start?minutes=2", follow_redirects=True).text


def test_when_a_project_has_nothing_more_the_feed_goes_on_and_ends_with_thanks(
    site: Site, cy: FlaskClient
) -> None:
    made = [b.project(site) for _ in range(2)]
    for project in made:
        b.tasks(site, project, 1)
    reply = cy.get("/start?minutes=5", follow_redirects=True)
    seen = set()
    for _ in made:
        slug = re.findall(r'data-slug="([^"]+)"', reply.text)[0]
        seen.add(slug)
        fields = {
            name: re.findall(f'name="{name}" value="([^"]+)"', reply.text)[0]
            for name in ("_lease", "csrf_token")
        }
        reply = cy.post(
            f"/p/{slug}/work", data=fields | {"_kind": "value", "answer": "yes"}, follow_redirects=True
        )
    assert seen == {project.slug for project in made}
    assert reply.request.path.endswith("/thanks")
