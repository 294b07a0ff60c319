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
from microtasks.engine.exports import requests
from microtasks.engine.exports.download import Cursor
from microtasks.engine.operations import jobs
from microtasks.engine.results import aggregate
from microtasks.engine.site import Site
from microtasks.store import jobs as waiting
from microtasks.store.assignment import answers as stored_answers
from microtasks.store.exports.snapshots import Mark
from microtasks.store.projects import projects
from microtasks.web.api import cursors, openapi, token_models
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
    assert later["last"] != first["last"]


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


def last_of(program: Program, path: str) -> str:
    """Read a table to its end; return where to read on another day."""
    reply = program.get(path).json
    assert reply is not None and reply["next"] is None
    last: str = reply["last"]
    return last


def changed(program: Program, path: str, last: str) -> list[dict[str, Any]]:
    """What is new or changed since, a page at a time."""
    rows, following = [], last
    while following is not None:
        page = program.get(f"{path}?limit=1&after={following}").json
        assert page is not None
        rows += page["rows"]
        following = page["next"]
    return rows


def test_a_task_with_a_lower_number_that_finishes_later_is_read_another_day(
    site: Site, program: Program, ada: int
) -> None:
    made = builders.project(site, account_id=ada, redundancy=2)
    first, second = builders.tasks(site, made, 2)
    builders.answers(site, made, second, [builders.YES, builders.YES])
    aggregate.aggregate(site, made.id)
    paths = {table: f"/projects/{made.slug}/tables/{table}" for table in ("consensus", "tasks", "items")}
    lasts = {table: last_of(program, path) for table, path in paths.items()}
    assert [changed(program, path, lasts[table]) for table, path in paths.items()] == [[], [], []]
    builders.answers(site, made, first, [builders.NO, builders.NO])
    aggregate.aggregate(site, made.id)
    for table, path in paths.items():
        assert first in {row["task"] for row in changed(program, path, lasts[table])}, table


@pytest.mark.parametrize("taken_back", [False, True])
def test_what_an_expert_decides_later_is_read_another_day(
    site: Site, program: Program, ada: int, taken_back: bool
) -> None:
    made = builders.project(site, account_id=ada, redundancy=2)
    (task,) = builders.tasks(site, made, 1)
    builders.answers(site, made, task, [builders.YES, builders.YES])
    aggregate.aggregate(site, made.id)
    decide = "INSERT INTO expert_decision (task_id, account_id, choice, note) VALUES (%s, %s, %s, '')"
    with site.db.connection() as connection:
        connection.execute(decide, (task, ada, "none"))
    path = f"/projects/{made.slug}/tables/consensus"
    last = last_of(program, path)
    with site.db.connection() as connection:
        connection.execute(decide, (task, ada, "taken_back" if taken_back else "consensus"))
    (row,) = changed(program, path, last)
    assert row["decision"] == (None if taken_back else "consensus")


def test_a_corrected_answer_is_read_another_day(site: Site, program: Program, ada: int) -> None:
    made = builders.project(site, account_id=ada, redundancy=3)
    (task,) = builders.tasks(site, made, 1)
    builders.answers(site, made, task, [builders.YES, builders.NO])
    path = f"/projects/{made.slug}/tables/answers"
    last = last_of(program, path)
    assert changed(program, path, last) == []
    with site.db.connection() as connection:
        (answer,) = connection.execute("SELECT min(id) FROM answer").fetchone() or (0,)
        stored_answers.revise(connection, answer, "value", builders.NO)
    builders.answers(site, made, task, [builders.YES])
    rows = changed(program, path, last)
    assert [(row["revision"], row["answer"]) for row in rows] == [(2, "no"), (1, "yes")]
    people = f"/projects/{made.slug}/tables/contributors"
    assert len(changed(program, people, last_of(program, people))) == 0


def test_a_change_while_a_table_is_read_page_by_page_is_not_lost(
    site: Site, program: Program, ada: int
) -> None:
    made = builders.project(site, account_id=ada, redundancy=2)
    first, second = builders.tasks(site, made, 2)
    for task in (first, second):
        builders.answers(site, made, task, [builders.YES])
    aggregate.aggregate(site, made.id)
    path = f"/projects/{made.slug}/tables/consensus"
    page = program.get(f"{path}?limit=1").json
    assert page is not None and [row["task"] for row in page["rows"]] == [first]
    builders.answers(site, made, first, [builders.NO])  # behind the reader's back
    aggregate.aggregate(site, made.id)
    rest = program.get(f"{path}?limit=1000&after={page['next']}").json
    assert rest is not None and [row["task"] for row in rest["rows"]] == [second]
    assert first in {row["task"] for row in changed(program, path, rest["last"])}


