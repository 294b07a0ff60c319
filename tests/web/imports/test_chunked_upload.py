"""Uploads in pieces: interrupted, they go on where they came to; then the owner looks at them."""

from __future__ import annotations

import io
import re
import shutil
import zipfile
from pathlib import Path
from typing import Any

import builders
import pytest
from flask import Flask
from people import Person, owner
from PIL import Image
from werkzeug.test import TestResponse

from microtasks.engine.imports import chunked_upload
from microtasks.engine.operations import jobs
from microtasks.engine.site import Site, open_site
from microtasks.settings import Settings


@pytest.fixture
def ada(app: Flask, site: Site) -> Person:
    person, account = owner(app, site, "ada@example.org")
    builders.project(site, slug="mine", state="draft", account_id=account)
    return person


BASE = "/owner/projects/mine"


def post(person: Person, path: str, body: Any) -> TestResponse:
    kind = (
        {"data": body, "content_type": "application/octet-stream"}
        if isinstance(body, bytes)
        else {"json": body}
    )
    return person.client.post(
        path, headers={"X-CSRF-Token": person.token(), "Accept": "application/json"}, **kind
    )


def announced(person: Person, content: bytes, name: str = "t.csv") -> str:
    answer = post(person, f"{BASE}/sendings", {"files": [{"name": name, "size": len(content)}]})
    assert answer.status_code == 200, answer.text
    return f"{BASE}/sendings/{answer.get_json()['id']}"


def received(person: Person, address: str) -> int:
    return int(person.get(address).get_json()["files"][0]["received"])


def work(site: Site) -> None:
    with site.db.connection() as connection:
        waiting = connection.execute("SELECT id FROM job WHERE state = 'queued' ORDER BY id").fetchall()
    for (job,) in waiting:
        assert jobs.run(site, job) == "done"


TABLE = b"id,text\n" + b"".join(b"%d,Line number %d\n" % (n, n) for n in range(500))


def test_an_interrupted_upload_goes_on_where_it_came_to(ada: Person, site: Site) -> None:
    address = announced(ada, TABLE)
    half = len(TABLE) // 2
    assert post(ada, f"{address}/0?offset=0", TABLE[:half]).get_json() == {"received": half}
    # the reply was lost: the same piece again is no error, and nothing is twice
    assert post(ada, f"{address}/0?offset=0", TABLE[:half]).get_json() == {"received": half}
    assert received(ada, address) == half
    too_early = post(ada, f"{address}/finish", {})
    assert too_early.status_code == 409 and "t.csv has not arrived whole" in too_early.get_json()["message"]
    gap = post(ada, f"{address}/0?offset={half + 9}", b"x")
    assert gap.status_code == 409 and gap.get_json()["details"] == {"received": half}
    post(ada, f"{address}/0?offset={half}", TABLE[half:])
    location = post(ada, f"{address}/finish", {}).get_json()["location"]
    assert ada.get(address).status_code == 404  # it is a batch now

    assert "Looking through" in ada.get(location).text
    work(site)
    page = ada.get(location).text
    assert "500 tasks can be made" in page and "Line number 3" in page
    assert ada.post(f"{location}/look", {"step": "make"}).status_code == 303
    work(site)
    progress = ada.get(f"{location}.json").get_json()
    assert (progress["state"], progress["n_tasks"], progress["n_failed"]) == ("done", 500, 0)


def test_a_piece_half_written_when_the_server_died_is_written_again(ada: Person, site: Site) -> None:
    address = announced(ada, TABLE)
    post(ada, f"{address}/0?offset=0", TABLE[:100])
    file = Path(site.settings.data) / "uploads" / address.rpartition("/")[2] / "000000"
    with file.open("ab") as written:
        written.write(b"rubbish that no row knows of")
    post(ada, f"{address}/0?offset=100", TABLE[100:])
    assert file.read_bytes() == TABLE


def test_pieces_may_reach_any_host(settings: Settings, storage: str, tmp_path: Path) -> None:
    here, there = (
        open_site(settings.model_copy(update={"data": tmp_path / name, "storage": storage})) for name in "ab"
    )
    account = builders.account(here, "ada@example.org")
    project = builders.project(here, account_id=account)
    sent = chunked_upload.begin(here, project.id, account, [("t.csv", len(TABLE))])
    chunked_upload.receive(here, project.id, account, sent.id, 0, 0, TABLE[:1000])
    chunked_upload.receive(there, project.id, account, sent.id, 0, 1000, TABLE[1000:])
    chunked_upload.finish(there, project.id, account, sent.id)
    folder = here.uploads.fetch(sent.id)
    assert (folder / "000000").read_bytes() == TABLE
    for site in (here, there):
        site.close()


