"""The tutorial and feedback as pages: what they show, what they never show before, and what they keep."""

from __future__ import annotations

import io
import re
from typing import Any

import builders
import pytest
from builders import NO, YES
from flask import Flask
from flask.testing import FlaskClient
from people import owner
from PIL import Image

from microtasks.engine.projects import translations
from microtasks.engine.site import Site
from microtasks.engine.volunteers import tutorial
from microtasks.engine.volunteers.tutorial import Example, Step, Tutorial
from microtasks.store.projects import projects


@pytest.fixture
def cy(app: Flask) -> FlaskClient:
    return app.test_client()


def published(site: Site, kind: str = "question", **fields: Any) -> builders.ProjectRow:
    return builders.project(site, kind, published_at="2026-01-01T00:00:00Z", **fields)


def teach(
    site: Site, of: builders.ProjectRow, *steps: Step, guide: tuple[Example, ...] = (), **told: bool
) -> None:
    flags = {"tells_known": False, "tells_consensus": False} | told
    tutorial.change(site, of.id, Tutorial(steps=steps, guide=guide), **flags)


def taught(site: Site, gold: Any = YES, kind: str = "question", **told: bool) -> builders.ProjectRow:
    """A project with one step that explains, one try, and an ordinary task besides."""
    made = published(site, kind)
    images = [builders.media(site)] if kind == "marking" else []
    [known, _] = builders.tasks(site, made, 2, gold=[gold, None], media_ids=images)
    steps = Step(text="Look for a **rim**."), Step(task_id=known, right="Just so.", wrong="Mind the rim.")
    teach(site, made, *steps, **told)
    return made


def post(client: FlaskClient, path: str, **form: Any) -> Any:
    token = re.search(r'name="csrf_token" value="([^"]+)"', client.get(path).text)
    assert token is not None
    return client.post(path, data={"csrf_token": token[1], **form})


def count(site: Site, table: str) -> int:
    with site.db.connection() as connection:
        row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608
    assert row is not None
    return int(row[0])


def test_a_newcomer_is_led_through_and_who_returns_is_not(site: Site, cy: FlaskClient) -> None:
    made = taught(site)
    start = f'href="/p/{made.slug}/learn">Start helping'
    assert start in cy.get(f"/p/{made.slug}").text
    assert "Practise first: 2 short steps" in cy.get(f"/p/{made.slug}/work").text  # beside a task, at once
    assert "<strong>rim</strong>" in cy.get(f"/p/{made.slug}/learn").text
    assert cy.get(f"/p/{made.slug}/learn/leave").headers["Location"] == f"/p/{made.slug}/work"
    assert start not in cy.get(f"/p/{made.slug}").text
    work = cy.get(f"/p/{made.slug}/work").text
    assert "Practise first" not in work and "Show me the introduction again" in work


def test_who_has_answered_is_no_newcomer_on_any_device(site: Site, cy: FlaskClient) -> None:
    made = taught(site)
    page = cy.get(f"/p/{made.slug}/work").text
    fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page))
    cy.post(f"/p/{made.slug}/work", data={**fields, "answer": "yes"})
    assert "Practise first" not in cy.get(f"/p/{made.slug}/work").text


def test_T33_a_try_is_judged_here_and_leaves_nothing_behind(site: Site, cy: FlaskClient) -> None:
    made = taught(site)
    path = f"/p/{made.slug}/learn?step=2"
    page = cy.get(path).text
    assert (
        "Just so." not in page and "Mind the rim." not in page
    )  # nothing of what is right, nor a hint of it
    right = post(cy, path, answer="yes").text
    assert "Well done" in right and "Just so." in right
    wrong = post(cy, path, answer="no").text
    assert "Nearly" in wrong and "Mind the rim." in wrong and "you said" in wrong
    shown = post(cy, path, _kind="cant_tell").text
    assert "This is what is there" in shown and "Yes" in shown
    assert [count(site, table) for table in ("answer", "lease", "skip", "cursor")] == [0, 0, 0, 0]


