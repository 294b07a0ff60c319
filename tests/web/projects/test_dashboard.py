"""The dashboard: what is counted, how its end is foretold, and charts that everybody can read."""

from __future__ import annotations

import csv
import io
import json
import re
import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta
from typing import Any

import builders
import psycopg
import pytest
from builders import NO, YES
from people import Person, owner

from microtasks.engine.projects import dashboard as engine
from microtasks.engine.site import Site
from microtasks.store.projects import projects
from microtasks.store.projects.dashboard import Hour, Tasks
from microtasks.store.tables import Project
from microtasks.web import create_app
from microtasks.web.charts import Chart

NOW = datetime(2026, 5, 4, 12, 30, tzinfo=UTC)


@pytest.fixture
def ada(site: Site) -> Person:
    return owner(create_app(site=site), site, "ada@example.org")[0]


def hour(back: int, n: int) -> Hour:
    return Hour(NOW.replace(minute=0) - timedelta(hours=back), n, n, 0)


def board(site: Site, of: builders.ProjectRow) -> engine.Dashboard:
    with site.db.session() as session:
        project = projects.get(session, of.id)
    return engine.dashboard(site, project)


def test_the_counts_are_those_of_the_project_alone(ada: Person, site: Site) -> None:
    made = builders.project(site, account_id=1, redundancy=5)
    other = builders.project(site, account_id=1, redundancy=5)
    first, second, third, _ = builders.tasks(site, made, 4, gold=[YES, None, None, None])
    (foreign,) = builders.tasks(site, other, 1)
    builders.answers(site, other, foreign, [YES] * 4)
    people = builders.answers(site, made, first, [YES, YES, NO, None])
    builders.answers(site, made, second, [NO] * 5)
    builders.answers(site, made, third, [YES] * 3, contributors=people[:3])
    with site.db.connection() as connection:
        connection.execute(
            "UPDATE task SET retired_at = now(), retirement_reason = 'consensus' WHERE id = %s", (third,)
        )
        connection.execute(
            "INSERT INTO skip (contributor_id, task_id, project_id) VALUES (%s, %s, %s)",
            (people[0], second, made.id),
        )
        for task, agreement, is_tied in ((first, 0.5, True), (second, 1.0, False), (third, 0.95, False)):
            connection.execute(
                "INSERT INTO consensus"
                " (task_id, project_id, agreement, n_answers, is_tied, detail, reducer)"
                " VALUES (%s, %s, %s, 4, %s, '{}', 'question/1')",
                (task, made.id, agreement, is_tied),
            )
    found = board(site, made)
    assert (found.n_tasks, found.n_done, found.n_answers, found.n_saved) == (4, 2, 12, 2)
    assert (found.n_given, found.n_cant_tell, found.n_skipped, found.n_reported) == (12, 1, 1, 0)
    assert found.agreement == [0, 0, 0, 0, 0, 1, 0, 0, 0, 2] and found.n_tied == 1
    assert found.gold == [1, 0, 0, 0, 0, 0, 0, 0, 0, 2]
    assert sum(n for _, n in found.hours) == 12 and len(found.hours) == 48
    assert [n for _, n in found.contributors][-1] <= 9 and sum(n for _, n in found.days) == 12
    assert {task for task, *_ in found.slow} == {first, second, third}
    assert {median for _, _, median, _ in found.slow} == {3.5}


def test_a_forecast_goes_by_the_last_day_and_by_what_stopping_early_saves() -> None:
    still_open = Tasks(None, 10, 20, 30, 0)
    for hours, per_hour in (
        ([hour(3, 5), hour(1, 5)], 10 / 3.5),  # began three and a half hours ago
        ([hour(100, 999), hour(1, 48)], 48 / 24),  # older ones do not count
        ([hour(0, 7)], 7.0),  # the first minutes make no pace
    ):
        found = engine.forecast([still_open], hours, NOW)
        assert found is not None and found.n_left == 30
        assert found.per_hour == pytest.approx(per_hour)
        assert found.ends_at == NOW + timedelta(hours=30 / found.per_hour)
    early = engine.forecast([Tasks("consensus", 10, 30, 20, 20), still_open], [hour(1, 24)], NOW)
    assert early is not None and early.n_left == 10  # 50 wanted, 3 of 5 needed, 20 there


