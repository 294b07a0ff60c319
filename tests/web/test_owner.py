"""The owner's pages: sign in, a project by form, an upload and what became of it."""

from __future__ import annotations

import io
import json
import re
import resource
import uuid
from html import unescape
from typing import Any

import builders
import pytest
from flask import Flask
from people import CSRF, Person, owner
from PIL import Image
from werkzeug.datastructures import MultiDict

from microtasks.engine.accounts import accounts
from microtasks.engine.operations import jobs
from microtasks.engine.site import Site
from microtasks.store.projects import projects
from microtasks.store.tables import Project
from microtasks.web import forms
from microtasks.web.requests.next_page import safe_next


def by_slug(site: Site, slug: str) -> Project:
    with site.db.session() as session:
        return projects.by_slug(session, slug)


def work(site: Site) -> None:
    """Be the worker until nothing waits."""
    with site.db.connection() as connection:
        waiting = [
            row[0] for row in connection.execute("SELECT id FROM job WHERE state = 'queued' ORDER BY id")
        ]
    for job in waiting:
        assert jobs.run(site, job) == "done"


def png(size: tuple[int, int] = (40, 30)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, (120, 80, 40)).save(file, "PNG")
    return file.getvalue()


# -- signing in ---------------------------------------------------------------------------------------


def test_opening_a_link_does_not_spend_it(app: Flask, site: Site) -> None:
    token = accounts.create_owner(site, "ada@example.org")
    for _ in range(3):  # a mail program, a chat's preview, the owner
        assert Person(app).get(f"/owner/sign-in/{token}").status_code == 200
    person = Person(app)
    found = CSRF.search(person.get(f"/owner/sign-in/{token}").text)
    assert found is not None
    answer = person.client.post(f"/owner/sign-in/{token}", data={"csrf_token": found[1]})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/owner/")
    assert "My projects" in person.get("/owner/").text
    assert Person(app).get(f"/owner/sign-in/{token}").status_code == 403


def test_the_session_cookie_is_kept_from_scripts_and_other_sites(app: Flask, site: Site) -> None:
    token = accounts.create_owner(site, "ada@example.org")
    person = Person(app)
    answer = person.post(f"/owner/sign-in/{token}")
    cookie = next(c for c in answer.headers.getlist("Set-Cookie") if c.startswith("mt_owner="))
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie
    assert person.get("/owner/").headers["Cache-Control"] == "no-store"


def test_a_password_is_set_and_signs_in(app: Flask, site: Site) -> None:
    email = f"{uuid.uuid4().hex}@example.org"
    ada, _ = owner(app, site, email)
    new = {"password": "seven grey herons", "again": "seven grey herons"}
    assert ada.post("/owner/account/password", new | {"again": "other"}).status_code == 400
    assert ada.post("/owner/account/password", {"password": "short", "again": "short"}).status_code == 400
    assert ada.post("/owner/account/password", new).status_code == 303
    assert ada.get("/owner/").status_code == 200  # with the new session
    other = Person(app)
    wrong = other.post("/owner/sign-in", {"email": email, "password": "wrong one", "next": "/owner/new"})
    assert wrong.status_code == 403 and email in wrong.text
    right = other.post(
        "/owner/sign-in", {"email": email, "password": "seven grey herons", "next": "/owner/new"}
    )
    assert (right.status_code, right.headers["Location"]) == (303, "/owner/new")
    assert other.post("/owner/account/sign-out-everywhere").status_code == 303
    for person in (ada, other):
        assert person.get("/owner/").status_code == 302


def test_T17_signing_out_ends_the_session_on_the_server(app: Flask, ada: Person) -> None:
    cookie = ada.client.get_cookie("mt_owner")
    assert cookie is not None
    assert ada.post("/owner/sign-out").status_code == 303
    thief = Person(app)
    thief.client.set_cookie("mt_owner", cookie.value)
    assert thief.get("/owner/").status_code == 302


