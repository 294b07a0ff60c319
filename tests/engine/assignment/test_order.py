"""Which task comes next: the owner's order, nearest to finished near the end, then doubt, then chance."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence

import builders as b
import pytest

from microtasks.engine.assignment import serve, submit, sweep
from microtasks.engine.assignment.submit import AnswerIn
from microtasks.engine.operations import invariants
from microtasks.engine.site import Site, open_site
from microtasks.settings import Settings

BAND = 1 << 52  # positions of one priority: store/imports/tasks.py

#: Open tasks that are handed out by need (hotpath.sql: hot_last).
LAST = 24


def first(site: Site, project: b.ProjectRow, who: uuid.UUID | None = None) -> int | None:
    served = serve.lease(site, project.slug, who or b.contributor())
    return served.leases[0].task["id"] if served.leases else None


def rest(site: Site, project: b.ProjectRow, n: int) -> list[int]:
    """The tasks that so many new contributors are given, each of whom goes away at once."""
    given = []
    for _ in range(n):
        who = b.contributor()
        task = first(site, project, who)
        assert task is not None
        given.append(task)
        with site.db.connection() as connection:
            connection.execute("DELETE FROM lease WHERE contributor_id = %s", (who,))
            connection.execute("UPDATE task SET n_leases = n_leases - 1 WHERE id = %s", (task,))
    return given


def judge(site: Site, project: b.ProjectRow, task: int, agreement: float | None) -> None:
    with site.db.connection() as connection:
        connection.execute(
            "INSERT INTO consensus (task_id, project_id, value, agreement, n_answers, is_tied, detail,"
            " method, reducer, parameters)"
            " VALUES (%s, %s, %s, %s, 2, false, '{}', 'majority', 'question/1', '{}')",
            (task, project.id, json.dumps(b.YES), agreement),
        )


def place(site: Site, tasks: Sequence[int], pos: int) -> None:
    with site.db.connection() as connection:
        connection.execute("UPDATE task SET pos = %s + id WHERE id = ANY(%s)", (pos, list(tasks)))


# -- near the end -------------------------------------------------------------------------------------


def test_of_the_last_tasks_those_that_lack_the_fewest_answers_go_first(site: Site) -> None:
    project = b.project(site, redundancy=4)
    made = b.tasks(site, project, 12)
    for i, task in enumerate(made):
        b.answers(site, project, task, [b.YES] * (i % 4))
    assert sweep.advance_heads(site) == 1
    served = serve.lease(site, project.slug, b.contributor(), limit=20)
    place_of = {task: i for i, task in enumerate(made)}
    assert [place_of[lease.task["id"]] % 4 for lease in served.leases] == [3] * 3 + [2] * 3 + [1] * 3 + [
        0
    ] * 3
    assert invariants.check(site) == []


def test_among_equals_chance_decides(site: Site) -> None:
    project = b.project(site, redundancy=5)
    made = b.tasks(site, project, 10)
    for task in made[5:]:
        b.answers(site, project, task, [b.YES])
    sweep.advance_heads(site)
    given = set(rest(site, project, 30))
    assert given <= set(made[5:]) and len(given) >= 3


def test_among_equals_the_one_that_people_disagree_on_goes_first(site: Site) -> None:
    project = b.project(site, redundancy=5, answers_min=2, stop_rule="agreement")
    made = b.tasks(site, project, 5)
    for task, agreement in zip(made, (0.9, 0.5, 0.7, 1.0, 0.6), strict=True):
        b.answers(site, project, task, [b.YES, b.NO])
        judge(site, project, task, agreement)
    sweep.advance_heads(site)
    served = serve.lease(site, project.slug, b.contributor(), limit=5)
    assert {lease.task["id"] for lease in served.leases} == set(made)
    assert set(rest(site, project, 5)) == {made[1]}


def test_the_owners_order_goes_before_all_that(site: Site) -> None:
    project = b.project(site, redundancy=5)
    high, low = b.tasks(site, project, 2)
    place(site, [high], 100 * BAND)
    place(site, [low], 101 * BAND)
    b.answers(site, project, low, [b.YES] * 3)
    assert set(rest(site, project, 3)) == {high}  # by the walk
    sweep.advance_heads(site)
    assert set(rest(site, project, 5)) == {high}


def test_with_many_tasks_left_the_walk_goes_on_as_ever(site: Site) -> None:
    project = b.project(site, redundancy=4)
    made = b.tasks(site, project, LAST + 1)
    b.answers(site, project, made[7], [b.YES] * 3)
    sweep.advance_heads(site)
    assert first(site, project) == made[0]


def test_who_has_met_the_last_tasks_still_gets_what_was_added_since(site: Site) -> None:
    project = b.project(site, redundancy=4)
    cy = b.contributor()
    for task in b.tasks(site, project, LAST):
        b.answers(site, project, task, [b.YES], contributors=[cy])
    sweep.advance_heads(site)
    assert (first(site, project, cy), serve.lease(site, project.slug, cy).reason) == (None, "none_for_you")
    more = b.tasks(site, project, 30)
    assert first(site, project, cy) == more[0]
    sweep.advance_heads(site)
    served = serve.lease(site, project.slug, cy, limit=20)
    assert [lease.task["id"] for lease in served.leases] == more[:20]


def test_what_one_holds_is_locked_for_nobody_else_and_the_last_seats_go_to_different_people(
    site: Site,
) -> None:
    project = b.project(site, redundancy=1)
    made = b.tasks(site, project, 6)
    sweep.advance_heads(site)
    assert {first(site, project) for _ in made} == set(made)
    assert first(site, project) is None


# -- stop when sure -----------------------------------------------------------------------------------


@pytest.fixture
def sure(site: Site) -> b.ProjectRow:
    return b.project(site, redundancy=8, answers_min=2, stop_rule="confidence", stop_threshold=0.95)


def answer(site: Site, project: b.ProjectRow, value: object, who: uuid.UUID | None = None) -> int:
    who = who or b.contributor()
    (lease,) = serve.lease(site, project.slug, who).leases
    submit.submit(site, who, [AnswerIn(lease.token, "value", value)])
    return int(lease.task["id"])


def test_a_task_that_opened_one_more_seat_is_served_before_all_others(site: Site, sure: b.ProjectRow) -> None:
    made = b.tasks(site, sure, 60, redundancy=2)
    assert [answer(site, sure, value) for value in (b.YES, b.NO)] == made[:1] * 2
    assert first(site, sure) == made[0]  # its third answer
    assert first(site, sure) == made[1]  # its only seat is taken
    assert invariants.check(site) == []


def test_who_has_met_it_goes_on_with_the_walk_and_newcomers_take_it(site: Site, sure: b.ProjectRow) -> None:
    made = b.tasks(site, sure, 60, redundancy=2)
    cy, dee = b.contributor(), b.contributor()
    answer(site, sure, b.YES, cy)
    answer(site, sure, b.NO, dee)
    assert first(site, sure, cy) == first(site, sure, dee) == made[1]
    assert first(site, sure) == made[0]


def test_of_those_that_lack_one_answer_the_most_doubtful_goes_first(site: Site, sure: b.ProjectRow) -> None:
    made = b.tasks(site, sure, 60, redundancy=3)
    for task, agreement in zip(made[:4], (0.9, 0.5, 0.7, 0.8), strict=True):
        b.answers(site, sure, task, [b.YES, b.NO])
        judge(site, sure, task, agreement)
    with site.db.connection() as connection:
        connection.execute("UPDATE task SET pos = nextval('task_soon') WHERE id = ANY(%s)", (made[:4],))
    assert set(rest(site, sure, 3)) == {made[1]}


def test_an_abandoned_last_answer_comes_back_at_once(site: Site, sure: b.ProjectRow) -> None:
    made = b.tasks(site, sure, 60, redundancy=2)
    for value in (b.YES, b.NO):
        answer(site, sure, value)
    gone, cy = b.contributor(), b.contributor()
    assert first(site, sure, gone) == made[0]
    assert answer(site, sure, b.YES, cy) == made[1]
    with site.db.connection() as connection:
        connection.execute(
            "UPDATE lease SET expires_at = now() - interval '1 s' WHERE contributor_id = %s", (gone,)
        )
    assert sweep.sweep(site) == 1
    assert first(site, sure, cy) == made[0]
    assert invariants.check(site) == []


def test_what_was_locked_when_its_turn_came_is_met_in_the_second_lap(site: Site, sure: b.ProjectRow) -> None:
    (task,) = b.tasks(site, sure, 1, redundancy=2)
    for value in (b.YES, b.NO):
        answer(site, sure, value)
    cy = b.contributor()
    with site.db.connection() as connection:
        connection.execute("SELECT 1 FROM task WHERE id = %s FOR UPDATE", (task,))
        assert first(site, sure, cy) is None
    assert first(site, sure, cy) == task


def test_a_rule_without_doubt_serves_them_by_the_walk(site: Site, sure: b.ProjectRow) -> None:
    from microtasks.store.projects import projects

    b.tasks(site, sure, 1, redundancy=2)
    for value in (b.YES, b.NO):
        answer(site, sure, value)
    with site.db.session() as session:
        project = projects.get(session, sure.id)
        project.stop_rule = "redundancy"
        session.add(project)
        session.flush()
        projects.change_stopping(session, project, "confidence")
        session.commit()
    assert first(site, sure) is not None
    assert invariants.check(site) == []


# -- what it costs ------------------------------------------------------------------------------------


@pytest.fixture
def listening(settings: Settings) -> Site:
    return open_site(settings.model_copy(update={"pool_size": 1}))


def pages(site: Site, project: b.ProjectRow, who: uuid.UUID) -> int:
    """Pages that one `next` touches."""
    with site.db.connection() as connection:
        row = connection.execute(
            "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT * FROM hot_lease(%s, %s, 1, NULL, 600, false)",
            (project.slug, who),
        ).fetchone()
    assert row is not None
    plan = row[0][0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def cost(site: Site, project: b.ProjectRow, who: uuid.UUID | None = None, n: int = 9) -> list[int]:
    """Of `n` calls, once the plans are made."""
    return [pages(site, project, who or b.contributor()) for _ in range(8 + n)][8:]


@pytest.mark.parametrize("rule", ["redundancy", "agreement", "confidence"])
def test_near_the_end_too_nobody_costs_five_times_a_normal_next(listening: Site, rule: str) -> None:
    site = listening
    project = b.project(site, redundancy=300, answers_min=300 if rule == "redundancy" else 2, stop_rule=rule)
    b.bulk_tasks(site, project, 5_000, redundancy=300)
    normal = sorted(cost(site, project))[4]
    cy = b.contributor()
    with site.db.connection() as connection:
        n = LAST if rule == "redundancy" else LAST * 2 // 3
        connection.execute(
            "UPDATE task SET retired_at = now(), retirement_reason = 'withdrawn' WHERE id NOT IN"
            " (SELECT id FROM task WHERE n_leases = 0 ORDER BY pos LIMIT %s)",
            (n,),
        )
        connection.execute(
            """INSERT INTO answer (project_id, task_id, contributor_id, kind, status, config_version, value)
               SELECT project_id, id, %s, 'value', 'counted', 1, '{}' FROM task WHERE open""",
            (cy,),
        )
        connection.execute("UPDATE task SET n_answers = n_answers + 1 WHERE open")
    sweep.advance_heads(site)
    new, met = cost(site, project, None, 5), cost(site, project, cy, 12)
    site.close()
    assert max(new) <= 5 * normal and max(met) <= 5 * normal, (normal, new, met)


def test_many_that_lack_one_answer_cost_who_has_met_them_little_and_only_once(listening: Site) -> None:
    site = listening
    project = b.project(site, redundancy=300, answers_min=2, stop_rule="confidence")
    b.bulk_tasks(site, project, 5_000, redundancy=300)
    normal = sorted(cost(site, project))[4]
    cy = b.contributor()
    with site.db.connection() as connection:
        connection.execute(
            """WITH soon AS (UPDATE task SET pos = nextval('task_soon'), n_answers = 1
                             WHERE id IN (SELECT id FROM task WHERE n_leases = 0 ORDER BY pos LIMIT 150)
                             RETURNING id, project_id)
               INSERT INTO answer (project_id, task_id, contributor_id, kind, status, config_version, value)
               SELECT project_id, id, %s, 'value', 'counted', 1, '{}' FROM soon""",
            (cy,),
        )
        connection.execute("ANALYZE task")
    costs = []
    for _ in range(16):
        costs.append(pages(site, project, cy))
        with site.db.connection() as connection:
            connection.execute(
                """WITH gone AS (DELETE FROM lease WHERE contributor_id = %s RETURNING task_id)
                   UPDATE task SET n_leases = n_leases - 1 WHERE id IN (SELECT task_id FROM gone)""",
                (cy,),
            )
    site.close()
    assert max(costs) <= 5 * normal and costs[-1] <= 1.2 * normal, (normal, costs)
