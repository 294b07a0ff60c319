"""A new project in steps: nothing typed is lost, each step changes its own part, a trial leaves no trace."""

from __future__ import annotations

import uuid

import builders
import pytest
from flask import Flask
from people import Person, owner

from microtasks.engine.assignment import serve, submit
from microtasks.engine.operations import housekeeping, invariants
from microtasks.engine.projects import projects, templates, trials
from microtasks.engine.site import Site
from microtasks.store.projects import projects as stored
from microtasks.store.projects import translations
from microtasks.store.tables import Project


@pytest.fixture
def ada(app: Flask, site: Site) -> tuple[Person, int]:
    return owner(app, site, "ada@example.org")


def by_slug(site: Site, slug: str) -> Project:
    with site.db.session() as session:
        return stored.by_slug(session, slug)


@pytest.mark.parametrize("template", templates.all_templates(), ids=lambda it: it.id)
def test_each_template_becomes_a_draft_step_by_step(
    template: templates.Template, ada: tuple[Person, int], site: Site
):
    person, _ = ada
    first = f"/owner/new/{template.task_type}?template={template.id}"
    page = person.get(first).text
    assert "aria-current=step" in page.replace('"', "") and "config." not in page
    typed = {"name": "Mine", "purpose": "To know more", "language": "en", "save": "1"}
    answer = person.post(first, typed)
    assert answer.headers["Location"] == "/owner/projects/mine/setup/task"
    made = by_slug(site, "mine")
    assert (made.state, made.name, made.purpose) == ("draft", "Mine", "To know more")
    for field in template.values.get("config", {}).get("fields", []):
        assert field["label"] in person.get(answer.headers["Location"]).text
    for step in ("purpose", "quality"):
        assert person.get(f"/owner/projects/mine/setup/{step}").status_code == 200
    assert person.get("/owner/projects/mine/setup/riddle").status_code == 404


def test_a_step_changes_its_own_part_only(ada: tuple[Person, int], site: Site):
    person, account = ada
    form = {"name": "mine", "task_type": "question", "gold_share": 0.1}
    made = projects.create(site, account, projects.ProjectIn(**form, config=builders.CONFIGS["question"]))
    before = by_slug(site, "mine").model_dump()
    person.post("/owner/projects/mine/setup/purpose", {"name": "New name", "purpose": "Other", "save": "1"})
    after = by_slug(site, "mine").model_dump()
    assert {name for name in before if before[name] != after[name]} == {"name", "purpose"}
    answer = person.post("/owner/projects/mine/setup/quality", {"redundancy": "7", "save": "1"})
    assert answer.headers["Location"] == "/owner/projects/mine"
    changed = by_slug(site, "mine")
    assert (changed.redundancy, changed.stop_rule, changed.name) == (7, "redundancy", "New name")
    assert changed.config == before["config"] and changed.config_version == 1
    assert changed.id == made.id


def test_what_is_typed_and_not_saved_is_there_again_until_it_is_saved_or_thrown_away(
    app: Flask, ada: tuple[Person, int], site: Site
):
    person, account = ada
    builders.project(site, "tagging", state="draft", slug="mine", account_id=account)
    typed = {"page": "mine/task", "config.tags.0.label": "Half a wo", "config.tags.1.label": ""}
    answer = person.post("/owner/drafts?task_type=tagging", typed)
    assert answer.status_code == 200 and answer.get_json()["saved"].startswith("Draft kept")
    page = person.get("/owner/projects/mine/setup/task").text
    assert "Half a wo" in page and "not saved" in page
    stranger, _ = owner(app, site, "eve@example.org")
    assert "Half a wo" not in stranger.get("/owner/projects/mine/setup/task").text

    assert by_slug(site, "mine").config_version == 1
    person.post("/owner/projects/mine/setup/task", {"discard": "1"})
    assert "Half a wo" not in person.get("/owner/projects/mine/setup/task").text

    person.post("/owner/drafts?task_type=tagging", typed)
    whole = {"config.tags.0.label": "Dunes", "config.tags.1.label": "Ice", "save": "1"}
    assert person.post("/owner/projects/mine/setup/task", whole).status_code == 303
    assert "Half a wo" not in person.get("/owner/projects/mine/setup/task").text
    assert [tag["label"] for tag in by_slug(site, "mine").config["tags"]] == ["Dunes", "Ice"]


def test_drafts_have_names_of_pages_only(ada: tuple[Person, int]):
    for page in ("", "../x", "a", "mine/task/../../x", "x" * 200 + "/y"):
        assert ada[0].post("/owner/drafts", {"page": page}).status_code == 400


def test_the_preview_follows_what_is_typed_and_may_be_framed_by_our_own_pages_only(
    ada: tuple[Person, int], site: Site
):
    person, account = ada
    builders.project(site, "question", state="draft", slug="mine", account_id=account)
    typed = {
        "page": "mine/task",
        "config.fields.0.kind": "choice",
        "config.fields.0.label": "Is it <b>new</b>?",
        "config.fields.0.choices.0.label": "Aye",
    }
    person.post("/owner/drafts?task_type=question", typed)
    shown = person.get("/owner/projects/mine/preview?draft=1")
    assert "Is it &lt;b&gt;new&lt;/b&gt;?" in shown.text and "Aye" in shown.text
    assert "Aye" not in person.get("/owner/projects/mine/preview").text
    assert "frame-ancestors 'self'" in shown.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in person.get("/owner/").headers["Content-Security-Policy"]
    person.post("/owner/drafts?task_type=question", {"page": "mine/task", "config.fields.0.kind": "choice"})
    assert person.get("/owner/projects/mine/preview?draft=1").status_code == 200  # not whole yet: as saved


