"""A project from a package, through the page: looked at, made, the same to the byte; or plainly refused."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import builders
import pytest
from builders import NO, YES
from flask import Flask
from people import Person, owner
from werkzeug.test import TestResponse

from microtasks.engine.exports import download, project_file, restore, snapshots
from microtasks.engine.exports import package as export_package
from microtasks.engine.operations import jobs
from microtasks.engine.results import aggregate
from microtasks.engine.site import Site
from microtasks.store.projects import projects
from microtasks.store.results import explorer
from microtasks.store.tables import Project

Files = dict[str, bytes]


@pytest.fixture
def package(site: Site) -> Files:
    """Another owner's project, exported: its files by name."""
    ben = builders.account(site, "ben@example.org")
    made = builders.project(site, slug="whales", name="Whales", account_id=ben)
    people = [builders.contributor() for _ in range(3)]
    for task in builders.tasks(site, made, 5, media_ids=[builders.media(site)]):
        builders.answers(site, made, task, [YES, YES, NO], contributors=people)
        with site.db.connection() as connection:
            explorer.add_decision(connection, task, ben, "none", None, "no whale")
            connection.execute(
                "INSERT INTO skip (contributor_id, task_id, project_id) VALUES (%s, %s, %s)",
                (builders.contributor(), task, made.id),
            )
    aggregate.aggregate(site, made.id)
    project = found(site, "whales")
    snapshot = snapshots.take(site, project)
    files = export_package.whole(site, project, snapshot=snapshot)
    listed = export_package.package(site, project, files, "CC0-1.0", snapshot=snapshot)
    return {file.name: b"".join(file.chunks) for file in listed}


def found(site: Site, slug: str) -> Project:
    with site.db.session() as session:
        return projects.by_slug(session, slug)


def slugs(site: Site) -> list[str]:
    with site.db.connection() as connection:
        return [slug for (slug,) in connection.execute("SELECT slug FROM project ORDER BY id")]


def zipped(files: Files) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return held.getvalue()


def summed(files: Files) -> Files:
    """The same with checksums that fit."""
    own = {name: content for name, content in files.items() if name != "SHA256SUMS"}
    sums = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in own.items())
    return {**own, "SHA256SUMS": sums.encode()}


def with_lines(files: Files, change: Callable[[list[Any]], Any]) -> Files:
    """The package after a change of its project's lines, with checksums that fit."""
    lines = [json.loads(line) for line in files["whales-project.jsonl"].splitlines()]
    change(lines)
    written = "".join(json.dumps(line) + "\n" for line in lines).encode()
    return summed({**files, "whales-project.jsonl": written})


def brought(person: Person, content: bytes, name: str = "whales.zip") -> TestResponse:
    return person.post("/owner/packages", {"files": (io.BytesIO(content), name)})


def work(site: Site) -> list[str]:
    with site.db.connection() as connection:
        waiting = connection.execute("SELECT id FROM job WHERE state = 'queued' ORDER BY id").fetchall()
    return [jobs.run(site, job) for (job,) in waiting]


def consensus(site: Site, slug: str) -> bytes:
    """The table without the address and the numbers of tasks."""
    text = b"".join(download.export(site, found(site, slug), "consensus")).decode()
    return "\n".join(line.split(",", 2)[2] for line in text.splitlines()).encode()


def post(person: Person, path: str, body: Any) -> TestResponse:
    kind: dict[str, Any] = {"data": body} if isinstance(body, bytes) else {"json": body}
    headers = {"X-CSRF-Token": person.token(), "Accept": "application/json"}
    return person.client.post(path, headers=headers, **kind)


