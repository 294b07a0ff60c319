"""Images: by hash, of one type, for ever, and harmless when opened by themselves."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from microtasks.engine.site import Site
from microtasks.web import create_app


@pytest.fixture
def client(site: Site) -> FlaskClient:
    return create_app(site=site).test_client()


def test_T12_a_stored_file_is_never_anything_but_an_image(site: Site, client: FlaskClient) -> None:
    digest = site.files.put("derived", b"<script>alert(1)</script>")
    answer = client.get(f"/media/{digest}.webp", headers={"Accept": "text/html"})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "image/webp"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"


def test_an_image_is_kept_for_ever_and_known_by_its_hash(site: Site, client: FlaskClient) -> None:
    digest = site.files.put("derived", b"picture")
    answer = client.get(f"/media/{digest}.webp")
    assert answer.data == b"picture"
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    again = client.get(f"/media/{digest}.webp", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304 and again.data == b""


@pytest.mark.parametrize(
    "name",
    ["0" * 64, "../../etc/passwd", "..%2f..%2fsecret", "A" * 64, "abc", "0" * 63 + "%00", "0" * 64 + ".png"],
)
def test_what_is_no_stored_image_is_not_found(client: FlaskClient, name: str) -> None:
    assert client.get(f"/media/{name}.webp").status_code == 404


def test_originals_are_not_served(site: Site, client: FlaskClient) -> None:
    digest = site.files.put("originals", b"with its GPS position")
    assert client.get(f"/media/{digest}.webp").status_code == 404