def test_advice_stands_beside_the_field_it_is_about(ada: tuple[Person, int]):
    typed = {
        "page": "mine/task",
        "config.fields.0.label": "Is it old? And is it big?",
        "config.fields.0.kind": "text",
    }
    found = ada[0].post("/owner/drafts?task_type=question", typed).get_json()["advice"]
    assert list(found) == ["config.fields.0.label"]
    assert "one question" in found["config.fields.0.label"][0].casefold()


# -- trials ----------------------------------------------------------------------------------------------


def answered(site: Site, slug: str, n: int) -> None:
    who = uuid.uuid4()
    for lease in serve.lease(site, slug, who, limit=n).leases:
        submit.submit(site, who, [submit.AnswerIn(lease.token, "value", {"answer": "yes"}, 2.0)])


def test_a_trial_is_a_copy_that_nobody_finds_and_that_ends_with_the_launch(
    app: Flask, ada: tuple[Person, int], site: Site
):
    person, account = ada
    made = builders.project(site, state="draft", slug="mine", account_id=account)
    builders.tasks(site, made, 30)
    address = person.post("/owner/projects/mine/trial").headers["Location"]
    slug = address.rpartition("/")[2]
    visitor = Person(app)
    assert visitor.get(address).status_code == 200  # whoever has the address, on a phone too
    assert slug not in visitor.get("/").text and slug not in visitor.get("/api/v1/projects").text
    assert slug not in person.get("/owner/").text
    answered(site, slug, 3)
    found = trials.state(site, made.id)
    assert found is not None and (found.n_tasks, found.n_answers) == (trials.TASKS_MAX, 3)
    assert "3 answers" in person.get("/owner/projects/mine").text
    with site.db.session() as session:
        assert stored.progress(session, made.id)["answers"] == 0
    assert invariants.check(site) == []

    assert person.post("/owner/projects/mine/state", {"move": "publish"}).status_code == 303
    assert by_slug(site, "mine").state == "published"
    assert visitor.get(address).status_code == 404
    with site.db.connection() as connection:
        assert connection.execute("SELECT count(*) FROM answer").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM task").fetchone() == (30,)
    assert invariants.check(site) == []


def test_a_trial_has_the_known_answers_and_images_of_its_tasks(site: Site):
    made = builders.project(site, state="draft")
    (task,) = builders.tasks(site, made, 1)
    with site.db.connection() as connection:
        connection.execute(
            "INSERT INTO task_gold (task_id, project_id, value) VALUES (%s, %s, %s::jsonb)",
            (task, made.id, '{"answer": "no"}'),
        )
    copy = trials.begin(site, made.id)
    with site.db.connection() as connection:
        rows = connection.execute(
            """SELECT c.external_id, c.payload, c.media_ids, g.value FROM task_content c
               LEFT JOIN task_gold g USING (task_id) ORDER BY c.task_id"""
        ).fetchall()
    assert len(rows) == 2 and rows[0] == rows[1]
    assert copy.trial_of == made.id


def test_a_new_trial_replaces_the_old_and_old_ones_go(site: Site):
    made = builders.project(site, state="draft")
    builders.tasks(site, made, 2)
    first, second = (trials.begin(site, made.id).slug for _ in range(2))
    found = trials.state(site, made.id)
    assert found is not None and found.slug == second != first
    with site.db.connection() as connection:
        connection.execute(
            "UPDATE project SET created_at = now() - interval '8 days' WHERE trial_of IS NOT NULL"
        )
    housekeeping.clean(site)
    assert trials.state(site, made.id) is None
    assert by_slug(site, made.slug).id == made.id


def test_without_tasks_there_is_nothing_to_try(ada: tuple[Person, int], site: Site):
    person, account = ada
    builders.project(site, state="draft", slug="mine", account_id=account)
    assert person.post("/owner/projects/mine/trial").headers["Location"] == "/owner/projects/mine"
    assert "no tasks to try" in person.get("/owner/projects/mine").text


# -- duplicates ------------------------------------------------------------------------------------------


def test_a_duplicate_has_the_settings_and_nothing_else(ada: tuple[Person, int], site: Site):
    person, account = ada
    made = builders.project(site, slug="mine", account_id=account, redundancy=4, name="Mine")
    builders.tasks(site, made, 2)
    with site.db.connection() as connection:
        translations.replace(connection, made.id, "fr", {"name": ("Mine", "Le mien")})
    answer = person.post("/owner/projects/mine/duplicate")
    assert answer.headers["Location"] == "/owner/projects/mine-copy/setup/purpose"
    copy, source = by_slug(site, "mine-copy"), by_slug(site, "mine")
    assert (copy.name, copy.state, copy.published_at) == ("Mine (copy)", "draft", None)
    own = {"id", "slug", "name", "state", "created_at", "published_at", "head_pos", "config_version"}
    assert copy.model_dump(exclude=own) == source.model_dump(exclude=own)
    with site.db.session() as session:
        assert stored.progress(session, copy.id)["tasks"] == 0
    assert projects.not_ready(copy) == []
    with site.db.connection() as connection:
        found = translations.of(connection, [copy.id])
    assert found == {copy.id: {"fr": {"name": ("Mine", "Le mien")}}}