@pytest.mark.parametrize(
    "files",
    [None, [], "x", [{"name": "a"}], [{"name": "a", "size": "much"}], [{"name": "a", "size": -1}],
     [{"name": "a", "size": 1 << 40}]],
)  # fmt: skip
def test_what_cannot_be_announced_is_refused_plainly(ada: Person, files: Any) -> None:
    answer = post(ada, f"{BASE}/sendings", {"files": files})
    assert answer.status_code == 400 and answer.get_json()["message"]


def test_a_piece_is_never_larger_than_announced_or_allowed(ada: Person, app: Flask, site: Site) -> None:
    address = announced(ada, b"12345")
    assert post(ada, f"{address}/0?offset=0", b"123456").status_code == 409
    assert post(ada, f"{address}/0?offset=0", b"x" * ((8 << 20) + 1)).status_code == 413
    assert post(ada, f"{address}/1?offset=0", b"1").status_code == 404
    assert post(ada, f"{address}/0?offset=-1", b"1").status_code == 400
    eve, _ = owner(app, site, "eve@example.org")
    assert post(eve, f"{address}/0?offset=0", b"12345").status_code == 404


def test_the_page_lets_columns_be_named_and_tiles_be_tried(ada: Person, site: Site) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        image = io.BytesIO()
        Image.new("RGB", (300, 200), (9, 9, 9)).save(image, "PNG")
        archive.writestr("a.png", image.getvalue())
        archive.writestr("t.csv", "id,Picture,<b>\n1,a.png,<i>x</i>\n")
    content = file.getvalue()
    address = announced(ada, content, "all.zip")
    post(ada, f"{address}/0?offset=0", content)
    location = post(ada, f"{address}/finish", {}).get_json()["location"]
    work(site)
    page = ada.get(location).text
    assert re.search(r'<option value="image" selected>', page)
    assert "<i>x</i>" not in page and "&lt;i&gt;x" in page
    ada.post(f"{location}/look", {"step": "again", "column.1": "image", "tile_px": "100", "overlap_px": "10"})
    work(site)
    page = ada.get(location).text
    tiles = len(re.findall(r"<rect", page))
    assert tiles >= 6 and f"becomes {tiles} tasks" in page and f"{tiles} tasks can be made" in page
    # what was changed beside the button is looked at before anything is made of it
    form = {"column.0": "id", "column.1": "image", "column.2": "shown", "tile_px": "100", "overlap_px": "10"}
    for change in ({"tile_px": "150"}, {"column.2": "text"}):
        form |= change
        ada.post(f"{location}/look", {"step": "make"} | form)
        work(site)
        page = ada.get(location).text
        assert "You changed how it is read" in page and "No task has been made of it yet" in page
    assert f"{len(re.findall(r'<rect', page))} tasks can be made" in page and 'value="150"' in page
    assert ada.post(f"{location}/look", {"step": "away"}).headers["Location"] == f"{BASE}/upload"
    assert ada.get(location).status_code == 404


def test_T10_a_piece_is_refused_when_the_disk_is_nearly_full(
    ada: Person, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = announced(ada, TABLE)
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=(1 << 30) - 1))
    answer = post(ada, f"{address}/0?offset=0", TABLE[:100])
    assert answer.status_code == 503 and "nearly full" in answer.get_json()["message"]
    assert received(ada, address) == 0


def test_T10_an_account_cannot_announce_without_end(ada: Person, site: Site) -> None:
    site.settings.max_pending_bytes = 10_000
    for _ in range(3):
        announced(ada, b"x" * 3_000)
    answer = post(ada, f"{BASE}/sendings", {"files": [{"name": "t.csv", "size": 3_000}]})
    assert answer.status_code == 409 and "Finish them first" in answer.get_json()["message"]


@pytest.mark.parametrize("base", [BASE, "/owner/packages"])
@pytest.mark.parametrize(
    "body",
    [b'{"files": [{"name": "a", "size": Infinity}]}', b'{"files": [{"name": "a", "size": 1e400}]}',
     b'{"files": [{"name": "a", "size": 1.5}]}', b'{"files": [{"name": "a", "size": true}]}', b"[" * 100_000,
     b'{"files": [{"name": "a\\u0000", "size": 1}]}', b'{"files": {}}', b"\xff", b"", b'{"files": [1]}'],
)  # fmt: skip
def test_T09_an_odd_announcement_is_a_400(ada: Person, base: str, body: bytes) -> None:
    answer = ada.client.post(
        f"{base}/sendings",
        data=body,
        content_type="application/json",
        headers={"X-CSRF-Token": ada.token(), "Accept": "application/json"},
    )
    assert answer.status_code == 400 and answer.get_json()["message"]
