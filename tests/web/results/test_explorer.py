"""The results explorer: everybody's answers, filters that stay, decisions, more answers."""

from __future__ import annotations

import json
import re
from typing import Any

import builders
import pytest
from builders import NO, YES
from flask import Flask
from people import Person, owner

from microtasks.core.errors import Conflict, InputError, NotFound
from microtasks.core.values import Part
from microtasks.engine.assignment import serve
from microtasks.engine.operations import invariants
from microtasks.engine.results import decisions, explorer
from microtasks.engine.site import Site
from microtasks.store.projects import projects
from microtasks.store.tables import Project

MARK: dict[str, Any] = {
    **{"x": 100.0, "y": 90.0, "r": 20.0, "class": "fresh", "class_share": 1.0, "probability": 0.97},
    **{"n_marked": 2, "n_saw": 3, "x_sd": 1.0, "y_sd": 1.0, "region_95": 2.4, "r_sd": 1.0},
    **{"r_low": 18.0, "r_high": 22.0},
}
DOUBTFUL = MARK | {"x": 300.0, "n_marked": 1, "probability": 0.3}


def consensus(
    site: Site, of: builders.ProjectRow, task: int, value: Any, agreement: float, **fields: Any
) -> None:
    with site.db.connection() as connection:
        connection.execute(
            "INSERT INTO consensus"
            " (task_id, project_id, value, agreement, n_answers, is_tied, detail, reducer)"
            " VALUES (%s, %s, %s, %s, 3, %s, %s, 'question/1')",
            (
                *(task, of.id, None if value is None else json.dumps(value), agreement),
                *(fields.get("is_tied", False), json.dumps(fields.get("detail", {}))),
            ),
        )


def stored(site: Site, of: builders.ProjectRow) -> Project:
    with site.db.session() as session:
        return projects.get(session, of.id)


def shown(page: str) -> list[int]:
    """The tasks of a grid, in order."""
    return [int(found) for found in re.findall(r'class="card cell" href="/research/[^/]+/tasks/(\d+)', page)]


@pytest.fixture
def graded(site: Site, ada: Person) -> tuple[builders.ProjectRow, list[int]]:
    """Five tasks with agreements 0.9, 0.5 (a tie), 0.7, 0.7 and none; the first is retired."""
    made = builders.project(site, account_id=1, redundancy=3)
    tasks = builders.tasks(site, made, 5)
    builders.answers(site, made, tasks[0], [YES, YES, NO])
    consensus(site, made, tasks[0], YES, 0.9)
    consensus(site, made, tasks[1], None, 0.5, is_tied=True)
    consensus(site, made, tasks[2], NO, 0.7)
    consensus(site, made, tasks[3], YES, 0.7)
    with site.db.connection() as connection:
        for task, confidence in ((tasks[0], 0.99), (tasks[2], 0.82)):
            connection.execute("UPDATE consensus SET confidence = %s WHERE task_id = %s", (confidence, task))
    return made, tasks


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("", [1, 2, 3, 0]),
        ("order=number", [0, 1, 2, 3, 4]),
        ("from=60&to=80", [2, 3]),
        ("tied=1", [1]),
        ("state=retired", [0]),
        ("state=open&order=number", [1, 2, 3, 4]),
        ("value=answer:yes", [3, 0]),
        ("value=answer:no&from=80", []),
        ("decided=no", [1, 2, 3, 0]),
        ("decided=yes", []),
        ("sure_from=80", [2, 0]),
        ("sure_to=85", [2]),
        ("sure_from=80&sure_to=85", [2]),
        ("unseen=1", [1, 2, 3, 0]),
        ("disputed=1", []),
    ],
)
def test_the_grid_holds_what_the_filter_says_least_agreement_first(
    ada: Person, graded: tuple[builders.ProjectRow, list[int]], query: str, wanted: list[int]
) -> None:
    made, tasks = graded
    assert shown(ada.get(f"/research/{made.slug}/tasks?{query}").text) == [tasks[n] for n in wanted]


