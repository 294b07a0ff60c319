"""An expert's own answer: by the volunteers' form, kept beside the crowd's consensus, never part of it."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any

import builders
import pytest
from builders import NO, YES
from flask import Flask
from people import Person, owner

from microtasks.core.errors import AnswerInvalid, Conflict, InputError, NotFound
from microtasks.engine.exports import download
from microtasks.engine.results import aggregate, decisions, explorer
from microtasks.engine.site import Site
from microtasks.store.projects import projects
from microtasks.store.results.explorer import Filter
from microtasks.store.tables import Project

LETTER: dict[str, Any] = {
    "fields": [
        {"id": "sort", "kind": "choice", "choices": [{"id": "ship"}, {"id": "land"}]},
        {
            **{"id": "seen", "kind": "choices", "required": False},
            "choices": [{"id": "ice", "label": "Ice"}, {"id": "whale", "label": "Whale"}],
        },
        {"id": "wind", "kind": "scale", "min": 0, "max": 12, "required": False},
        {"id": "depth", "kind": "number", "max": 100, "required": False},
        {"id": "line", "kind": "text", "required": False},
    ]
}
TAGS: dict[str, Any] = builders.CONFIGS["tagging"] | {"allow_own_tags": True}
POINT, BOX = {"shape": "point"}, {"shape": "box", "min_diameter_px": 5}
CIRCLE = {"x": 120.5, "y": 80.0, "r": 30.0, "class": "fresh"}


def stored(site: Site, of: builders.ProjectRow) -> Project:
    with site.db.session() as session:
        return projects.get(session, of.id)


def made(site: Site, task_type: str = "question", **fields: Any) -> tuple[builders.ProjectRow, int, str]:
    """A project with one task, and the address of the task in the explorer."""
    of = builders.project(site, task_type, account_id=builders.account(site), **fields)
    images = [builders.media(site)] if task_type == "marking" else []
    (task,) = builders.tasks(site, of, 1, media_ids=images)
    return of, task, f"/research/{of.slug}/tasks/{task}"


def kept(site: Site) -> list[tuple[Any, ...]]:
    with site.db.connection() as connection:
        return connection.execute("SELECT choice, value, note FROM expert_decision ORDER BY id").fetchall()


def begun(page: str) -> Any:
    """What the page's script begins with."""
    found = re.search(r'id="task">(.*?)</script>', page)
    assert found is not None
    return json.loads(found[1])["value"]


@pytest.mark.parametrize(
    ("task_type", "config", "form", "value"),
    [
        ("question", None, {"answer": "no"}, NO),
        (
            *("question", LETTER),
            {"sort": "ship", "seen": ["whale", "ice"], "wind": "7", "depth": "3,5", "line": " a  storm "},
            {"sort": "ship", "seen": ["ice", "whale"], "wind": 7, "depth": 3.5, "line": "a  storm"},
        ),
        ("question", LETTER, {"sort": "land", "depth": ""}, {"sort": "land"}),
        (
            *("tagging", TAGS, {"tags": ["crater"], "own_tags": "Dust Devil, dunes"}),
            {"tags": ["dunes", "crater", "dust devil"]},
        ),
        ("tagging", TAGS, {"_kind": "empty", "tags": ["crater"]}, {"tags": []}),
        ("marking", None, {"_value": json.dumps({"marks": [CIRCLE]})}, {"marks": [CIRCLE]}),
        ("marking", POINT, {"_value": '{"marks": [{"x": 5, "y": 6}]}'}, {"marks": [{"x": 5.0, "y": 6.0}]}),
        (
            *("marking", BOX, {"_value": '{"marks": [{"x": 5, "y": 6, "width": 9, "height": 8}]}'}),
            {"marks": [{"x": 5.0, "y": 6.0, "width": 9.0, "height": 8.0}]},
        ),
        ("marking", None, {"_kind": "empty", "_value": ""}, {"marks": []}),
        (
            *("marking", None, {"grid": "6x4", "cells": ["B2", "A1"]}),
            {
                "marks": [],
                "cells": {
                    **{"columns": 6, "rows": 4, "width": 400.0, "height": 300.0},
                    "checked": ["A1", "B2"],
                },
            },
        ),
    ],
)
def test_each_type_is_answered_by_its_own_form_and_kept_in_its_own_words(
    ada: Person, site: Site, task_type: str, config: Any, form: dict[str, Any], value: dict[str, Any]
) -> None:
    _, _, path = made(site, task_type, config=config)
    page = ada.get(f"{path}/own")
    assert page.status_code == 200 and "task no-keys" in page.text
    assert ada.post(f"{path}/own", {"note": " seen ", **form}).status_code == 303
    assert kept(site) == [("own", value, "seen")]
    with site.db.connection() as connection:
        assert connection.execute("SELECT count(*) FROM answer").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM consensus").fetchone() == (0,)
    page = ada.get(path)
    assert "Expert decided" in page.text and "Change this answer" in page.text
    assert page.text.count("expert’s answer") == 2  # beside the consensus, and in the list of decisions
    assert begun(ada.get(f"{path}/own").text) == value  # to be changed


