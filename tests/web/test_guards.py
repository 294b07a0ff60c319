"""What is refused before anything else looks at a request, in the fast lane and in Flask alike."""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import builders as b
import pytest
from flask import Flask

import microtasks.web
from microtasks.core.errors import Unavailable
from microtasks.engine.site import Site
from microtasks.web import create_app
from microtasks.web.api import fastlane
from microtasks.web.requests import addresses, guards

PUBLIC = "https://tasks.example.org"


@pytest.fixture
def public(site: Site) -> Flask:
    return create_app(site=replace(site, settings=site.settings.model_copy(update={"base_url": PUBLIC})))


# -- hosts --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/owner/sign-in", "/p/nothing", "/api/v1/projects", "/assets/none"])
@pytest.mark.parametrize(
    "host", ["evil.example", "tasks.example.org.evil.example", "a b", "x,y", "<script>", ""]
)
def test_T19_a_host_that_is_not_ours_gets_a_page_that_says_so(public: Flask, path: str, host: str) -> None:
    answer = public.test_client().get(path, headers={"Host": host})
    assert answer.status_code == 400 and "not known by the name" in answer.text
    assert "evil" not in answer.text and "Traceback" not in answer.text
    assert answer.headers["Content-Security-Policy"] and answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "host",
    ["tasks.example.org", "TASKS.Example.Org", "tasks.example.org:443", "tasks.example.org.", "[::1]:8000"],
)
def test_T19_hosts_are_compared_without_case_brackets_and_port(public: Flask, host: str) -> None:
    assert public.test_client().get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_T19_health_answers_any_host(public: Flask, path: str) -> None:
    assert public.test_client().get(path, headers={"Host": "10.1.2.3:8000"}).status_code == 200
    assert public.test_client().get(path, headers={"Host": "<script>"}).status_code == 200


# -- origins ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_json", [True, False])
@pytest.mark.parametrize(
    ("host", "origin", "is_ours"),
    [
        ("tasks.example.org", "https://tasks.example.org", True),
        ("tasks.example.org:443", "https://tasks.example.org", True),
        ("Tasks.example.org", "https://tasks.example.org:443", True),
        ("127.0.0.1:8000", "https://tasks.example.org", True),  # a proxy that does not pass Host on
        ("127.0.0.1:8000", "https://evil.example", False),
        ("tasks.example.org", "https://tasks.example.org.evil.example", False),
        ("tasks.example.org", "https://tasks.example.org:444", False),
        ("tasks.example.org", "null", False),
        ("tasks.example.org", "", False),
    ],
)
def test_T16_the_origin_is_this_site_by_its_host_or_its_public_address(
    public: Flask, site: Site, is_json: bool, host: str, origin: str, is_ours: bool
) -> None:
    made = b.project(site)
    path = f"/api/v1/projects/{made.slug}/leases" if is_json else "/owner/sign-in"
    sent: dict[str, Any] = {"json": {}} if is_json else {"data": {}}
    answer = public.test_client().post(path, headers={"Host": host, "Origin": origin}, **sent)
    assert ("another site" in answer.text) != is_ours
    if not is_ours:
        assert answer.status_code == 403 and "proxy" in answer.text and "Host" in answer.text


# -- both lanes ---------------------------------------------------------------------------------------