@pytest.mark.parametrize(
    "query",
    [
        "from=x",
        "state=gone",
        "order=best",
        "value=answer:perhaps",
        "value=x",
        "tag=x",
        "sure_to=x",
        "after=5",
        "batch=-1",
    ],
)
def test_a_filter_that_cannot_be_read_is_refused_with_a_sentence(
    ada: Person, graded: tuple[builders.ProjectRow, list[int]], query: str
) -> None:
    answer = ada.get(f"/research/{graded[0].slug}/tasks?{query}")
    assert answer.status_code == 400


def test_what_i_have_looked_at_is_left_out_for_me_alone(
    app: Flask, ada: Person, site: Site, graded: tuple[builders.ProjectRow, list[int]]
) -> None:
    made, tasks = graded
    grid = f"/research/{made.slug}/tasks?unseen=1"
    ben, account = owner(app, site, "ben@example.org")
    builders.member(site, made, account, "reviewer")
    for _ in range(2):  # a second look is no error
        assert ada.post(f"/research/{made.slug}/tasks/{tasks[2]}/looked?unseen=1").status_code == 303
        page = ada.get(f"/research/{made.slug}/tasks/{tasks[2]}?unseen=1").text
    assert re.findall(r'rel="(prev|next)" href="[^"]*/tasks/(\d+)\?unseen=1"', page) == [
        ("prev", str(tasks[1])),
        ("next", str(tasks[3])),
    ]
    assert shown(ada.get(grid).text) == [tasks[1], tasks[3], tasks[0]]
    assert shown(ben.get(grid).text) == [tasks[1], tasks[2], tasks[3], tasks[0]]
    other = builders.project(site, account_id=account)
    (foreign,) = builders.tasks(site, other, 1)
    assert ada.post(f"/research/{made.slug}/tasks/{foreign}/looked").status_code == 404
    assert shown(ada.get(f"{grid}&order=number").text) == [tasks[0], tasks[1], tasks[3], tasks[4]]


def test_tasks_are_found_by_a_tag_that_volunteers_added(ada: Person, site: Site) -> None:
    config = builders.CONFIGS["tagging"] | {"allow_own_tags": True}
    made = builders.project(site, "tagging", account_id=1, config=config)
    first, second = builders.tasks(site, made, 2)
    consensus(site, made, first, {"tags": ["dunes", "dust devil"]}, 0.9)
    consensus(site, made, second, {"tags": ["crater"]}, 0.8)
    grid = f"/research/{made.slug}/tasks?tag="
    assert shown(ada.get(f"{grid}Dust++Devil").text) == [first]
    assert shown(ada.get(f"{grid}CRATER").text) == [second]
    assert shown(ada.get(f"{grid}snow").text) == []
    assert 'name="tag"' in ada.get(grid).text