@pytest.mark.parametrize(
    "address",
    [
        *("//evil.example", "///evil.example", "////evil.example", "/\\evil.example", "\\\\evil.example"),
        *(
            "https://evil.example",
            "http:evil.example",
            "https:/evil.example",
            "javascript:alert(1)",
            "data:x",
        ),
        *("/\t/evil.example", "/\n/evil.example", "/\r/evil.example", "\t//evil.example", " //evil.example"),
        *(
            "/ /evil.example",
            "/\x00/evil.example",
            "/\x0b/evil.example",
            "/\x7f/evil.example",
            "evil.example",
        ),
        *("@evil.example", "?next=//evil.example", "#//evil.example", "/a\\..\\//evil.example", "", "."),
        *(
            "/\u2028/evil.example\n",
            "ftp://evil.example",
            "//evil.example@host",
            "//%65vil.example",
            "/\\/evil",
        ),
        *(
            "HTTPS://EVIL.EXAMPLE",
            "//[::1]",
            "//0x7f.1",
            "/\x1b/evil",
            "\x01//evil",
            "mailto:a@b",
            "//\u3002x",
        ),
    ],
)
def test_T18_after_signing_in_one_stays_on_this_site(address: str) -> None:
    assert safe_next(address, "/owner/") == "/owner/"


def test_T18_paths_of_ours_are_followed() -> None:
    for path in ("/owner/", "/owner/projects/a?after=3", "/", "/p/x/work"):
        assert safe_next(path, "/default") == path


# -- a project by form --------------------------------------------------------------------------------

COMMON = {
    **{"name": "Craters of Mars", "purpose": "So that the ground can be dated.", "language": "en"},
    **{"redundancy": "5", "stop_early": "1", "answers_min": "3", "stop_percent": "75", "save": "1"},
}
QUESTION = {
    "config.fields.0.label": "Is there a crater?",
    "config.fields.0.kind": "choice",
    "config.fields.0.required.shown": "1",
    "config.fields.0.required": "1",
    "config.fields.0.choices.0.label": "Yes, there is",
    "config.fields.0.choices.1.label": "No",
    "config.fields.0.choices.2.label": "",
    "config.fields.1.label": "",
    "config.fields.1.kind": "choice",
    "config.fields.1.required.shown": "1",
    "config.fields.1.required": "1",
}
TAGGING = {"config.tags.0.label": "Dunes", "config.tags.1.label": "Dust devil track", "config.max_tags": "5"}
MARKING = {
    **{"config.shape": "circle", "config.min_diameter_px": "10,5"},
    **{"config.classes.0.label": "Fresh", "config.classes.1.label": "Fresh", "config.classes.2.id": "ghost"},
}


@pytest.mark.parametrize(
    ("task_type", "own"), [("question", QUESTION), ("tagging", TAGGING), ("marking", MARKING)]
)
def test_a_project_of_each_type_is_made_by_form(
    ada: Person, site: Site, task_type: str, own: dict[str, str]
) -> None:
    answer = ada.post(f"/owner/new/{task_type}", COMMON | own)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/owner/projects/craters-of-mars/upload")
    made = by_slug(site, "craters-of-mars")
    early = "agreement" if task_type == "marking" else "confidence"  # marks are no labels to be sure of
    assert (made.state, made.redundancy, made.answers_min, made.stop_rule) == ("draft", 5, 3, early)
    assert made.stop_threshold == 0.75
    if task_type == "question":
        (field,) = made.config["fields"]
        assert (field["id"], field["required"]) == ("is_there_a_crater", True)
        assert [choice["id"] for choice in field["choices"]] == ["yes_there_is", "no"]
    if task_type == "tagging":
        assert [tag["id"] for tag in made.config["tags"]] == ["dunes", "dust_devil_track"]
        assert made.config["max_tags"] == 5
    if task_type == "marking":
        assert [kind["id"] for kind in made.config["classes"]] == ["fresh", "fresh_2", "ghost"]
        assert made.config["min_diameter_px"] == 10.5


def test_the_form_of_a_project_saves_what_it_shows(ada: Person, site: Site) -> None:
    """Every example, drawn and posted back unchanged, is the same config."""
    for task_type in builders.CONFIGS:
        for number in range(3):
            page = ada.get(f"/owner/new/{task_type}?example={number}").text
            posted = inputs(page) | {"name": f"{task_type} {number}", "save": "1"}
            answer = ada.post(f"/owner/new/{task_type}", posted)
            assert answer.status_code == 303, answer.text
            made = by_slug(site, f"{task_type}-{number}")
            page = ada.get(f"/owner/projects/{made.slug}/edit").text
            answer = ada.post(f"/owner/projects/{made.slug}/edit", inputs(page) | {"save": "1"})
            assert answer.status_code == 303, answer.text
            again = by_slug(site, made.slug)
            assert (again.config, again.config_version) == (made.config, 1)
            assert again.model_dump() == made.model_dump()