@pytest.mark.parametrize(
    ("task_type", "config", "form", "sentence", "typed"),
    [
        (
            *("question", LETTER, {"sort": "ship", "depth": "deep", "line": "<i>a storm</i>"}),
            *("Please give a number.", ["&lt;i&gt;a storm&lt;/i&gt;", 'value="ship" data-choice checked']),
        ),
        (
            *("question", LETTER, {"depth": "7", "line": "a storm"}),
            *("Please answer this one.", ['value="7"', "a storm"]),
        ),
        ("tagging", TAGS, {"own_tags": " "}, "Nothing is chosen yet", []),
        (
            *("tagging", TAGS, {"tags": ["dunes"], "own_tags": "a|b, snow"}),
            *("Custom tags are short", ['value="dunes" data-choice checked', 'value="a|b, snow"']),
        ),
        (
            *("marking", None, {"_value": json.dumps({"marks": [CIRCLE, CIRCLE | {"r": 3.0}]})}),
            *("Things smaller than 10 pixels", ['"r": 30.0', '"r": 3.0']),
        ),
        (
            *("marking", None, {"_value": json.dumps({"marks": [CIRCLE | {"x": 900}]})}),
            *("must lie inside the image", ['"x": 900']),
        ),
        ("marking", None, {"_value": '{"marks": '}, "not acceptable JSON", []),
        ("marking", None, {"_value": "[1]"}, "does not fit", []),
    ],
)
def test_a_refused_answer_keeps_what_was_typed(
    ada: Person,
    site: Site,
    task_type: str,
    config: Any,
    form: dict[str, Any],
    sentence: str,
    typed: list[str],
) -> None:
    _, _, path = made(site, task_type, config=config)
    page = ada.post(f"{path}/own?from=60", {"note": "my <b>note</b>", **form})
    assert page.status_code == 422 and sentence in page.text
    assert "my &lt;b&gt;note&lt;/b&gt;" in page.text and "/own?from=60" in page.text
    assert [text for text in typed if text not in page.text] == []
    assert kept(site) == []


def test_the_form_begins_with_the_consensus_or_with_a_volunteers_answer(ada: Person, site: Site) -> None:
    of, task, path = made(site, "marking", redundancy=3)
    others = [CIRCLE | {"x": x} for x in (118.5, 120.5, 122.5)]
    builders.answers(site, of, task, [{"marks": [mark]} for mark in others])
    aggregate.aggregate(site, of.id)
    page = ada.get(path).text
    began = re.findall(r'href="([^"]+/own\?begin=answer:\d+)"', page.replace("%3A", ":"))
    assert [begun(ada.get(address).text)["marks"][0]["x"] for address in began] == [118.5, 120.5, 122.5]
    (mark,) = begun(ada.get(f"{path}/own").text)["marks"]
    assert mark["class"] == "fresh" and abs(mark["x"] - 120.5) < 0.01
    assert begun(ada.get(f"{path}/own?begin=nothing").text) is None
    assert ada.get(f"{path}/own?begin=answer:999").status_code == 400
    assert ada.post(f"{path}/own", {"_value": json.dumps({"marks": []})}).status_code == 303
    assert begun(ada.get(f"{path}/own").text) == {"marks": []}
    assert begun(ada.get(f"{path}/own?begin=consensus").text)["marks"] == [mark]


def test_plain_forms_are_filled_in_with_what_they_begin_with(ada: Person, site: Site) -> None:
    of, task, path = made(site, config=LETTER, redundancy=2)
    builders.answers(site, of, task, [{"sort": "land", "line": "calm"}] * 2)
    aggregate.aggregate(site, of.id)
    page = ada.get(f"{path}/own").text
    assert 'value="land" data-choice checked' in page and "calm" in page
    of, task, path = made(site, "tagging", config=TAGS, redundancy=1)
    builders.answers(site, of, task, [{"tags": ["crater", "snow"]}])
    with site.db.connection() as connection:
        (answer,) = connection.execute("SELECT max(id) FROM answer").fetchone() or (0,)
    page = ada.get(f"{path}/own?begin=answer:{answer}").text
    assert 'value="crater" data-choice checked' in page and 'value="snow"' in page