def test_pages_follow_each_other_without_gap_or_repeat(
    ada: Person, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("microtasks.web.results.explorer.PAGE", 3)
    made = builders.project(site, account_id=1)
    tasks = builders.tasks(site, made, 8)
    for n, task in enumerate(tasks):
        consensus(site, made, task, YES, (0.1 + 0.2) if n % 2 else 1 / 3)
    for order in ("least", "number"):
        path: str | None = f"/research/{made.slug}/tasks?order={order}&state=open"
        found: list[int] = []
        while path:
            page = ada.get(path).text
            found += shown(page)
            link = re.search(r'href="([^"]+after=[^"]+)"', page)
            path = link[1].replace("&amp;", "&") if link else None
            assert path is None or "state=open" in path
        assert found == (tasks if order == "number" else tasks[1::2] + tasks[::2])


def test_previous_and_next_walk_the_same_filter(
    ada: Person, graded: tuple[builders.ProjectRow, list[int]]
) -> None:
    made, tasks = graded
    page = ada.get(f"/research/{made.slug}/tasks/{tasks[2]}?from=60").text
    links = re.findall(r'rel="(prev|next)" href="[^"]*/tasks/(\d+)\?from=60"', page)
    assert links == [("next", str(tasks[3]))]
    page = ada.get(f"/research/{made.slug}/tasks/{tasks[3]}").text
    assert re.findall(r'rel="(prev|next)" href="[^"]*/tasks/(\d+)"', page) == [
        ("prev", str(tasks[2])),
        ("next", str(tasks[0])),
    ]
    assert 'rel="next"' not in ada.get(f"/research/{made.slug}/tasks/{tasks[4]}").text  # has no consensus


def test_a_task_shows_every_answer_in_words_by_pseudonym(ada: Person, site: Site) -> None:
    made = builders.project(site, account_id=1, redundancy=4)
    (task,) = builders.tasks(site, made, 1, gold=NO)
    people = builders.answers(site, made, task, [YES, NO, None])
    consensus(site, made, task, YES, 0.67)
    page = ada.get(f"/research/{made.slug}/tasks/{task}").text
    assert "67 %" in page and "Known answer" in page and "tell" in page
    assert page.count('<th scope="row" class="mono">') == 3
    names = re.findall(r'<th scope="row" class="mono">([0-9a-f]{16})<', page)
    assert len(set(names)) == 3
    quality = ada.get(f"/owner/projects/{made.slug}/quality").text
    assert all(
        who in page for who in re.findall(r"\b[0-9a-f]{16}\b", quality)
    )  # the same everywhere on the site
    assert not any(str(who) in page or who.hex in page for who in people)


def test_marks_of_all_and_the_consensus_lie_on_the_image(ada: Person, site: Site) -> None:
    made = builders.project(site, "marking", account_id=1, redundancy=4)
    (task,) = builders.tasks(site, made, 1, media_ids=[builders.media(site, 800, 600)], gold={"marks": []})
    circle = {"x": 101.5, "y": 90, "r": 21, "class": "fresh"}
    builders.answers(site, made, task, [{"marks": [circle]}, {"marks": [circle, circle]}, {"marks": []}])
    consensus(
        *(site, made, task, {"marks": [{"x": 100, "y": 90, "r": 20}]}, 0.67),
        detail={"marks": [MARK], "possible": [DOUBTFUL]},
    )
    page = ada.get(f"/research/{made.slug}/tasks/{task}").text
    assert 'viewBox="0 0 800 600"' in page
    assert page.count('<circle cx="101.5" cy="90" r="21"/>') == 3
    assert 'id="who-0"' in page and 'id="who-1"' in page and 'id="who-2"' not in page
    assert page.count('class="region rings"') == 2 and 'stroke-width="4.0"' in page
    assert "95 % of place" in page and "2 of 3 marked it" in page and "style=" not in page
    for shape, mark, drawn in (
        ("point", {"x": 5, "y": 6}, "<path d="),
        ("box", {"x": 5, "y": 6, "width": 7, "height": 8}, '<rect x="5" y="6" width="7" height="8"/>'),
    ):
        made = builders.project(site, "marking", account_id=1, config={"shape": shape})
        (task,) = builders.tasks(site, made, 1, media_ids=[builders.media(site)])
        builders.answers(site, made, task, [{"marks": [mark]}])
        assert drawn in ada.get(f"/research/{made.slug}/tasks/{task}").text


def test_a_big_image_shows_the_merged_marks_and_its_tiles(ada: Person, site: Site) -> None:
    made = builders.project(site, "marking", account_id=1)
    big = builders.media(site, 4000, 3000)
    tasks = builders.tasks(site, made, 2, media_ids=[builders.media(site)])
    with site.db.connection() as connection:
        for n, task in enumerate(tasks):
            connection.execute(
                "UPDATE task_content SET source = 'north/plate 1.png', source_x = %s, source_y = 0,"
                " source_media_id = %s WHERE task_id = %s",
                (n * 300, big, task),
            )
        connection.execute(
            "INSERT INTO source_consensus (project_id, source, detail, reducer)"
            " VALUES (%s, 'north/plate 1.png', %s, 'marking/1')",
            (made.id, json.dumps({"marks": [MARK], "possible": []})),
        )
    ann, bob = builders.contributor(), builders.contributor()
    circle = {"x": 20, "y": 30, "r": 11}
    builders.answers(site, made, tasks[0], [{"marks": [circle]}, {"marks": []}], contributors=[ann, bob])
    builders.answers(site, made, tasks[1], [{"marks": [circle, circle]}], contributors=[bob])
    page = ada.get(f"/research/{made.slug}/tasks/{tasks[0]}").text
    (link,) = re.findall(r'href="(/research/[^"]+/sources/[^"]+)"', page)
    whole = ada.get(link).text
    assert 'viewBox="0 0 4000 3000"' in whole and 'x="300" y="0"' in whole and 'cx="100.0"' in whole
    assert f"/tasks/{tasks[1]}" in whole
    hands = re.findall(r'<g class="who who-(\d)[^>]*><title>([0-9a-f]{16})</title>(.*?)</g>', whole)
    assert [
        (n, marks.count("<circle"), 'cx="20"' in marks, 'cx="320"' in marks) for n, _, marks in hands
    ] == [
        ("0", 1, True, False),
        ("1", 2, False, True),  # in the second tile, which begins at 300
    ]
    assert not any(str(who) in whole or who.hex in whole for who in (ann, bob))
    assert ada.get(f"/research/{made.slug}/sources/other.png").status_code == 404
    assert ada.get(f"/research/{made.slug}/sources/a%00b").status_code == 404


def test_a_whole_image_draws_no_more_marks_than_a_page_can_show(
    ada: Person, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("microtasks.store.results.explorer.MOST_MARKS", 3)
    made = builders.project(site, "marking", account_id=1)
    (task,) = builders.tasks(site, made, 1, media_ids=[builders.media(site)])
    with site.db.connection() as connection:
        connection.execute(
            "UPDATE task_content SET source = 'a.png', source_x = 0, source_y = 0 WHERE task_id = %s", (task,)
        )
    circle = {"x": 20, "y": 30, "r": 11}
    builders.answers(site, made, task, [{"marks": [circle] * 2}, {"marks": [circle] * 2}])
    page = ada.get(f"/research/{made.slug}/sources/a.png").text
    assert page.count('<circle cx="20"') == 2 and "more volunteers’ marks than" in page


def test_a_task_of_another_project_is_not_reached_through_ones_own(
    app: Flask, ada: Person, site: Site
) -> None:
    ben, account = owner(app, site, "ben@example.org")
    hers, his = builders.project(site, account_id=1), builders.project(site, account_id=account)
    (task,) = builders.tasks(site, hers, 1)
    assert ben.get(f"/research/{his.slug}/tasks/{task}").status_code == 404
    for what, data in (("decision", {"choice": "none"}), ("more", {"n": "3"})):
        assert ben.post(f"/research/{his.slug}/tasks/{task}/{what}", data).status_code == 404


def test_a_decision_is_kept_beside_the_consensus_and_the_last_one_leads(ada: Person, site: Site) -> None:
    made = builders.project(site, account_id=1)
    (task,) = builders.tasks(site, made, 1)
    builders.answers(site, made, task, [YES, NO, None])
    consensus(site, made, task, YES, 0.5)
    with site.db.connection() as connection:
        answer = dict(connection.execute("SELECT value ->> 'answer', id FROM answer").fetchall())["no"]
    path = f"/research/{made.slug}/tasks/{task}"
    for choice in ("consensus", "none", f"answer:{answer}"):
        assert ada.post(f"{path}/decision", {"choice": choice, "note": "  <b>seen</b> "}).status_code == 303
    page = ada.get(path).text
    assert "&lt;b&gt;seen&lt;/b&gt;" in page and "<b>seen</b>" not in page
    with site.db.connection() as connection:
        kept = connection.execute("SELECT choice, value, note FROM expert_decision ORDER BY id").fetchall()
        assert kept == [
            (c, v, "<b>seen</b>") for c, v in (("consensus", YES), ("none", None), ("answer", NO))
        ]
        assert connection.execute("SELECT value FROM consensus").fetchone() == (YES,)
    assert shown(ada.get(f"/research/{made.slug}/tasks?decided=yes").text) == [task]
    refused = ada.client.post(f"{path}/decision", data={"csrf_token": ada.token(), "choice": "answer:999"})
    assert refused.status_code == 303
    assert "no such answer" in ada.get(path).text


def test_what_cannot_be_decided_is_refused(site: Site) -> None:
    builders.account(site)
    made = builders.project(site, account_id=1)
    (task,) = builders.tasks(site, made, 1)
    project = stored(site, made)
    for choice, error in (
        ("consensus", Conflict),
        ("answer:1", InputError),
        ("answer:x", InputError),
        ("", InputError),
        ("all", InputError),
        ("consensus:1", InputError),
    ):
        with pytest.raises(error):
            decisions.record(site, project, task, 1, choice)
    with pytest.raises(InputError):
        decisions.record(site, project, task, 1, "none", "x" * 1001)
    with pytest.raises(NotFound):
        decisions.record(site, project, task + 1, 1, "none")


def test_a_task_sent_back_is_open_again_for_exactly_so_many(ada: Person, site: Site) -> None:
    made = builders.project(site, account_id=1, redundancy=3)
    first, full = builders.tasks(site, made, 2)
    builders.answers(site, made, full, [YES, NO, NO])
    walker = builders.contributor()
    assert [lease.task["id"] for lease in serve.lease(site, made.slug, walker, limit=5).leases] == [first]
    with site.db.connection() as connection:
        connection.execute("UPDATE project SET head_pos = 100000000")
    answer = ada.post(f"/research/{made.slug}/tasks/{full}/more", {"n": "2"})
    assert answer.status_code == 303
    with site.db.connection() as connection:
        row = connection.execute(
            "SELECT redundancy, n_answers, retired_at, retirement_reason, open FROM task WHERE id = %s",
            (full,),
        ).fetchone()
    assert row == (5, 3, None, None, True)
    # someone whose walk was over, and newcomers
    assert [lease.task["id"] for lease in serve.lease(site, made.slug, walker, limit=5).leases][1:] == [full]
    assert full in {
        lease.task["id"] for lease in serve.lease(site, made.slug, builders.contributor(), limit=5).leases
    }
    assert serve.lease(site, made.slug, builders.contributor(), limit=5).leases  # the first has a seat left
    with site.db.connection() as connection:
        seats = connection.execute("SELECT n_answers + n_leases FROM task WHERE id = %s", (full,)).fetchone()
    assert seats == (5,)
    assert invariants.check(site) == []


def test_a_task_that_takes_no_more_is_left_alone(site: Site) -> None:
    made = builders.project(site, account_id=builders.account(site))
    withdrawn, other = builders.tasks(site, made, 2)
    with site.db.connection() as connection:
        connection.execute(
            "UPDATE task SET retired_at = now(), retirement_reason = 'withdrawn' WHERE id = %s", (withdrawn,)
        )
        connection.execute("UPDATE task SET redundancy = 999 WHERE id = %s", (other,))
    project = stored(site, made)
    for task, n, error in (
        *((withdrawn, 3, Conflict), (other, 5, Conflict), (other, 0, InputError), (other, 51, InputError)),
        (other + 1, 3, NotFound),
    ):
        with pytest.raises(error):
            explorer.ask_more(site, project, task, n)


def test_values_are_told_by_their_labels() -> None:
    parts = (
        Part("wind", "choice", "Wind?", (("y", "Yes"), ("n", "No"))),
        Part("what", "choices", "What?", (("a", "Crew"), ("b", "Course"))),
        Part("n", "number", "Ships"),
    )
    assert explorer.describe({"wind": "y", "what": ["b", "own"], "n": 12345678}, parts) == (
        "Wind?: Yes · What?: Course, own · Ships: 12345678"
    )
    assert explorer.describe({"wind": "n"}, parts[:1]) == "No"
    assert explorer.describe(None, parts) is None and explorer.describe({}, parts) == ""
