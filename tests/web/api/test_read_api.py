"""The API with tokens: the same rows as the exports, a page at a time; and what a program may change."""

from __future__ import annotations

import gzip
import io
import json
import uuid
from collections.abc import Iterator
from typing import Any

import builders
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from microtasks.engine import audit
from microtasks.engine.accounts import tokens
from microtasks.engine.site import Site
from microtasks.store import jobs as waiting
from microtasks.web.api import openapi, token_models
from microtasks.web.api.token_operations import TOKEN

MY = "/api/v1/my"


class Program:
    """A program with a token of Ada's."""

    def __init__(self, app: Flask, token: str) -> None:
        self.client: FlaskClient = app.test_client()
        self.headers = {"Authorization": f"Bearer {token}"}

    def get(self, path: str, **headers: str) -> TestResponse:
        return self.client.get(f"{MY}{path}", headers=self.headers | headers)

    def post(self, path: str, **body: Any) -> TestResponse:
        return self.client.post(f"{MY}{path}", headers=self.headers, **body)

    def pages(self, path: str, name: str, limit: int) -> Iterator[list[dict[str, Any]]]:
        """Page after page, to the end."""
        following = ""
        while following is not None:
            page = self.get(f"{path}?limit={limit}&after={following}").json
            assert page is not None
            yield page[name]
            following = page["next"]


@pytest.fixture
def ada(site: Site) -> int:
    return builders.account(site)


@pytest.fixture
def program(app: Flask, site: Site, ada: int) -> Program:
    return Program(app, tokens.make(site, ada, name="test", scope="manage"))


@pytest.fixture
def craters(site: Site, ada: int) -> builders.ProjectRow:
    """Five tasks marked by three people; nothing in one of the answers."""
    made = builders.project(site, "marking", account_id=ada)
    people = [builders.contributor() for _ in range(3)]
    marks = [{"x": 10.0 + n, "y": 20.0, "r": 8.0, "class": "fresh"} for n in range(2)]
    for n, task in enumerate(builders.tasks(site, made, 5)):
        values = [{"marks": marks}, {"marks": marks[: n % 2]}, None]
        builders.answers(site, made, task, values, contributors=people)
    return made


def test_whoever_comes_back_another_day_reads_what_is_new_and_nothing_twice(
    site: Site, program: Program, craters: builders.ProjectRow
) -> None:
    path = f"/projects/{craters.slug}/tables/answers?limit=1000"
    first = program.get(path).json
    assert first is not None and first["next"] is None
    assert program.get(f"{path}&after={first['last']}").json == {
        "rows": [],
        "next": None,
        "last": first["last"],
    }
    (task,) = builders.tasks(site, craters, 1)
    builders.answers(site, craters, task, [{"marks": []}])
    later = program.get(f"{path}&after={first['last']}").json
    assert later is not None and [row["task"] for row in later["rows"]] == [task]
    assert int(later["last"]) > int(first["last"])


@pytest.mark.parametrize("table", ["answers", "marks", "tasks", "contributors", "consensus"])
@pytest.mark.parametrize("limit", [1, 2, 1000])
def test_pages_put_together_are_the_export(
    program: Program, craters: builders.ProjectRow, table: str, limit: int
) -> None:
    base = f"/projects/{craters.slug}/tables/{table}"
    paged = [row for page in program.pages(base, "rows", limit) for row in page]
    file = program.get(f"{base}.jsonl")
    assert file.status_code == 200
    whole = [json.loads(line) for line in file.text.splitlines()]
    names = {row.pop("contributor", "") for row in paged}
    assert len({row.pop("contributor", "") for row in whole}) == len(names)  # each export names them anew
    key = json.dumps if table == "contributors" else None  # read in the order of what nobody may know
    assert sorted(paged, key=key) == sorted(whole, key=key) if key else paged == whole
    assert len(paged) == {"answers": 15, "marks": 12, "tasks": 5, "contributors": 3, "consensus": 0}[table]