def test_who_may_only_read_neither_sees_the_form_nor_decides(app: Flask, ada: Person, site: Site) -> None:
    of, task, path = made(site)
    builders.answers(site, of, task, [YES])
    ray, account = owner(app, site, "ray@example.org")
    builders.member(site, of, account, "researcher")
    assert ray.get(f"{path}/own").status_code == 403
    assert ray.post(f"{path}/own", {"answer": "no"}).status_code == 403
    assert ray.post(f"{path}/decision/back").status_code == 403
    assert f"{path}/own" in ada.get(path).text and f"{path}/own" not in ray.get(path).text
    assert kept(site) == []
    ada.post(f"{path}/own", {"answer": "no", "note": "a shadow"})
    page = ray.get(path).text
    assert "expert’s answer" in page and "a shadow" in page and "Take the decision back" not in page


def test_a_known_answer_is_not_in_the_form(ada: Person, site: Site) -> None:
    of = builders.project(site, "marking", account_id=1)
    gold = {"marks": [{"x": 77.25, "y": 66.25, "r": 55.25}]}
    (task,) = builders.tasks(site, of, 1, media_ids=[builders.media(site)], gold=gold)
    assert "77.25" in ada.get(f"/research/{of.slug}/tasks/{task}").text
    assert "77.25" not in ada.get(f"/research/{of.slug}/tasks/{task}/own").text


def test_decisions_are_told_apart_filtered_counted_and_taken_back(ada: Person, site: Site) -> None:
    of = builders.project(site, account_id=1, redundancy=2, stop_rule="confidence")
    first, second, third = builders.tasks(site, of, 3)
    for task in (first, second, third):
        builders.answers(site, of, task, [YES, NO])
    aggregate.aggregate(site, of.id)
    grid, project = f"/research/{of.slug}/tasks", stored(site, of)

    def found(query: str) -> list[int]:
        page = ada.get(f"{grid}?order=number&{query}").text
        return [int(it) for it in re.findall(r'class="card cell" href="[^"]+/tasks/(\d+)', page)]

    assert found("disputed=1") == [first, second, third]
    ada.post(f"{grid}/{first}/own", {"answer": "yes"})
    ada.post(f"{grid}/{second}/decision", {"choice": "none"})
    assert (found("decided=own"), found("decided=none"), found("decided=answer")) == ([first], [second], [])
    assert (found("decided=yes"), found("decided=no"), found("disputed=1")) == (
        [first, second],
        [third],
        [third],
    )
    page = ada.get(grid).text
    assert '<span class="badge ok">expert’s answer</span>' in page
    assert "expert’s answer (1)" in page and "nothing is right (1)" in page and "accepted (0)" in page
    assert ada.get(f"{grid}?decided=taken_back").status_code == 400
    assert ada.post(f"{grid}/{first}/decision/back?decided=own").status_code == 303
    assert found("decided=own") == [] and found("decided=no") == found("disputed=1") == [first, third]
    assert [it[0] for it in kept(site)] == ["own", "none", "taken_back"]  # what was decided is still told
    assert "taken back" in ada.get(f"{grid}/{first}").text
    with pytest.raises(Conflict):
        decisions.take_back(site, project, first, 1)
    with pytest.raises(NotFound):
        decisions.take_back(site, project, third + 1, 1)
    ada.post(f"{grid}/{first}/own", {"answer": "no"})  # and decided anew
    assert found("decided=own") == [first] and first not in found("disputed=1")
    with site.db.connection() as connection:
        log = connection.execute("SELECT action, detail FROM audit ORDER BY id").fetchall()
    assert log == [
        ("task.decide", {"task": first, "choice": "own"}),
        ("task.decide", {"task": second, "choice": "none"}),
        ("task.take_back", {"task": first}),
        ("task.decide", {"task": first, "choice": "own"}),
    ]


def test_exports_carry_the_own_answer_as_they_carry_a_consensus(ada: Person, site: Site) -> None:
    of = builders.project(site, "tagging", account_id=1, redundancy=2)
    first, second = builders.tasks(site, of, 2)
    for task in (first, second):
        builders.answers(site, of, task, [{"tags": ["crater"]}] * 2)
    aggregate.aggregate(site, of.id)
    project = stored(site, of)

    def told() -> dict[str, tuple[str, ...]]:
        text = b"".join(download.export(site, project, "consensus", "csv")).decode()
        names = ("value", "decision", "decision_value", "decided_by_role")
        return {row["task"]: tuple(row[it] for it in names) for row in csv.DictReader(io.StringIO(text))}

    before = told()
    ada.post(f"/research/{of.slug}/tasks/{first}/own", {"tags": ["crater", "dunes"]})
    ada.post(f"/research/{of.slug}/tasks/{second}/own", {"_kind": "empty"})
    assert told() == {
        str(first): ("crater", "own", "dunes|crater", "owner"),
        str(second): ("crater", "own", "", "owner"),
    }
    aggregate.aggregate(site, of.id)  # the crowd's word stays the crowd's
    assert told()[str(first)][0] == "crater"
    for task in (first, second):
        ada.post(f"/research/{of.slug}/tasks/{task}/decision/back")
    assert told() == before
    with site.db.connection() as connection:  # as one that came with a package
        connection.execute(
            "INSERT INTO expert_decision (task_id, expert, role, choice, value, note)"
            " VALUES (%s, 'a1b2', 'reviewer', 'own', %s, '')",
            (first, json.dumps({"tags": ["dunes"]})),
        )
    assert told()[str(first)] == ("crater", "own", "dunes", "reviewer")
    page = ada.get(f"/research/{of.slug}/tasks/{first}").text
    assert "a1b2" in page and "Change this answer" in page


