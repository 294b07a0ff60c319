"""Who is asking, form tokens, body limits, and what goes out with every response."""

from __future__ import annotations

import gzip
import random
import re
from base64 import urlsafe_b64decode
from dataclasses import replace

import builders
from flask import Flask

from microtasks.core.tokens import seal
from microtasks.engine.site import Site
from microtasks.settings import Settings
from microtasks.web import create_app, request

CSRF = re.compile(r'name="csrf_token" value="([^"]+)"')


def cookie(app: Flask, value: str) -> dict[str, str]:
    return {"Cookie": f"mt={value}"}


def who(app: Flask, value: str) -> object:
    with app.test_request_context(headers=cookie(app, value)):
        return request.known_contributor()


def test_a_contributor_is_made_once_and_kept(app: Flask) -> None:
    with app.test_request_context():
        first = request.contributor()
        assert request.contributor() == first
        token = seal(request._key("contributor"), first.bytes)
    assert who(app, token) == first


def test_T30_a_changed_contributor_cookie_is_nobodys(app: Flask, site: Site) -> None:
    token = seal(site.settings.key("contributor"), builders.contributor().bytes)
    assert who(app, token) is not None
    rng = random.Random(30)
    for _ in range(2000):
        place = rng.randrange(len(token))
        other = rng.choice(
            [
                c
                for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
                if c != token[place]
            ]
        )
        assert who(app, token[:place] + other + token[place + 1 :]) is None
    for purpose in ("csrf", "lease", "flask"):  # sealed for something else
        assert who(app, seal(site.settings.key(purpose), builders.contributor().bytes)) is None


def test_home_makes_no_contributor_and_a_task_does(app: Flask, site: Site) -> None:
    made = builders.project(site, published_at="2026-01-01T00:00:00Z")
    builders.tasks(site, made)
    client = app.test_client()
    client.get("/")
    client.get(f"/p/{made.slug}")
    assert client.get_cookie("mt") is None
    client.get(f"/p/{made.slug}/work")
    kept = client.get_cookie("mt")
    assert kept is not None and kept.http_only and kept.same_site == "Lax"


def test_over_https_cookies_are_bound_to_the_host(site: Site, settings: Settings) -> None:
    public = settings.model_copy(update={"base_url": "https://tasks.example.org"})
    app = create_app(site=replace(site, settings=public))
    made = builders.project(site, published_at="2026-01-01T00:00:00Z")
    builders.tasks(site, made)
    answer = app.test_client().get(f"/p/{made.slug}/work", base_url="https://tasks.example.org")
    sent = [it for it in answer.headers.getlist("Set-Cookie") if it.startswith("__Host-mt=")]
    assert sent and "Secure" in sent[0] and "HttpOnly" in sent[0]
    assert answer.headers["Strict-Transport-Security"]


def test_T16_a_form_without_its_token_changes_nothing(app: Flask, site: Site) -> None:
    made = builders.project(site, published_at="2026-01-01T00:00:00Z")
    builders.tasks(site, made)
    client = app.test_client()
    page = client.get(f"/p/{made.slug}/work").text
    found = CSRF.search(page)
    lease = re.search(r'name="_lease" value="([^"]+)"', page)
    assert found and lease
    form = {"_lease": lease[1], "answer": "yes"}
    url = f"/p/{made.slug}/work"
    assert client.post(url, data=form).status_code == 403
    assert client.post(url, data=form | {"csrf_token": found[1][:-1]}).status_code == 403
    good = form | {"csrf_token": found[1]}
    assert app.test_client().post(url, data=good).status_code == 403  # another browser's
    assert client.post(url, data=good, headers={"Origin": "https://evil.example"}).status_code == 403
    assert client.post(url, data=good, headers={"Origin": "http://localhost"}).status_code == 303


def test_form_tokens_differ_from_page_to_page_and_hold_no_session_token(app: Flask) -> None:
    with app.test_request_context(headers={"Cookie": "mt_owner=owners-secret-token"}):
        first, second = request.csrf_token(), request.csrf_token()
    assert first != second
    assert b"owners-secret" not in urlsafe_b64decode(first + "==")


def test_bodies_are_limited_by_route(app: Flask, site: Site) -> None:
    client = app.test_client()
    large = b"x" * (site.settings.max_answer_bytes + 1)
    answer = client.post("/api/v1/answers", data=large, content_type="application/json")
    assert answer.status_code == 413 and answer.json["error"] == "too_large"
    page = client.post("/p/x/work", data={"a": "x" * (site.settings.max_form_bytes + 1)})
    assert page.status_code == 413


def test_pages_are_compressed_for_those_who_can_read_it(app: Flask) -> None:
    client = app.test_client()
    packed = client.get("/", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "<!doctype html>" in gzip.decompress(packed.data).decode()
    assert "Content-Encoding" not in client.get("/").headers
    assert "Accept-Encoding" in packed.headers["Vary"]


def test_T37_every_kind_of_response_carries_the_headers(app: Flask, site: Site) -> None:
    made = builders.project(site, published_at="2026-01-01T00:00:00Z")
    builders.tasks(site, made)
    client = app.test_client()
    static = re.search(r'href="(/static/[^"]+css)"', client.get("/").text)
    assert static
    responses = {
        "page": client.get("/"),
        "redirect": client.get("/language/ar"),
        "not found": client.get("/nothing"),
        "forbidden": client.post(f"/p/{made.slug}/work"),
        "method": client.put("/"),
        "file": client.get(static[1]),
        "json": client.get("/healthz"),
        "api error": client.post("/api/v1/answers", data="{", content_type="application/json"),
    }
    for name, response in responses.items():
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy and "unsafe" not in policy, name
        assert "frame-ancestors 'none'" in policy and "base-uri 'none'" in policy, name
        assert response.headers["X-Content-Type-Options"] == "nosniff", name
        assert response.headers["Referrer-Policy"] == "same-origin", name
        assert response.headers["Cross-Origin-Opener-Policy"] == "same-origin", name