def test_marks_are_tried_by_a_script_or_by_squares(site: Site, cy: FlaskClient) -> None:
    there = {"x": 120.0, "y": 90.0, "r": 20.0, "class": "fresh"}
    made = taught(site, {"marks": [there]}, "marking")
    path = f"/p/{made.slug}/learn?step=2"
    assert '"r": 20.0' not in cy.get(path).text and "120.0" not in cy.get(path).text
    page = post(
        cy, path, _value='{"marks": [{"x": 121, "y": 91, "r": 21}, {"x": 300, "y": 200, "r": 9}]}'
    ).text
    assert "1 matched, 1 not there" in page and page.count('class="told ') == 2
    assert "1 missed" in post(cy, path, _kind="empty").text
    by_squares = post(cy, path, grid="6x4", cells=["B2", "F1"]).text
    assert "1 matched, 1 not there" in by_squares and "B2" in by_squares


@pytest.mark.parametrize("value", ["{", "[]", '{"marks": [{"x": 1e9, "y": 1, "r": 20}]}'])
def test_a_try_that_does_not_fit_is_shown_again_with_the_reason(
    site: Site, cy: FlaskClient, value: str
) -> None:
    made = taught(site, {"marks": []}, "marking")
    answer = post(cy, f"/p/{made.slug}/learn?step=2", _value=value)
    assert answer.status_code in (400, 422)


def test_steps_that_are_not_there_are_not_found(site: Site, cy: FlaskClient) -> None:
    made = taught(site)
    for step in ("0", "3", "x", "²", "99"):
        assert cy.get(f"/p/{made.slug}/learn?step={step}").status_code == 404
    plain = published(site)
    assert cy.get(f"/p/{plain.slug}/learn").status_code == 404
    draft = builders.project(site, state="draft")
    assert cy.get(f"/p/{draft.slug}/learn").status_code == 404


def test_without_a_script_the_next_page_tells_how_the_last_answer_turned_out(
    site: Site, cy: FlaskClient
) -> None:
    made = published(site, tells_known=True)
    builders.tasks(site, made, 2, gold=[YES, None])
    page = cy.get(f"/p/{made.slug}/work").text
    fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page))
    assert "data-lease" not in page
    cy.post(f"/p/{made.slug}/work", data={**fields, "answer": "no"})
    after = cy.get(f"/p/{made.slug}/work").text
    assert "Other than expected" in after and "Your last answer" in after
    assert "Other than expected" not in cy.get(f"/p/{made.slug}/work").text  # told once


def test_T33_the_script_and_the_api_are_told_only_of_own_answers(
    site: Site, cy: FlaskClient, app: Flask
) -> None:
    made = published(site, tells_known=True)
    builders.tasks(site, made, 1, gold=YES)
    [lease] = cy.post(f"/api/v1/projects/{made.slug}/leases", json={"limit": 1}).get_json()["leases"]
    asked = {"leases": [lease["lease"]]}
    assert cy.post("/api/v1/feedback", json=asked).get_json() == {"feedback": []}
    cy.post("/api/v1/answers", json={"answers": [{"lease": lease["lease"], "kind": "value", "value": NO}]})
    [told] = cy.post("/api/v1/feedback", json=asked).get_json()["feedback"]
    assert told["items"][0]["right"] == "Yes"
    assert app.test_client().post("/api/v1/feedback", json=asked).status_code == 400
    revised = cy.post("/api/v1/revisions", json={"lease": lease["lease"], "kind": "value", "value": YES})
    assert revised.status_code == 400 and "stays as it is" in revised.get_json()["message"]
    piece = cy.post(
        f"/p/{made.slug}/told", data={"lease": lease["lease"], "csrf_token": _token(cy, made)}
    ).text
    assert "Other than expected" in piece and "<html" not in piece


def _token(client: FlaskClient, of: builders.ProjectRow) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/owner/sign-in").text)
    assert found is not None
    return found[1]