@pytest.mark.parametrize(
    ("task_type", "config", "crowd", "form", "cells"),
    [
        ("question", None, YES, {"answer": "no"}, ("yes", "no")),
        (
            *("question", LETTER, {"sort": "land"}, {"sort": "ship", "wind": "3"}),
            ("land", '{"sort":"ship","wind":3}'),
        ),
        (
            *("marking", None, {"marks": [CIRCLE]}),
            *({"_value": json.dumps({"marks": [CIRCLE, CIRCLE | {"x": 300}]})}, ("1", "2")),
        ),
    ],
)
def test_an_own_answer_is_exported_in_the_form_of_a_consensus(
    ada: Person, site: Site, task_type: str, config: Any, crowd: Any, form: dict[str, str], cells: Any
) -> None:
    of, task, path = made(site, task_type, config=config, redundancy=3)
    builders.answers(site, of, task, [crowd] * 3)
    aggregate.aggregate(site, of.id)
    ada.post(f"{path}/own", form)
    text = b"".join(download.export(site, stored(site, of), "consensus", "csv")).decode()
    (row,) = csv.DictReader(io.StringIO(text))
    assert (row["decision"], (row["value"], row["decision_value"])) == ("own", cells)


def test_own_marks_and_squares_lie_on_the_task_and_on_the_whole_image(ada: Person, site: Site) -> None:
    of = builders.project(site, "marking", account_id=1)
    one, two = builders.tasks(site, of, 2, media_ids=[builders.media(site)])
    with site.db.connection() as connection:
        for n, task in enumerate((one, two)):
            connection.execute(
                "UPDATE task_content SET source = 'plate.png', source_x = %s, source_y = 0"
                " WHERE task_id = %s",
                (n * 300, task),
            )
    grid, whole = f"/research/{of.slug}/tasks", f"/research/{of.slug}/sources/plate.png"
    assert 'id="show-expert"' not in ada.get(whole).text
    ada.post(f"{grid}/{one}/own", {"grid": "6x4", "cells": ["C2"]})
    ada.post(f"{grid}/{two}/own", {"_value": json.dumps({"marks": [CIRCLE]})})

    def drawn(path: str) -> set[str]:
        page = ada.get(path).text
        assert 'id="show-expert"' in page and "Decided by an expert" in page
        found = re.search(r'<g class="expert">(.*?)</g></g>', page, re.DOTALL)
        assert found is not None
        return set(re.findall(r"<(?:circle|rect) [^>]*>", found[1]))

    square = '<rect x="{}" y="75.0" width="66.66666666666667" height="75.0"/>'
    circle = '<circle cx="{}" cy="80.0" r="30.0"/>'
    assert drawn(f"{grid}/{one}") == {square.format(133.33333333333334)}
    assert drawn(f"{grid}/{two}") == {circle.format(120.5)}
    assert drawn(whole) == {square.format(133.33333333333334), circle.format(420.5)}
    assert "2 tiles decided otherwise" in ada.get(whole).text
    ada.post(f"{grid}/{two}/decision/back")
    assert drawn(whole) == {square.format(133.33333333333334)}
    assert 'id="show-expert"' not in ada.get(f"{grid}/{two}").text


def test_what_does_not_fit_the_task_is_no_decision(site: Site) -> None:
    of, task, _ = made(site)
    project = stored(site, of)
    for raw in ({"answer": "perhaps"}, {}, {"answer": "yes", "other": 1}, None, 5):
        with pytest.raises(AnswerInvalid):
            decisions.record_own(site, project, task, 1, raw)
    with pytest.raises(InputError):
        decisions.record_own(site, project, task, 1, YES, "x" * 1001)
    with pytest.raises(NotFound):
        decisions.record_own(site, project, task + 1, 1, YES)
    with pytest.raises(NotFound):
        decisions.form(site, project, task + 1)
    other, _, _ = made(site)
    with pytest.raises(NotFound):
        decisions.record_own(site, stored(site, other), task, 1, YES)
    assert kept(site) == []
    assert explorer.view_task(site, project, task, Filter()).decision is None