def test_without_answers_or_open_tasks_nothing_is_foretold() -> None:
    still_open, done = Tasks(None, 1, 0, 3, 0), Tasks("redundancy", 1, 3, 0, 0)
    assert engine.forecast([still_open], [], NOW) is None
    assert engine.forecast([still_open], [hour(30, 9)], NOW) is None
    assert engine.forecast([done], [hour(1, 9)], NOW) is None
    assert engine.forecast([], [], NOW) is None


def test_every_hour_and_day_is_there_also_an_empty_one() -> None:
    hours = [hour(50, 3), hour(47, 4), hour(0, 5)]
    shown = engine.last_hours(hours, NOW)
    assert [n for _, n in shown] == [4, *[0] * 46, 5]
    assert shown[-1][0] == NOW.replace(minute=0)
    assert [(day.day, n) for day, n in engine.by_day(hours, NOW)][-3:] == [
        (2, 3 + 4),
        (3, 0),
        (4, 5),
    ]
    assert len(engine.by_day([hour(24 * 100, 1)], NOW)) == 60
    assert [n for _, n in engine.by_day([], NOW)] == [0] * 7


def test_a_bar_is_as_high_as_its_value_and_never_lost() -> None:
    chart = Chart("n", "t", "d", ("a", "b"), [("x", 1000), ("y", 1), ("z", 0)])
    assert [bar.height for bar in chart.bars] == [100, 1.5, 0]
    assert all(0 <= bar.x < bar.x + bar.width <= 3 and bar.y + bar.height == 100 for bar in chart.bars)
    assert chart.bars[0].text == "1,000" and Chart("n", "t", "d", ("a", "b"), []).bars == []


def test_each_chart_has_title_description_table_and_csv(ada: Person, site: Site) -> None:
    made = builders.project(site, account_id=1)
    task, _ = builders.tasks(site, made, 2, gold=YES)
    builders.answers(site, made, task, [YES, NO, YES])
    page = ada.get(f"/owner/projects/{made.slug}/dashboard").text
    drawings = re.findall(r"<svg viewBox=\"0 0 \d+ 100\".*?</svg>", page, re.DOTALL)
    names = re.findall(r'href="(/owner/projects/[^"]+/dashboard/[^"]+\.csv)"', page)
    assert len(names) == 8 and 4 <= len(drawings) <= 8 and "style=" not in page
    for drawing in drawings:
        root = ET.fromstring(drawing)  # noqa: S314  (ours)
        assert root.get("role") == "img" and root[0].text and root[1].text
        labels = (root.get("aria-labelledby") or "").split()
        assert [root[0].get("id"), root[1].get("id")] == labels
    for name in names:
        answer = ada.get(name)
        rows = list(csv.reader(io.StringIO(answer.text)))
        assert answer.status_code == 200 and len(rows) > 1 and all(len(row) == 2 for row in rows)
    days = list(csv.reader(io.StringIO(ada.get(next(n for n in names if "per-day" in n)).text)))
    assert days[-1][1] == "3"
    assert ada.get(f"/owner/projects/{made.slug}/dashboard/nothing.csv").status_code == 404


def test_nothing_on_the_page_says_who_answered(ada: Person, site: Site) -> None:
    made = builders.project(site, account_id=1)
    (task,) = builders.tasks(site, made, 1)
    people = builders.answers(site, made, task, [YES, NO, YES])
    page = ada.get(f"/owner/projects/{made.slug}/dashboard").text
    assert not re.search(r"\b[0-9a-f]{16}\b", page)
    assert not any(str(who) in page for who in people)
    assert json.dumps(YES) not in page


