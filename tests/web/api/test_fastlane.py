"""The fast lane answers as the views do, and leaves to them whatever is not plain."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import builders as b
import pytest
from flask import Flask
from flask.testing import FlaskClient

from microtasks.core.errors import Unavailable
from microtasks.engine.assignment import serve
from microtasks.engine.site import Site
from microtasks.web import create_app
from microtasks.web.api import fastlane

ANSWERS = "/api/v1/answers"


@pytest.fixture
def project(site: Site) -> b.ProjectRow:
    project = b.project(site)
    b.tasks(site, project, 5, text="Ünïcode ✓ " * 60)
    return project


def post(client: FlaskClient, path: str, body: Any, **options: Any) -> tuple[int, dict[str, str], bytes]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    reply = client.post(path, data=data, **{"content_type": "application/json", **options})
    return reply.status_code, dict(reply.headers), reply.data


def through_the_views(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fastlane.FastLane, "_plain_body", lambda *_: None)


def test_the_lane_replies_to_the_byte_as_the_views_do(
    app: Flask, project: b.ProjectRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = app.test_client()
    leases = f"/api/v1/projects/{project.slug}/leases"
    _, _, held = post(client, leases, {"limit": 2})
    token, other = (lease["lease"] for lease in json.loads(held)["leases"])
    answer = {"lease": token, "kind": "value", "value": b.YES, "seconds_spent": 2}
    post(client, ANSWERS, {"answers": [answer]})
    asked: list[tuple[str, Any, dict[str, Any]]] = [
        (leases, {"limit": 2}, {}),
        (leases, {}, {}),
        (leases, {"limit": 5}, {"headers": {"Accept-Encoding": "gzip"}}),
        (leases, {"limit": 2}, {"headers": {"Origin": "http://localhost"}}),
        (leases, {"limit": 2}, {"headers": {"Origin": "http://elsewhere.example"}}),
        (leases, {"limit": 2}, {"content_type": "text/plain"}),
        (leases, {"limit": 2}, {"content_type": "application/json; charset=utf-8"}),
        (leases, {"limit": 21}, {}),
        (leases, b'{"limit": 1, "limit": 2}', {}),
        (leases, b"", {}),
        (leases, b"[" * 100, {}),
        (ANSWERS, {"answers": [answer], "next": 2}, {}),
        (ANSWERS, {"answers": [{**answer, "lease": "bad"}, {**answer, "lease": other, "value": 7}]}, {}),
        (ANSWERS, {"answers": [{**answer, "lease": other, "value": {"answer": "no such"}}], "next": 1}, {}),
        (ANSWERS, {"answers": [{**answer, "more": 1}]}, {}),
        (ANSWERS, b"{" + b" " * (1 << 20) + b"}", {}),
        ("/api/v1/projects/no-such-project/leases", {}, {}),
        ("/api/v1/projects/%00/leases", {}, {}),
        ("/api/v1/projects/a/b/leases", {}, {}),
    ]
    fast = [post(client, path, body, **options) for path, body, options in asked]
    with monkeypatch.context() as patched:
        through_the_views(patched)
        slow = [post(client, path, body, **options) for path, body, options in asked]
    for one, other_way, request in zip(fast, slow, asked, strict=True):
        assert one == other_way, request
    assert {status for status, _, _ in fast} == {200, 400, 403, 404, 413, 415}


def test_a_plain_request_never_reaches_the_views(
    app: Flask, project: b.ProjectRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = app.test_client()
    leases = f"/api/v1/projects/{project.slug}/leases"
    post(client, leases, {})  # the first visit, which gives the cookie, does
    monkeypatch.setattr(Flask, "full_dispatch_request", None)
    _, headers, held = post(client, leases, {})
    assert "Content-Security-Policy" in headers
    answer = {"lease": json.loads(held)["leases"][0]["lease"], "kind": "value", "value": b.YES}
    status, _, said = post(client, ANSWERS, {"answers": [answer], "next": 1})
    assert status == 200 and json.loads(said)["receipts"][0]["status"] == "counted"


@pytest.mark.parametrize("error", [Unavailable("Later, please."), RuntimeError("not for strangers")])
def test_an_error_inside_is_told_as_by_the_views(
    app: Flask, project: b.ProjectRow, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    client = app.test_client()
    leases = f"/api/v1/projects/{project.slug}/leases"
    post(client, leases, {})

    def fails(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(serve, "lease", fails)
    fast = post(client, leases, {})
    through_the_views(monkeypatch)
    assert fast == post(client, leases, {})
    assert fast[0] >= 500 and b"strangers" not in fast[2]


def test_a_cookie_that_was_good_is_known_again_and_one_letter_changed_is_not(
    app: Flask, project: b.ProjectRow
) -> None:
    client = app.test_client()
    leases = f"/api/v1/projects/{project.slug}/leases"
    post(client, leases, {})
    cookie = client.get_cookie("mt")
    assert cookie is not None
    held = [post(client, leases, {})[2] for _ in range(2)]
    assert held[0] == held[1]
    client.set_cookie("mt", ("B" if cookie.value[0] == "A" else "A") + cookie.value[1:])
    status, headers, other = post(client, leases, {})
    assert status == 200 and "mt=" in headers["Set-Cookie"] and other != held[0]


def test_with_a_public_address_other_hosts_are_refused(site: Site, project: b.ProjectRow) -> None:
    settings = site.settings.model_copy(update={"base_url": "http://tasks.example.org"})
    site = replace(site, settings=settings)
    client = create_app(site=site).test_client()
    leases = f"/api/v1/projects/{project.slug}/leases"
    for host, status in (("tasks.example.org", 200), ("localhost:8000", 200), ("evil.example", 400)):
        for _ in range(2):
            assert post(client, leases, {}, headers={"Host": host})[0] == status