def inputs(page: str) -> dict[str, str]:
    """What a browser would send of the project form (its buttons and templates left out)."""
    form = re.search(r'<form class="stack loose project-form".*?</form>', page, re.DOTALL)
    assert form is not None
    text = re.sub(r"<template>(?:(?!<template>).)*?</template>", "", form[0], flags=re.DOTALL)
    while "<template>" in text:
        text = re.sub(r"<template>(?:(?!<template>).)*?</template>", "", text, flags=re.DOTALL)
    found: dict[str, str] = {}
    for tag in re.findall(r"<input[^>]*>", text):
        attributes = dict(re.findall(r'([a-z]+)="([^"]*)"', tag))
        if "name" in attributes and ("checkbox" not in tag or "checked" in tag):
            found[attributes["name"]] = unescape(attributes.get("value", ""))
    for name, value in re.findall(r'<textarea[^>]* name="([^"]+)"[^>]*>(.*?)</textarea>', text, re.DOTALL):
        found[name] = unescape(value)
    for name, options in re.findall(r'<select[^>]* name="([^"]+)"[^>]*>(.*?)</select>', text, re.DOTALL):
        chosen = re.findall(r'<option value="([^"]+)" selected', options)
        found[name] = (chosen or re.findall(r'<option value="([^"]+)"', options))[0]
    del found["csrf_token"]
    return found


def test_rows_are_added_and_removed_without_javascript(ada: Person) -> None:
    form = {name: value for name, value in (COMMON | TAGGING).items() if name != "save"}
    page = ada.post("/owner/new/tagging", form | {"add": "config.tags"}).text
    assert inputs(page)["config.tags.2.label"] == ""
    assert inputs(page)["config.tags.1.label"] == "Dust devil track"
    page = ada.post("/owner/new/tagging", form | {"remove": "config.tags.0"}).text
    assert inputs(page)["config.tags.0.label"] == "Dust devil track"
    assert "config.tags.1.label" not in inputs(page)
    assert inputs(page)["name"] == "Craters of Mars" and inputs(page)["stop_percent"] == "75"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": ""}, "name"),
        ({"redundancy": "0"}, "redundancy"),
        ({"redundancy": "many"}, "redundancy"),
        ({"answers_min": "9"}, "fewest answers"),
        ({"stop_percent": "often"}, "stop_threshold"),
        ({"gold_percent": "80"}, "gold_share"),
        ({"config.fields.0.choices.0.label": "", "config.fields.0.choices.1.label": ""}, "choice"),
        ({"config.fields.0.kind": "riddle"}, "config.fields.0.kind"),
        ({"config.fields.0.kind": "number", "config.fields.0.min": "low"}, "config.fields.0.min"),
        ({"config.fields.0.id": "1 no"}, "config.fields.0.id"),
    ],
)
def test_what_does_not_fit_is_said_and_nothing_is_lost(
    ada: Person, site: Site, wrong: dict[str, str], said: str
) -> None:
    answer = ada.post("/owner/new/question", COMMON | QUESTION | wrong)
    assert answer.status_code == 400
    problems = re.search(r'<div class="problems".*?</div>', answer.text, re.DOTALL)
    assert problems is not None and said in problems[0]
    assert inputs(answer.text)["purpose"] == COMMON["purpose"]
    with site.db.session() as session:
        assert not projects.all_projects(session)


def test_texts_of_owners_are_never_markup(ada: Person, site: Site) -> None:
    evil = "<script>alert(1)</script>"
    ada.post("/owner/new/tagging", COMMON | TAGGING | {"name": evil, "purpose": evil, "instructions": evil})
    with site.db.session() as session:
        (made,) = projects.all_projects(session)
    for page in ("", "/edit", "/tasks", "/upload", "/preview"):
        assert evil not in ada.get(f"/owner/projects/{made.slug}{page}").text


def test_publishing_pausing_and_what_stands_in_the_way(ada: Person, site: Site) -> None:
    ada.post("/owner/new/tagging", COMMON | TAGGING)
    path = "/owner/projects/craters-of-mars"
    ada.post(f"{path}/state", {"move": "publish"})
    assert "no tasks yet" in ada.get(path).text
    made = by_slug(site, "craters-of-mars")
    assert made.state == "draft"
    builders.tasks(site, builders.ProjectRow(made.id, made.slug, _batch(site, made.id)), 3)
    for move, state in (("publish", "published"), ("pause", "paused"), ("resume", "published")):
        assert ada.post(f"{path}/state", {"move": move}).status_code == 303
        assert by_slug(site, "craters-of-mars").state == state
    assert ada.post(f"{path}/state", {"move": "explode"}).status_code == 400
    assert "3 tasks × 5 = at most 15 answers" in ada.get(path).text
    facts = ada.get(f"{path}/progress.json").json
    assert facts is not None and (facts["state"], facts["answers_wanted"]) == ("published", 15)