def test_rates_are_a_chart_with_their_counts_in_words(ada: Person, site: Site) -> None:
    made = builders.project(site, account_id=1, redundancy=4)
    task, other = builders.tasks(site, made, 2)
    people = builders.answers(site, made, task, [YES, NO, None])
    with site.db.connection() as connection:
        connection.execute(
            "INSERT INTO skip (contributor_id, task_id, project_id) VALUES (%s, %s, %s)",
            (people[0], other, made.id),
        )
    page = ada.get(f"/owner/projects/{made.slug}/dashboard").text
    assert 'data-live="could-not"' in page and f"/owner/projects/{made.slug}/reports" in page
    rows = list(csv.reader(io.StringIO(ada.get(f"/owner/projects/{made.slug}/dashboard/could-not.csv").text)))
    assert rows[1:] == [
        ["Can’t tell (1 of 3)", "33.3"],
        ["Skipped (1 of 4)", "25.0"],
        ["Reported (0 of 3)", "0.0"],
    ]


def test_disputed_tasks_lead_to_the_reviewers_list(ada: Person, site: Site) -> None:
    made = builders.project(site, account_id=1, redundancy=2)
    (task,) = builders.tasks(site, made, 1)
    builders.answers(site, made, task, [YES, NO])
    with site.db.connection() as connection:
        connection.execute(
            "INSERT INTO consensus (task_id, project_id, agreement, n_answers, is_tied, detail, reducer)"
            " VALUES (%s, %s, 0.5, 2, true, '{}', 'question/1')",
            (task, made.id),
        )
    page = ada.get(f"/owner/projects/{made.slug}/dashboard").text
    assert f"/research/{made.slug}/tasks?disputed=1" in page


def test_a_larger_project_takes_no_more_statements(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    execute = psycopg.Cursor.execute

    def noted(self: Any, query: Any, *given: Any, **named: Any) -> Any:
        sent.append(str(query))
        return execute(self, query, *given, **named)

    made = builders.project(site, account_id=builders.account(site))
    tasks = builders.tasks(site, made, 30, gold=YES)
    board(site, made)  # a new connection asks for this and that
    monkeypatch.setattr(psycopg.Cursor, "execute", noted)
    board(site, made)
    few = len(sent)
    people = [builders.contributor() for _ in range(3)]
    for task in tasks:
        builders.answers(site, made, task, [YES, NO, YES], contributors=people)
    sent.clear()
    assert board(site, made).n_answers == 90
    assert len(sent) == few <= 12


def test_a_dear_dashboard_is_kept_and_a_cheap_one_is_fresh(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = builders.project(site, account_id=builders.account(site))
    (task,) = builders.tasks(site, made, 1)
    with site.db.session() as session:
        project = projects.get(session, made.id)
    now = [0.0]
    monkeypatch.setattr(engine, "_cache", engine.Cache(lambda: now[0]))
    assert engine.cached_dashboard(site, project).n_answers == 0
    builders.answers(site, made, task, [YES])
    assert engine.cached_dashboard(site, project).n_answers == 1  # it took no time

    def expensive(site: Site, project: Project) -> engine.Dashboard:
        now[0] += 2
        return found(site, project)

    found = engine.dashboard
    monkeypatch.setattr(engine, "dashboard", expensive)
    engine.cached_dashboard(site, project)
    builders.answers(site, made, task, [YES])
    assert engine.cached_dashboard(site, project).n_answers == 1
    now[0] += 41  # kept for twenty times what it took
    assert engine.cached_dashboard(site, project).n_answers == 2


def test_a_project_without_tasks_has_a_dashboard_too(ada: Person, site: Site) -> None:
    made = builders.project(site, "marking", account_id=1)
    assert "Nothing yet." in ada.get(f"/owner/projects/{made.slug}/dashboard").text