def test_a_cursor_of_another_database_server_begins_anew(site: Site, program: Program, ada: int) -> None:
    made = builders.project(site, account_id=ada)
    builders.tasks(site, made, 2)
    strange = Cursor(changed_after=Mark("1", "9999999999", 10**9))
    rows = changed(program, f"/projects/{made.slug}/tables/tasks", cursors.write(site, "tasks", strange))
    assert len(rows) == 2


def test_rows_are_chosen_by_state_and_time(site: Site, program: Program, ada: int) -> None:
    made = builders.project(site, account_id=ada, redundancy=1)
    done, _ = builders.tasks(site, made, 2)
    builders.answers(site, made, done, [builders.YES])
    path = f"/projects/{made.slug}/tables"

    def tasks(query: str) -> list[int]:
        reply = program.get(f"{path}/{query}").json
        assert reply is not None
        return [row["task"] for row in reply["rows"]]

    assert tasks("tasks?state=retired") == [done] and done not in tasks("tasks?state=open")
    assert tasks("answers?since=2020-01-01T00:00:00Z") == [done]
    assert tasks("answers?since=2100-01-01") == []
    for wrong in ("tasks?state=done", "answers?state=open", "answers?since=yesterday"):
        assert program.get(f"{path}/{wrong}").status_code == 400, wrong


def test_a_parameter_that_there_is_not_is_refused(site: Site, program: Program, ada: int) -> None:
    made = builders.project(site, account_id=ada)
    for path in ("", f"/{made.slug}", f"/{made.slug}/tables/answers", f"/{made.slug}/exports"):
        reply = program.get(f"/projects{path}?stats=open")
        assert reply.status_code == 400 and "stats" in reply.text, path
    assert program.get(f"/projects/{made.slug}/tables/answers?limit=5").status_code == 200


def test_T28_a_file_with_known_answers_is_for_who_may_know_them_now(app: Flask, site: Site, ada: int) -> None:
    made = builders.project(site, account_id=ada)
    builders.tasks(site, made, 1)
    other = builders.account(site, "cy@example.org")
    builders.member(site, made, other, "researcher")
    with site.db.session() as session:
        project = projects.get(session, made.id)
    export = requests.request(site, project, gold=True, account_id=ada)
    plain = requests.request(site, project, account_id=ada)
    for job in iter(lambda: _next_job(site), None):
        jobs.run(site, job)
    mine = Program(app, tokens.make(site, ada, name="mine", scope="read"))
    theirs = Program(app, tokens.make(site, other, name="theirs", scope="read"))
    path = f"/projects/{made.slug}/exports"
    assert mine.get(f"{path}/{export.id}/file").status_code == 200
    for address in (f"{path}/{export.id}", f"{path}/{export.id}/file"):
        assert theirs.get(address).status_code == 404
    listed = theirs.get(path).json
    assert listed is not None and [one["id"] for one in listed["exports"]] == [plain.id]
    assert theirs.get(f"{path}/{plain.id}/file").status_code == 200


def _next_job(site: Site) -> int | None:
    with site.db.connection() as connection:
        row = connection.execute("SELECT min(id) FROM job WHERE state = 'queued'").fetchone()
    return row[0] if row else None


def test_an_original_is_given_by_token_to_the_project_alone(app: Flask, site: Site, ada: int) -> None:
    made = builders.project(site, "marking", account_id=ada)
    (task,) = builders.tasks(site, made, 1, media_ids=[builders.media(site)])
    with site.db.connection() as connection:
        connection.execute("UPDATE task_content SET file_name = %s", ("Bilder/Fuß 1.png",))
    program = Program(app, tokens.make(site, ada, name="mine", scope="read"))
    reply = program.get(f"/projects/{made.slug}/tasks/{task}/image")
    assert reply.status_code == 200 and reply.data.startswith(b"original ")
    assert reply.mimetype == "image/png" and reply.headers["X-Content-Type-Options"] == "nosniff"
    assert "Fu%C3%9F%201.png" in reply.headers["Content-Disposition"]
    other = builders.project(site, account_id=ada)
    (text,) = builders.tasks(site, other, 1)
    for slug, number in ((other.slug, task), (other.slug, text), (made.slug, task + 1000)):
        assert program.get(f"/projects/{slug}/tasks/{number}/image").status_code == 404
    assert app.test_client().get(f"{MY}/projects/{made.slug}/tasks/{task}/image").status_code == 401