def _batch(site: Site, project_id: int) -> int:
    with site.db.connection() as connection:
        row = connection.execute(
            "INSERT INTO batch (project_id, state, phase, label, upload)"
            " VALUES (%s, 'done', 'ready', '', '') RETURNING id",
            (project_id,),
        ).fetchone()
    assert row is not None
    return int(row[0])


# -- uploads ------------------------------------------------------------------------------------------


def test_a_table_and_its_images_become_tasks_and_failures(ada: Person, site: Site, app: Flask) -> None:
    made = builders.project(site, "question", account_id=1, state="draft")
    path = f"/owner/projects/{made.slug}"
    table = b"id,image,text\none,a.png,First\ntwo,missing.png,Second\none,a.png,Again\n"
    files = [(io.BytesIO(table), "rows.csv"), (io.BytesIO(png()), "a.png")]
    answer = ada.post(f"{path}/upload", {"files": files})
    assert answer.status_code == 303, answer.text
    batch = answer.headers["Location"]
    assert "Waiting" in ada.get(batch).text
    watched = ada.get(f"{batch}.json")
    assert watched.json is not None and watched.json["state"] == "queued"
    same = ada.get(f"{batch}.json", headers={"If-None-Match": watched.headers["ETag"]})
    assert same.status_code == 304
    work(site)
    after = ada.get(f"{batch}.json", headers={"If-None-Match": watched.headers["ETag"]})
    assert after.json is not None
    assert (after.json["state"], after.json["n_tasks"], after.json["n_failed"]) == ("done", 1, 2)
    page = ada.get(batch).text
    assert "missing.png" in page and "Download as CSV" in page
    failed = ada.get(f"{batch}/failures.csv")
    assert failed.text.startswith("row,name,reason") and len(failed.text.splitlines()) == 3
    tasks = ada.get(f"{path}/tasks").text
    assert "one" in tasks and ".webp" in tasks and "0 of 3" in tasks
    assert list((site.settings.data / "incoming").iterdir()) == []


def test_images_alone_are_cut_into_tiles_when_asked(ada: Person, site: Site) -> None:
    made = builders.project(site, "marking", account_id=1)
    path = f"/owner/projects/{made.slug}"
    form = {"files": [(io.BytesIO(png((100, 60))), "mars.png")], "tile_px": "60", "overlap_px": "10"}
    assert ada.post(f"{path}/upload", form).status_code == 303
    work(site)
    with site.db.session() as session:
        assert projects.progress(session, made.id)["tasks"] == 2
    assert "mars.png" in ada.get(f"{path}/tasks").text


def test_an_upload_that_cannot_be_is_refused_in_words(ada: Person, site: Site) -> None:
    made = builders.project(site, account_id=1)
    path = f"/owner/projects/{made.slug}/upload"
    assert "at least one file" in ada.post(path, {}).text
    for tile in ("many", "5", "999999", "-3", "½"):
        answer = ada.post(path, {"files": [(io.BytesIO(b"id\n1\n"), "a.csv")], "tile_px": tile})
        assert answer.status_code == 400, tile
        assert 'class="wrong"' in answer.text


def test_T10_a_body_beyond_the_limit_is_refused_and_leaves_nothing(ada: Person, site: Site) -> None:
    made = builders.project(site, account_id=1)
    object.__setattr__(site.settings, "max_upload_bytes", 20_000)
    upload = {"files": [(io.BytesIO(b"x" * 20_000), "a.csv")]}
    assert ada.post(f"/owner/projects/{made.slug}/upload", upload).status_code == 413
    big = {"name": "x" * (site.settings.max_form_bytes + 1)}
    assert ada.post(f"/owner/projects/{made.slug}/edit", big).status_code == 413
    incoming = site.settings.data / "incoming"
    assert not incoming.exists() or list(incoming.iterdir()) == []