def test_a_package_is_sent_in_pieces_looked_at_and_made(ada: Person, site: Site, package: Files) -> None:
    content = zipped(package)
    begun = post(ada, "/owner/packages/sendings", {"files": [{"name": "whales.zip", "size": len(content)}]})
    address = f"/owner/packages/sendings/{begun.get_json()['id']}"
    half = len(content) // 2
    post(ada, f"{address}/0?offset=0", content[:half])
    assert ada.get(address).get_json()["files"][0]["received"] == half  # after a break it goes on there
    assert post(ada, f"{address}/finish", {}).status_code == 409
    post(ada, f"{address}/0?offset={half}", content[half:])
    location = post(ada, f"{address}/finish", {}).get_json()["location"]

    assert "Looking through the package" in ada.get(location).text
    before = slugs(site)
    assert work(site) == ["done"] and slugs(site) == before
    page = " ".join(ada.get(location).text.split())
    for said in (
        "<b>5</b><span>tasks</span>",
        "<b>15</b><span>answers</span>",
        "Creative Commons Zero 1.0",
        "5 decisions of experts, 0 reports, 5 skips",
        "this site has all of them",
        "API tokens",
    ):
        assert said in page, said

    assert ada.post(location, {"step": "make", "name": "Whales", "answers": "1"}).status_code == 303
    assert "is being made" in ada.get(location).text
    work(site)
    facts = ada.get(f"{location}.json").get_json()
    assert (facts["state"], facts["rows_done"], facts["n_rows"]) == ("done", 5, 5)
    page = ada.get(location).text
    assert 'href="/owner/projects/whales-2"' in page  # the address was taken
    made = found(site, "whales-2")
    assert (made.state, made.account_id) == ("draft", builders.account(site))
    assert consensus(site, "whales-2") == consensus(site, "whales")
    assert ada.get("/owner/projects/whales-2").status_code == 200
    assert "whales.zip" in ada.get("/owner/projects/whales-2/audit").text
    assert not list((Path(site.settings.data) / "uploads").glob("*"))
    again = ada.post(location, {"step": "make", "answers": "1"}, follow_redirects=True)
    assert "does not wait any more" in again.text and len(slugs(site)) == 2


def test_the_tasks_alone_under_another_name(ada: Person, site: Site, package: Files) -> None:
    location = brought(ada, zipped(package)).location
    work(site)
    ada.post(location, {"step": "make", "name": "  More   whales "})
    work(site)
    made = found(site, "more-whales")
    with site.db.connection() as connection:
        counts = connection.execute(
            "SELECT count(*), sum(n_answers), count(retired_at) FROM task WHERE project_id = %s", (made.id,)
        ).fetchone()
    assert (made.name, counts) == ("More whales", (5, 0, 0))


def changed_type(lines: list[Any]) -> None:
    lines[0]["project"]["task_type"] = "juggling"


def newer(lines: list[Any]) -> None:
    lines[0] |= {"format": 99, "microtasks": "9.9"}


def huge_time(lines: list[Any]) -> None:
    lines[1]["answers"][0]["created_at"] = "infinity"


BAD: dict[str, tuple[Callable[[Files], bytes], str]] = {
    "no zip": (lambda files: b"not a ZIP", "damaged, or it is not a ZIP"),
    "half": (lambda files: zipped(files)[:2000], "damaged, or it is not a ZIP"),
    "another zip": (lambda files: zipped({"cat.txt": b"miau"}), "This is no package of a whole project"),
    "two": (lambda files: zipped({**files, "b-project.jsonl": b""}), "several projects"),
    "changed": (
        lambda files: zipped({**files, "whales-project.jsonl": files["whales-project.jsonl"] + b" "}),
        "whales-project.jsonl is not what it was when it was exported",
    ),
    "traversal": (lambda files: zipped({**files, "../../etc/cron.d/x": b""}), "points outside the ZIP"),
    "bomb": (lambda files: zipped({**files, "zeros.csv": bytes(70 << 20)}), "a hundred times its size"),
    "newer": (lambda files: zipped(with_lines(files, newer)), "written by microtasks 9.9"),
    "type": (lambda files: zipped(with_lines(files, changed_type)), "Line 1:"),
    "time": (lambda files: zipped(with_lines(files, huge_time)), "Line 2:"),
    "empty": (lambda files: zipped({"a-project.jsonl": b""}), "Line 1: this is not the file of a project"),
    "no JSON": (lambda files: zipped({"a-project.jsonl": b"{\n"}), "Line 1: This is not acceptable JSON"),
    "deep": (lambda files: zipped({"a-project.jsonl": b"[" * 100_000}), "Line 1: This"),
}


@pytest.mark.parametrize("bad", BAD)
def test_what_is_no_good_package_is_refused_plainly(
    ada: Person, site: Site, package: Files, bad: str
) -> None:
    made, says = BAD[bad]
    answer = brought(ada, made(package))
    assert answer.status_code == 303
    assert work(site) == ["done"]
    page = ada.get(answer.location).text
    assert says in page and "No project was made." in page
    ada.post(answer.location, {"step": "make", "answers": "1"})
    assert work(site) == [] and slugs(site) == ["whales"]
    assert ada.post(answer.location, {"step": "away"}).status_code == 303
    assert ada.get(answer.location).status_code == 404
    assert not list((Path(site.settings.data) / "uploads").glob("*"))