def test_a_contributor_has_one_name_on_every_page_and_no_page_says_who(
    site: Site, program: Program, craters: builders.ProjectRow
) -> None:
    base = f"/projects/{craters.slug}/tables"
    names = {row["contributor"] for page in program.pages(f"{base}/answers", "rows", 2) for row in page}
    assert names == {
        row["contributor"] for page in program.pages(f"{base}/contributors", "rows", 1) for row in page
    }
    first = program.get(f"{base}/contributors?limit=1").json
    assert first is not None
    with site.db.connection() as connection:
        ids = [row[0] for row in connection.execute("SELECT DISTINCT contributor_id FROM answer").fetchall()]
    for who in ids:
        for text in (str(who), who.hex, str(who.int)):
            assert text not in json.dumps(first)


def test_what_is_no_page_of_ours_is_refused(program: Program, craters: builders.ProjectRow) -> None:
    base = f"/projects/{craters.slug}/tables"
    for path in ("answers?after=x", "answers?limit=0", "answers?limit=1001", "answers?limit=%D9%A1"):
        assert program.get(f"{base}/{path}").status_code == 400, path
    for after in ("1", uuid.uuid4().hex, "AAAA", "%00"):
        assert program.get(f"{base}/contributors?after={after}").status_code == 400, after
    for path in ("nothing", "nothing.csv", "answers.doc"):
        assert program.get(f"{base}/{path}").status_code == 404, path


