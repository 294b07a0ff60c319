"""Preparing an export on the page: asked for, watched, downloaded; known answers for owners alone."""

from __future__ import annotations

import io
import json
import zipfile

import builders
import pytest
from builders import NO, YES, ProjectRow
from flask import Flask
from people import Person, owner

from microtasks.engine import audit
from microtasks.engine.exports import requests
from microtasks.engine.operations import jobs
from microtasks.engine.site import Site


@pytest.fixture
def made(ada: Person, site: Site) -> ProjectRow:
    made = builders.project(site, account_id=1, redundancy=9)
    (task,) = builders.tasks(site, made, 1, gold=YES)
    builders.answers(site, made, task, [YES, NO, None])
    return made


def work(site: Site) -> None:
    with site.db.connection() as connection:
        waiting = connection.execute("SELECT id FROM job WHERE state = 'queued'").fetchall()
    for (job_id,) in waiting:
        jobs.run(site, job_id)


def test_a_package_is_asked_for_watched_and_downloaded(ada: Person, site: Site, made: ProjectRow) -> None:
    page = ada.get(f"/research/{made.slug}").text
    assert "Prepare the package" in page and "Merged catalogue" not in page and "COCO" not in page
    sent = ada.post(f"/research/{made.slug}/exports", {"format": "jsonl", "licence": "CC0-1.0"})
    assert sent.status_code == 303 and sent.headers["Location"].endswith(f"/research/{made.slug}#export-1")
    watched = f"/research/{made.slug}/exports/1.json"
    assert f'data-watch="{watched}"' in ada.get(f"/research/{made.slug}").text
    first = ada.get(watched)
    assert first.json == {"state": "queued", "n_rows": None, "rows_done": 0}
    assert ada.get(watched, headers={"If-None-Match": first.headers["ETag"]}).status_code == 304
    assert ada.get(f"/research/{made.slug}/exports/1/file").status_code == 409
    work(site)
    page = ada.get(f"/research/{made.slug}").text
    file = ada.get(f"/research/{made.slug}/exports/1/file")
    assert f'href="/research/{made.slug}/exports/1/file"' in page and "data-watch" not in page
    with zipfile.ZipFile(io.BytesIO(file.data)) as archive:
        described = json.loads(archive.read("datapackage.json"))
    assert described["microtasks"]["snapshot"] in page and described["licenses"][0]["name"] == "CC0-1.0"
    assert file.headers["Content-Length"] == str(len(file.data))
    assert ada.post(f"/research/{made.slug}/exports", {"format": "docx"}).status_code == 400


def test_who_downloaded_what_is_noted_and_what_was_refused_is_not(
    ada: Person, site: Site, made: ProjectRow
) -> None:
    ada.get(f"/research/{made.slug}/export/answers.csv")
    ada.get(f"/research/{made.slug}/package.zip")
    ada.post(f"/research/{made.slug}/exports", {"what": "tasks", "format": "jsonl"})
    work(site)
    ada.get(f"/research/{made.slug}/exports/1/file")
    for nothing in (
        "export/marks.csv",
        "export/answers.geojson",
        "package.zip?licence=mine",
        "exports/9/file",
    ):
        assert ada.get(f"/research/{made.slug}/{nothing}").status_code in (400, 404)
    ada.get(f"/research/{made.slug}/preview/answers")
    noted = audit.page(site, made.id, None, 9)
    assert {entry.email for entry in noted} == {"ada@example.org"}
    assert [entry.detail for entry in reversed(noted) if entry.action == "export.download"] == [
        {"what": "answers", "format": "csv"},
        {"what": "all", "format": "csv"},
        {"what": "tasks", "format": "jsonl", "export": 1},
    ]
    assert "downloaded results" in ada.get(f"/owner/projects/{made.slug}/audit").text


def test_ten_rows_are_shown_before_a_download(ada: Person, site: Site, made: ProjectRow) -> None:
    for what in ("answers", "consensus", "tasks", "contributors"):
        page = ada.get(f"/research/{made.slug}/preview/{what}")
        assert page.status_code == 200 and ("<table" in page.text) == (what != "consensus")  # none yet
    page = ada.get(f"/research/{made.slug}/preview/answers").text
    assert page.count("<tr>") == 4 and ">yes<" in page
    assert ada.get(f"/research/{made.slug}/preview/marks").status_code == 404
    assert ada.get(f"/research/{made.slug}/preview/secrets").status_code == 404


def test_known_answers_are_given_to_an_owner_who_asks_and_to_nobody_else(
    app: Flask, ada: Person, site: Site, made: ProjectRow
) -> None:
    dan, _ = owner(app, site, "dan@example.org")
    with site.db.connection() as connection:
        ((dan_id,),) = connection.execute("SELECT id FROM account WHERE email LIKE 'dan%'").fetchall()
    builders.member(site, made, dan_id, "researcher")
    assert 'name="gold"' in ada.get(f"/research/{made.slug}").text
    assert 'name="gold"' not in dan.get(f"/research/{made.slug}").text
    for who, number, is_in in ((ada, 1, True), (dan, 2, False)):
        assert who.post(f"/research/{made.slug}/exports", {"format": "csv", "gold": "1"}).status_code == 303
        work(site)
        with zipfile.ZipFile(
            io.BytesIO(who.get(f"/research/{made.slug}/exports/{number}/file").data)
        ) as archive:
            task = archive.read(f"{made.slug}-project.jsonl").splitlines()[1]
        assert (json.loads(task)["gold"] is not None) == is_in
    page = dan.get(f"/research/{made.slug}").text
    assert "export-1" not in page and "export-2" in page
    for address in ("1.json", "1/file"):  # asked for by the owner: not for a researcher, whatever they know
        assert dan.get(f"/research/{made.slug}/exports/{address}").status_code == 404
    assert ada.get(f"/research/{made.slug}/exports/1/file").status_code == 200
    with site.db.connection() as connection:  # who may know it is asked at each use
        connection.execute("UPDATE project SET account_id = %s WHERE id = %s", (dan_id, made.id))
    assert dan.get(f"/research/{made.slug}/exports/1/file").status_code == 200


def test_a_file_that_is_no_longer_kept_is_said_to_be(ada: Person, site: Site, made: ProjectRow) -> None:
    ada.post(f"/research/{made.slug}/exports", {"format": "csv"})
    work(site)
    with site.db.connection() as connection:
        connection.execute("UPDATE export SET finished_at = now() - interval '1 year'")
    assert requests.drop_old(site) == 1
    assert "No longer kept" in ada.get(f"/research/{made.slug}").text
    assert ada.get(f"/research/{made.slug}/exports/1/file").status_code == 409