def test_the_field_guide_lies_beside_the_work(site: Site, cy: FlaskClient) -> None:
    made = published(site, "marking")
    image = builders.media(site)
    builders.tasks(site, made, 1, media_ids=[image])
    teach(site, made, guide=(Example(option="fresh", text="Sharp <rim>.", media_id=image),))
    page = cy.get(f"/p/{made.slug}/work").text
    assert "Instructions and examples" in page and "Sharp &lt;rim&gt;." in page and 'loading="lazy"' in page


# -- the owner's page ---------------------------------------------------------------------------------


def picture(color: str = "red") -> tuple[io.BytesIO, str]:
    content = io.BytesIO()
    Image.new("RGB", (40, 30), color).save(content, "PNG")
    content.seek(0)
    return content, "example.png"


def stored(site: Site, of: builders.ProjectRow) -> Tutorial:
    with site.db.connection() as connection:
        row = connection.execute("SELECT tutorial FROM project WHERE id = %s", (of.id,)).fetchone()
    assert row is not None
    return Tutorial.model_validate(row[0])


def test_an_owner_writes_steps_with_pictures_and_tries_and_a_guide(site: Site, app: Flask) -> None:
    ada, account = owner(app, site, "ada@example.org")
    made = published(site, "marking", account_id=account)
    image = builders.media(site)
    [known] = builders.tasks(site, made, 1, gold={"marks": []}, media_ids=[image])
    path = f"/owner/projects/{made.slug}/tutorial"
    assert ada.get(path).status_code == 200
    form = {
        **{"step.0.task": str(known), "step.0.wrong": "Nothing is here."},
        **{"step.1.text": "Look closely.", "step.1.picture": picture()},
        **{"step.2.of": f"item-{known}"},
        **{"guide.0.text": "Sharp rim.", "guide.1.option": "Hill", "guide.1.text": "No crater."},
        "tells_known": "1",
    }
    assert ada.post(path, form, content_type="multipart/form-data").status_code == 303
    kept = stored(site, made)
    assert [(step.text, step.is_try) for step in kept.steps] == [
        ("Look closely.", False),
        ("", False),
        ("", True),
    ]
    assert kept.steps[1].media_id == image and kept.steps[2].wrong == "Nothing is here."
    assert [(it.option, it.text) for it in kept.guide] == [("fresh", "Sharp rim."), ("Hill", "No crater.")]
    page = ada.get(path).text
    assert "Look closely." in page and 'name="tells_known" value="1" checked' in page
    again = {"step.0.text": "Look closely.", "step.0.drop": "1", "step.2.task": str(known)}
    assert ada.post(path, again, content_type="multipart/form-data").status_code == 303
    assert stored(site, made).steps[0].media_id is None


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"step.0.task": "999999"}, "not known"),
        ({"step.0.of": "no-such-item"}, "no picture with the id"),
        ({"step.0.picture": (io.BytesIO(b"no image"), "x.png")}, "not an image"),
        ({"step.0.right": "Good."}, "write a text"),
        ({"step.0.text": "x" * 3001}, "at most 3000"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_changed(
    site: Site, app: Flask, form: dict[str, Any], said: str
) -> None:
    ada, account = owner(app, site, "ada@example.org")
    made = published(site, account_id=account)
    answer = ada.post(
        f"/owner/projects/{made.slug}/tutorial",
        {"guide.0.text": "kept", **form},
        content_type="multipart/form-data",
    )
    assert answer.status_code == 400 and said in answer.text and "kept" in answer.text
    assert stored(site, made) == Tutorial()


def test_a_known_task_of_another_project_is_no_try(site: Site, app: Flask) -> None:
    ada, account = owner(app, site, "ada@example.org")
    made, his = published(site, account_id=account), published(site)
    [known] = builders.tasks(site, his, 1, gold=YES)
    answer = ada.post(f"/owner/projects/{made.slug}/tutorial", {"step.0.task": str(known)})
    assert answer.status_code == 400
    assert (
        ada.post(f"/owner/projects/{made.slug}/tutorial", {"step.0.of": f"item-{known}"}).status_code == 400
    )


def test_an_answer_by_squares_is_thanked_for_and_shown_to_the_owner(site: Site, app: Flask) -> None:
    ada, account = owner(app, site, "ada@example.org")
    made = published(site, "marking", account_id=account)
    [task] = builders.tasks(site, made, 1, media_ids=[builders.media(site)])
    cy = app.test_client()
    [lease] = cy.post(f"/api/v1/projects/{made.slug}/leases", json={"limit": 1}).get_json()["leases"]
    squares = {"marks": [], "cells": {"columns": 6, "rows": 4, "checked": ["B2", "C3"]}}
    cy.get(f"/p/{made.slug}/work")
    cy.post(
        "/api/v1/answers", json={"answers": [{"lease": lease["lease"], "kind": "value", "value": squares}]}
    )
    assert "<b>2</b><span>things marked" in cy.get(f"/p/{made.slug}/thanks").text
    assert "B2, C3" in ada.get(f"/research/{made.slug}/tasks/{task}").text


def test_every_page_of_a_translated_project_is_read_in_the_readers_language(site: Site, app: Flask) -> None:
    """No original text is left on any page: the work, the tutorial, what was right, the poll, the thanks."""
    config = {
        "fields": [
            {
                "id": "answer",
                "kind": "choice",
                "label": "ORIGINAL label",
                "help": "ORIGINAL help",
                "choices": [{"id": "yes", "label": "ORIGINAL yes"}, {"id": "no", "label": "ORIGINAL no"}],
            }
        ],
        "poll": True,
    }
    texts = {name: f"ORIGINAL {name}" for name in ("name", "purpose", "instructions", "thanks")}
    made = published(site, config=config, redundancy=1, **texts)
    known, *_ = builders.tasks(site, made, 4, gold=[YES, None, None, None])
    steps = (
        Step(text="ORIGINAL explanation"),
        Step(task_id=known, text="ORIGINAL try", right="ORIGINAL right", wrong="ORIGINAL wrong"),
    )
    teach(site, made, *steps, guide=(Example(option="yes", text="ORIGINAL guide"),), tells_known=True)
    with site.db.session() as session:
        project = projects.by_slug(session, made.slug)
    originals = translations.originals(project)
    assert len(originals) > 10
    translations.save(site, project, "ar", {path: f"عربي {n}" for n, path in enumerate(originals)})
    client = app.test_client()
    client.environ_base["HTTP_ACCEPT_LANGUAGE"] = "ar"
    base = f"/p/{made.slug}"
    pages = {path: client.get(path).text for path in ("/", base, f"{base}/work", f"{base}/learn?step=2")}
    pages["learn"] = client.get(f"{base}/learn").text
    for said in ("yes", "no"):
        pages[f"tried {said}"] = post(client, f"{base}/learn?step=2", answer=said).text
    pages["shown"] = post(client, f"{base}/learn?step=2", _kind="cant_tell").text
    for _ in range(3):
        form = dict(re.findall(r'name="(_\w+|csrf_token)" value="([^"]*)"', client.get(f"{base}/work").text))
        client.post(f"{base}/work", data={**form, "_kind": "value", "answer": "no"})
        pages["next"] = pages.get("next", "") + client.get(f"{base}/work").text
        told = client.post(f"{base}/told", data={"csrf_token": form["csrf_token"], "lease": form["_lease"]})
        pages["told"] = pages.get("told", "") + told.text
        pages["poll"] = pages.get("poll", "") + client.get(f"{base}/poll").text
    pages["last"] = client.get("/last/1", follow_redirects=True).text
    pages["thanks"] = client.get(f"{base}/thanks").text
    assert "عربي" in pages["told"] and "عربي" in pages["poll"]  # something was told at all
    found = {
        name: re.findall(r"ORIGINAL [a-z]+", re.sub(r"(?s)<script.*?</script>", "", page))
        for name, page in pages.items()
    }
    assert {name: texts for name, texts in found.items() if texts} == {}