def test_replies_are_kept_while_nothing_changes_and_are_small(
    site: Site, program: Program, craters: builders.ProjectRow
) -> None:
    path = f"/projects/{craters.slug}/tables/answers"
    first = program.get(path, **{"Accept-Encoding": "gzip"})
    assert first.headers["Content-Encoding"] == "gzip"
    assert len(json.loads(gzip.decompress(first.data))["rows"]) == 15
    assert "private" in first.headers["Cache-Control"] and "Authorization" in first.headers["Vary"]
    again = program.get(path, **{"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    (task,) = builders.tasks(site, craters, 1)
    builders.answers(site, craters, task, [{"marks": []}])
    assert program.get(path, **{"If-None-Match": first.headers["ETag"]}).status_code == 200


def test_projects_figures_and_code_book(site: Site, program: Program, craters: builders.ProjectRow) -> None:
    ben = builders.account(site, "ben@example.org")
    his = builders.project(site, account_id=ben, state="draft")
    builders.project(site, account_id=ben)
    ada = builders.account(site)
    builders.member(site, his, ada, "reviewer")
    found = [one for page in program.pages("/projects", "projects", 1) for one in page]
    assert [(one["slug"], one["role"]) for one in found] == [(his.slug, "reviewer"), (craters.slug, "owner")]
    assert program.get(f"/projects/{craters.slug}").json == found[1]
    assert found[1]["progress"]["answers"] == 15
    figures = program.get(f"/projects/{craters.slug}/figures").json
    assert figures is not None and (figures["n_tasks"], figures["n_answers"]) == (5, 15)
    book = program.get(f"/projects/{craters.slug}/code-book").json
    rows = program.get(f"/projects/{craters.slug}/tables/answers").json
    assert book is not None and rows is not None
    assert [column["name"] for column in book["tables"]["answers"]] == list(rows["rows"][0])


def test_every_reply_has_the_form_that_the_description_says(
    site: Site, program: Program, craters: builders.ProjectRow
) -> None:
    with site.db.connection() as connection:
        connection.execute(
            "INSERT INTO batch_failure (batch_id, row_no, name, reason) VALUES (%s, 1, 'a', 'b')",
            (craters.batch_id,),
        )
    known = {"slug": craters.slug, "table": "answers", "batch_id": craters.batch_id}
    n = 0
    for operation in TOKEN:
        if operation.method == "get" and operation.reply is not None and "export_id" not in operation.path:
            reply = program.get(operation.path.removeprefix("/my").format(**known))
            assert reply.status_code == 200, operation.id
            operation.reply.model_validate_json(reply.data)
            n += 1
    assert n > 8
    assert openapi.document()["paths"]["/my/projects"]["get"]["security"] == [{"token": []}]


def test_many_wrong_tokens_from_one_address_are_slowed_down(app: Flask) -> None:
    client = app.test_client()
    address = {"REMOTE_ADDR": f"2001:db8::{uuid.uuid4().hex[:4]}"}
    statuses = [
        client.get(
            f"{MY}/projects", headers={"Authorization": f"Bearer mt_{n:043}"}, environ_base=address
        ).status_code
        for n in range(61)
    ]
    assert statuses == [401] * 60 + [429]


def test_a_program_uploads_tasks_and_sees_what_failed(
    site: Site, program: Program, craters: builders.ProjectRow
) -> None:
    ada = builders.account(site)
    made = builders.project(site, "question", account_id=ada)
    table = (io.BytesIO(b"id,text\n1,a\n1,b\n"), "rows.csv")
    reply = program.post(f"/projects/{made.slug}/batches", data={"files": table})
    assert reply.status_code == 202 and reply.json is not None
    token_models.BatchOut.model_validate_json(reply.data)
    work(site)
    path = f"/projects/{made.slug}/batches/{reply.json['id']}"
    batch = program.get(path).json
    assert batch is not None and (batch["state"], batch["n_tasks"], batch["n_failed"]) == ("done", 1, 1)
    (failures,) = program.pages(f"{path}/failures", "failures", 10)
    assert [failure["row"] for failure in failures] == [3] and "id" in failures[0]["reason"]
    (entry,) = audit.page(site, made.id, None, 9)
    assert (entry.email, entry.action) == ("ada@example.org", "batch.add")
    other = program.get(f"/projects/{craters.slug}/batches/{reply.json['id']}")
    assert other.status_code == 404


def test_a_program_pauses_a_project(site: Site, program: Program, craters: builders.ProjectRow) -> None:
    reply = program.post(f"/projects/{craters.slug}/state", json={"move": "pause"})
    assert (reply.status_code, reply.json) == (200, {"state": "paused"})
    assert program.post(f"/projects/{craters.slug}/state", json={"move": "explode"}).status_code == 400
    assert program.post(f"/projects/{craters.slug}/state", data="{}").status_code == 415


def test_an_export_is_asked_for_watched_and_fetched(
    site: Site, program: Program, craters: builders.ProjectRow
) -> None:
    base = f"/projects/{craters.slug}/exports"
    asked = program.post(base, json={"what": "answers", "format": "csv"})
    assert asked.status_code == 202 and asked.json is not None
    path = f"{base}/{asked.json['id']}"
    assert program.get(f"{path}/file").status_code == 409  # not ready
    work(site)
    done = program.get(path)
    assert done.json is not None and done.json["state"] == "done"
    token_models.ExportOut.model_validate_json(done.data)
    file = program.get(f"{path}/file")
    assert (len(file.text.splitlines()), len(file.data)) == (16, done.json["bytes"])
    listed = program.get(base).json
    assert listed is not None and [one["id"] for one in listed["exports"]] == [asked.json["id"]]
    assert program.post(base, json={"what": "nothing"}).status_code == 400
    assert program.get(f"/projects/{craters.slug}/tables/marks.jsonl").status_code == 200
    noted = [(entry.action, entry.detail) for entry in audit.page(site, craters.id, None, 9)]
    assert noted == [
        ("export.download", {"what": "marks", "format": "jsonl"}),
        ("export.download", {"what": "answers", "format": "csv", "export": asked.json["id"]}),
        ("export.request", {"what": "answers", "format": "csv"}),
    ]


def work(site: Site) -> None:
    """Do what waits for a worker."""
    from microtasks.engine.operations import jobs

    with site.db.connection() as connection:
        found = waiting.waiting(connection, site.settings.job_stale_seconds)
    for job in found:
        jobs.run(site, job)