def test_a_file_beside_the_project_may_have_been_changed(ada: Person, site: Site, package: Files) -> None:
    package["whales-tasks.csv"] += b"x"
    del package["README.md"]
    location = brought(ada, zipped(package)).location
    work(site)
    page = ada.get(location).text
    assert (
        "Changed since the export: whales-tasks.csv." in page and "Missing, and not needed: README.md" in page
    )
    assert "Make the project" in page


def test_what_fails_on_the_way_leaves_no_project(ada: Person, site: Site, package: Files) -> None:
    twice = zipped(with_lines(package, lambda lines: lines.append(lines[1])))
    location = brought(ada, twice).location
    work(site)
    ada.post(location, {"step": "make", "answers": "1"})
    assert work(site) == ["done"]
    assert "Two tasks of this package have the same id." in ada.get(location).text
    assert slugs(site) == ["whales"]


def test_a_job_that_is_stopped_goes_on_where_it_came_to(
    ada: Person, site: Site, package: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(project_file, "CHUNK", 2)
    location = brought(ada, zipped(package)).location
    work(site)
    ada.post(location, {"step": "make", "name": "Whales", "answers": "1"})
    with site.db.connection() as connection:
        (job,) = connection.execute("SELECT id FROM job WHERE state = 'queued'").fetchone() or ()
    asked = iter([False, True])
    assert jobs.run(site, job, should_stop=lambda: next(asked)) == "queued"
    assert ada.get(f"{location}.json").get_json()["rows_done"] == 2
    assert jobs.run(site, job) == "done"
    with site.db.connection() as connection:
        counts = connection.execute(
            "SELECT count(*), count(DISTINCT external_id) FROM task_content WHERE project_id = %s",
            (found(site, "whales-2").id,),
        ).fetchone()
    assert counts == (5, 5) and consensus(site, "whales-2") == consensus(site, "whales")


def test_a_job_that_is_given_up_leaves_no_project(
    ada: Person, site: Site, package: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = brought(ada, zipped(package)).location
    work(site)
    ada.post(location, {"step": "make", "answers": "1"})
    monkeypatch.setattr(aggregate, "aggregate", lambda *_: 1 / 0)
    tries = [work(site) for _ in range(site.settings.job_attempts + 1)]  # the first one made the tasks
    assert tries == [["queued"], ["queued"], ["queued"], ["failed"]]
    assert restore.GIVEN_UP in ada.get(location).text and slugs(site) == ["whales"]


def test_a_package_is_its_owners_alone(ada: Person, app: Flask, site: Site, package: Files) -> None:
    location = brought(ada, zipped(package)).location
    begun = post(ada, "/owner/packages/sendings", {"files": [{"name": "a.zip", "size": 1}]})
    sending = f"/owner/packages/sendings/{begun.get_json()['id']}"
    work(site)
    for eve in (
        owner(app, site, "eve@example.org")[0],
        owner(app, site, "o@example.org", is_operator=True)[0],
    ):
        assert eve.get(location).status_code == eve.get(f"{location}.json").status_code == 404
        assert eve.post(location, {"step": "make", "answers": "1"}).status_code == 404
        assert eve.post(location, {"step": "away"}).status_code == 404
        assert eve.get(sending).status_code == 404
        assert post(eve, f"{sending}/0?offset=0", b"x").status_code == 404
        assert post(eve, f"{sending}/finish", {}).status_code == 404
    assert work(site) == []


def test_a_package_that_is_too_large_is_refused_before_it_is_sent(ada: Person, site: Site) -> None:
    much = [{"name": "a.zip", "size": site.settings.max_upload_bytes + 1}]
    answer = post(ada, "/owner/packages/sendings", {"files": much})
    assert answer.status_code == 400 and "larger than 2,048 MB" in answer.get_json()["message"]
    two = [{"name": name, "size": 1} for name in ("a.zip", "b.zip")]
    assert post(ada, "/owner/packages/sendings", {"files": two}).status_code == 400