def test_T19_both_lanes_refuse_the_same_whatever_comes(
    public: Flask, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three hundred requests of odd hosts, origins, types, lengths and bodies through each."""
    made = b.project(site, redundancy=100, answers_min=100)
    b.tasks(site, made, 3)
    client = public.test_client()
    leases = f"/api/v1/projects/{made.slug}/leases"
    base = {"base_url": PUBLIC}
    held = client.post(leases, json={"limit": 2}, **base).get_json()["leases"]
    for lease in held:  # answered already: sending again changes nothing
        client.post("/api/v1/answers", json={"answers": [{"lease": lease["lease"], "value": b.YES}]}, **base)
    answer = {"lease": held[0]["lease"], "value": b.YES}
    rng = random.Random(19)
    two = {"answers": [answer, answer | {"value": b.NO}]}
    bodies = [{}, {"limit": 1}, {"limit": 21}, {"answers": [answer]}, two, {"answers": [answer], "next": 21}]
    bodies += [{"answers": [], "x": 1}, b"[" * 50, b'{"limit":1e999}', b"", b"\xff"]  # type: ignore[list-item]
    requests = []
    for _ in range(300):
        body = rng.choice(bodies)
        headers = {"Host": rng.choice(["tasks.example.org"] * 6 + ["evil.example", "LOCALHOST:80", "a b"])}
        if rng.random() < 0.5:
            headers["Origin"] = rng.choice([PUBLIC, "https://evil.example", "null", "http://localhost"])
        if rng.random() < 0.2:
            headers["Accept-Encoding"] = "gzip"
        requests.append(
            {
                "path": rng.choice([leases, "/api/v1/answers", "/api/v1/projects/none/leases"]),
                "method": rng.choice(["POST"] * 9 + ["PUT"]),
                "data": body if isinstance(body, bytes) else json.dumps(body).encode(),
                "content_type": rng.choice(
                    ["application/json"] * 6 + ["text/plain", "application/json; charset=x"]
                ),
                "headers": headers,
                "base_url": PUBLIC,
            }
        )

    def replies() -> list[tuple[int, bytes]]:
        return [(it.status_code, it.data) for it in (client.open(**request) for request in requests)]  # type: ignore[arg-type]

    fast = replies()
    monkeypatch.setattr(fastlane.FastLane, "_plain_body", lambda *_: None)
    assert fast == replies()
    assert {status for status, _ in fast} >= {200, 400, 403, 404, 415}


def test_no_view_has_a_guard_of_its_own() -> None:
    """A guard of hosts or origins stands in guards.py, or one of the two lanes forgets it."""
    for path in Path(microtasks.web.__file__).parent.rglob("*.py"):
        code = path.read_text()
        if path.name != "guards.py":
            assert "HTTP_ORIGIN" not in code and "trusted_hosts" not in code, path
        if path.name != "next_page.py":
            assert all("safe_next" in line for line in code.splitlines() if '.get("next")' in line), path
        assert not re.search(r"get_json|http\.json\b", code), f"{path}: read_json is the one strict reader"


# -- where a page goes on to, letters, JSON -----------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    ["/%09/evil.example", "/%0a/evil.example", "/%0d%0aX:y", "//evil.example", "/\\evil.example", "https://evil.example",
     "/%5cevil.example", "javascript:alert(1)", "", "%20//evil.example", "/%00"],
)  # fmt: skip
def test_T18_a_language_is_chosen_and_nobody_leaves_the_site(app: Flask, address: str) -> None:
    answer = app.test_client().get(f"/language/ar?next={address}")
    assert answer.status_code == 303 and answer.headers["Location"] == "/"
    assert app.test_client().get("/language/ar?next=/me").headers["Location"] == "/me"


def test_T21_a_letter_never_carries_the_address_that_a_request_names(app: Flask, public: Flask) -> None:
    with (
        app.test_request_context(headers={"Host": "evil.example"}),
        pytest.raises(Unavailable, match="BASE_URL"),
    ):
        addresses.for_letter("/keep/x")
    for host in ("127.0.0.1:8000", "[::1]:8000", "museum", "192.168.1.7"):
        with app.test_request_context(headers={"Host": host}):
            assert addresses.for_letter("/keep/x") == f"http://{host}/keep/x"
    with public.test_request_context(headers={"Host": "localhost"}):
        assert addresses.for_letter("/keep/x") == f"{PUBLIC}/keep/x"


def test_T41_a_draft_answers_as_a_project_that_never_was(app: Flask, site: Site) -> None:
    draft = b.project(site, state="draft")
    client = app.test_client()
    answers = [client.get(f"/api/v1/projects/{slug}/recent") for slug in (draft.slug, "never")]
    assert [it.status_code for it in answers] == [404, 404]
    assert answers[0].text.replace(draft.slug, "x") == answers[1].text.replace("never", "x")


def test_host_names() -> None:
    assert [guards.host_name(it) for it in ("A.b:1", "[::1]:2", "x.", "", "a/b", "a@b")] == [
        "a.b", "::1", "x", None, None, None
    ]  # fmt: skip