def test_many_files_are_written_to_disk_and_not_kept_open(ada: Person, site: Site) -> None:
    made = builders.project(site, account_id=1)
    path = f"/owner/projects/{made.slug}/upload"
    files = [(io.BytesIO(png((8, 8)) + bytes([n % 256, n // 256])), f"{n}.png") for n in range(300)]
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, before[1]))
    try:
        assert ada.post(path, {"files": files}).status_code == 303
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_tables_are_paged_by_key(ada: Person, site: Site) -> None:
    made = builders.project(site, account_id=1)
    ids = builders.tasks(site, made, 60)
    first = ada.get(f"/owner/projects/{made.slug}/tasks").text
    assert f"item-{ids[49]}<" in first and f"item-{ids[50]}<" not in first
    assert f"?after={ids[49]}" in first
    second = ada.get(f"/owner/projects/{made.slug}/tasks?after={ids[49]}").text
    assert f"item-{ids[50]}<" in second and f"item-{ids[59]}<" in second
    for odd in ("x", "-1", "1;drop", "9" * 30):
        assert ada.get(f"/owner/projects/{made.slug}/tasks?after={odd}").status_code == 400


def test_odd_numbers_in_addresses_are_not_found(ada: Person, site: Site) -> None:
    made = builders.project(site, account_id=1)
    for odd in ("99999999999999999999", "9223372036854775807", "0", "00"):
        assert ada.get(f"/owner/projects/{made.slug}/batches/{odd}").status_code == 404, odd
        assert ada.get(f"/owner/projects/{made.slug}/batches/{odd}.json").status_code == 404, odd
        assert ada.post(f"/owner/projects/{made.slug}/reports/{odd}").status_code == 404, odd
    for odd in ("99", "²", "-1", "x" * 5000):
        assert ada.get(f"/owner/new/marking?example={odd}").status_code == 200
    for slug in ("a%00b", "%ff", "..", "a" * 3000, "%F0%9F%AA%90"):
        assert ada.get(f"/owner/projects/{slug}").status_code in (400, 404), slug


def test_reports_are_read_and_ticked_off(ada: Person, site: Site) -> None:
    made = builders.project(site, account_id=1)
    (task,) = builders.tasks(site, made, 1)
    with site.db.connection() as connection:
        connection.execute(
            "INSERT INTO report (project_id, task_id, contributor_id, reason, note)"
            " VALUES (%s, %s, %s, 'broken', 'It is <b>black</b>')",
            (made.id, task, builders.contributor()),
        )
    path = f"/owner/projects/{made.slug}"
    assert "reported 1 task" in ada.get(path).text
    page = ada.get(f"{path}/reports").text
    assert "It is &lt;b&gt;black&lt;/b&gt;" in page
    address = re.search(rf'action="({path}/reports/\d+)"', page)
    assert address is not None
    assert ada.post(address[1]).status_code == 303
    assert "reported" not in ada.get(path).text


def test_the_preview_is_the_volunteers_page_and_leases_nothing(ada: Person, site: Site) -> None:
    for task_type in builders.CONFIGS:
        made = builders.project(site, task_type, account_id=1, state="draft")
        builders.tasks(site, made, 2, media_ids=[builders.media(site)], gold=None)
        page = ada.get(f"/owner/projects/{made.slug}/preview").text
        assert 'id="presenter"' in page and ".webp" in page and "Next task" in page
        with site.db.connection() as connection:
            assert connection.execute("SELECT count(*) FROM lease").fetchone() == (0,)


def test_forms_read_back_what_a_schema_says() -> None:
    schema: dict[str, Any] = {
        "properties": {
            "rows": {
                "type": "array",
                "items": {"$ref": "#/$defs/Row"},
            },
            "words": {"type": "array", "items": {"type": "string"}},
            "size": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None},
            "is_on": {"type": "boolean", "default": True},
        },
        "$defs": {
            "Row": {
                "type": "object",
                "properties": {"id": {"type": "string"}, "label": {"type": "string"}},
                "required": ["id"],
            }
        },
    }
    posted = MultiDict(
        {
            **{
                "c.rows.0.label": "Größe",
                "c.rows.7.label": "Größe",
                "c.rows.3.label": " ",
                "c.rows.9.label": "火星",
            },
            **{"c.words": "a\n\n b ", "c.size": "12", "c.is_on.shown": "1", "other": "x"},
        }
    )
    assert json.loads(json.dumps(forms.read(forms.nodes(schema), posted, "c"))) == {
        "rows": [
            {"label": "Größe", "id": "grosse"},
            {"label": "Größe", "id": "grosse_2"},
            {"label": "火星", "id": "r3"},
        ],
        "words": ["a", "b"],
        "size": 12,
        "is_on": False,
    }
