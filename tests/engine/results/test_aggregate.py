"""Consensus made in the background: the same as inline, in any order, never over newer answers."""

from __future__ import annotations

import json
import random
from typing import Any

from builders import NO, YES, ProjectRow, answers, contributor, media, project, tasks

from microtasks.core.values import Answer
from microtasks.engine.results.aggregate import aggregate, reduce_task, refresh
from microtasks.engine.site import Site
from microtasks.store.results import answer_arrays, counted_answers
from microtasks.store.results import consensus as stored
from microtasks.tasktypes import get


def row(site: Site, task_id: int) -> dict[str, Any]:
    with site.db.connection() as connection:
        found = connection.execute(
            "SELECT value, agreement, confidence, n_answers, is_tied, detail, method, reducer"
            " FROM consensus WHERE task_id = %s",
            (task_id,),
        ).fetchone()
    names = ("value", "agreement", "confidence", "n_answers", "is_tied", "detail", "method", "reducer")
    return dict(zip(names, found, strict=True)) if found else {}


def circle(x: float, y: float, r: float) -> dict[str, float]:
    return {"x": x, "y": y, "r": r}


def tile(
    site: Site, of: ProjectRow, x: int, y: int, width: int = 100, height: int = 100, source: str = "mars"
) -> int:
    (made,) = tasks(site, of, media_ids=[media(site, width, height)])
    with site.db.connection() as connection:
        connection.execute(
            "UPDATE task_content SET source = %s, source_x = %s, source_y = %s WHERE task_id = %s",
            (source, x, y, made),
        )
    return made


def source_marks(site: Site, of: ProjectRow, source: str = "mars") -> list[dict[str, Any]]:
    with site.db.connection() as connection:
        found = connection.execute(
            "SELECT detail FROM source_consensus WHERE project_id = %s AND source = %s", (of.id, source)
        ).fetchone()
    return found[0]["marks"] if found else []


def test_majority_of_a_project_is_what_each_task_alone_gives(site: Site) -> None:
    of = project(site, redundancy=5)
    made = tasks(site, of, 4)
    rng = random.Random(1)
    for task in made:
        answers(site, of, task, [rng.choice([YES, NO, None]) for _ in range(5)])
    result = aggregate(site, of.id)
    assert (result.n_tasks, result.n_left) == (4, 0)
    question = get("question")
    config = question.parse_config({"fields": [{"id": "answer", "choices": [{"id": "yes"}, {"id": "no"}]}]})
    for task in made:
        with site.db.connection() as connection:
            said = counted_answers.of_task(connection, task).said
        alone = question.reduce([Answer(*one) for one in said], config)
        found = row(site, task)
        assert (found["value"], found["agreement"], found["confidence"], found["is_tied"]) == (
            alone.value,
            alone.agreement,
            alone.confidence,
            alone.is_tied,
        )


def test_vote_and_model_are_stored_side_by_side_and_the_method_decides(site: Site) -> None:
    of = project(site, redundancy=5)
    good, bad = [contributor() for _ in range(2)], [contributor() for _ in range(3)]
    # The good two are confirmed by many on other tasks; the three others contradict everybody there.
    for number, task in enumerate(tasks(site, of, 20, redundancy=9)):
        right, wrong = (YES, NO) if number % 2 else (NO, YES)
        crowd = [contributor() for _ in range(4)]
        answers(site, of, task, [right] * 6 + [wrong] * 3, contributors=[*crowd, *good, *bad])
    (disputed,) = tasks(site, of, 1)
    answers(site, of, disputed, [YES] * 2 + [NO] * 3, contributors=[*good, *bad])
    aggregate(site, of.id)
    field = row(site, disputed)["detail"]["fields"]["answer"]
    assert row(site, disputed)["value"] == NO
    assert (field["vote"], field["model"], field["differs"]) == ("no", "yes", True)
    aggregate(site, of.id, "model")
    assert row(site, disputed)["value"] == YES
    assert row(site, disputed)["method"] == "model"
    assert row(site, disputed)["agreement"] == 0.4


def test_aggregate_leaves_alone_what_was_answered_since_it_was_read(site: Site) -> None:
    of = project(site)
    (task,) = tasks(site, of, 1)
    answers(site, of, task, [YES])
    with site.db.connection() as connection:
        old = counted_answers.of_task(connection, task)
    answers(site, of, task, [NO])
    consensus = get("tagging").reduce(
        [], get("tagging").parse_config({"tags": [{"id": "a"}]})
    )  # any consensus will do
    with site.db.connection() as connection:
        n_stored = stored.put_many(
            connection, of.id, [stored.Reduced(task, consensus, old.version)], "majority"
        )
    assert n_stored == 0
    assert row(site, task) == {}


def test_aggregate_twice_writes_the_same_bytes(site: Site) -> None:
    of = project(site, "marking", redundancy=3)
    made = tasks(site, of, 3, media_ids=[media(site)])
    rng = random.Random(2)
    for task in made:
        marks = [
            {"marks": [circle(100 + rng.random(), 100 + rng.random(), 20), circle(50 * i + 30, 200, 15)]}
            for i in range(3)
        ]
        answers(site, of, task, marks)
    aggregate(site, of.id)
    first = [json.dumps(row(site, task), sort_keys=True) for task in made]
    aggregate(site, of.id)
    assert [json.dumps(row(site, task), sort_keys=True) for task in made] == first
    assert len(row(site, made[0])["value"]["marks"]) == 1


def test_reduce_task_stores_the_consensus_and_may_run_twice(site: Site) -> None:
    of = project(site, "marking", redundancy=3)
    (task,) = tasks(site, of, media_ids=[media(site)])
    answers(site, of, task, [{"marks": [circle(100, 100, 20)]}] * 2 + [None])
    reduce_task(site, task)
    reduce_task(site, task)
    found = row(site, task)
    assert found["n_answers"] == 3
    assert found["value"]["marks"] == [{"x": 100.0, "y": 100.0, "r": 20.0}]
    assert found["detail"]["marks"][0]["n_saw"] == 2
    reduce_task(site, 10**9)  # a task that is gone: nothing to do


def test_surplus_answers_do_not_count(site: Site) -> None:
    of = project(site)
    (task,) = tasks(site, of, 1)
    answers(site, of, task, [YES, YES])
    answers(site, of, task, [NO, NO, NO], status="surplus")
    aggregate(site, of.id)
    assert row(site, task)["value"] == YES
    assert row(site, task)["n_answers"] == 2


def test_a_task_without_counted_answers_keeps_no_consensus(site: Site) -> None:
    of = project(site)
    (task,) = tasks(site, of, 1)
    answers(site, of, task, [YES])
    aggregate(site, of.id)
    with site.db.connection() as connection:
        connection.execute("DELETE FROM answer WHERE task_id = %s", (task,))
        connection.execute("UPDATE task SET n_answers = 0 WHERE id = %s", (task,))
    aggregate(site, of.id)
    assert row(site, task) == {}


def test_one_thing_in_two_overlapping_tiles_is_one(site: Site) -> None:
    of = project(site, "marking", redundancy=3)
    left, right = tile(site, of, 0, 0), tile(site, of, 60, 0)
    same = [contributor() for _ in range(3)]
    # At x = 80 of the big image: in the overlap (60 to 100), whole in both tiles.
    answers(site, of, left, [{"marks": [circle(80, 50, 8)]}] * 3, contributors=same)
    answers(
        site,
        of,
        right,
        [{"marks": [circle(20, 50, 8)]}] * 3,
        contributors=[same[0], contributor(), contributor()],
    )
    aggregate(site, of.id)
    (mark,) = source_marks(site, of)
    assert (mark["x"], mark["y"], mark["r"]) == (80.0, 50.0, 8.0)
    assert (mark["n_marked"], mark["n_saw"]) == (5, 5)  # one of them saw both tiles


def test_viewers_of_one_tile_alone_vote_on_what_only_it_shows(site: Site) -> None:
    of = project(site, "marking", redundancy=3)
    left, right = tile(site, of, 0, 0), tile(site, of, 60, 0)
    answers(site, of, left, [{"marks": [circle(30, 50, 10)]}] * 3)
    answers(site, of, right, [{"marks": []}] * 3)
    aggregate(site, of.id)
    (mark,) = source_marks(site, of)
    assert (mark["n_marked"], mark["n_saw"]) == (3, 3)


def test_a_mark_cut_off_by_a_tile_makes_no_false_object(site: Site) -> None:
    of = project(site, "marking", redundancy=3)
    left, right = tile(site, of, 0, 0), tile(site, of, 60, 0)
    # The crater at x = 95 with r = 14 goes over the left tile's edge at 100; whole in the right one.
    answers(site, of, left, [{"marks": [circle(91, 50, 11)]}] * 3)
    answers(site, of, right, [{"marks": [circle(35, 50, 14)]}] * 3)
    aggregate(site, of.id)
    (mark,) = source_marks(site, of)
    assert (mark["x"], mark["r"]) == (95.0, 14.0)
    assert (mark["n_marked"], mark["n_saw"]) == (3, 3)


def test_a_thing_that_no_tile_shows_whole_is_voted_on_by_those_who_saw_its_centre(site: Site) -> None:
    of = project(site, "marking", redundancy=3)
    left, right = tile(site, of, 0, 0), tile(site, of, 90, 0)
    answers(site, of, left, [{"marks": [circle(70, 50, 45)]}] * 3)
    answers(site, of, right, [{"marks": []}] * 3)
    aggregate(site, of.id)
    (mark,) = source_marks(site, of)
    assert (mark["x"], mark["r"], mark["n_marked"], mark["n_saw"]) == (70.0, 45.0, 3, 3)


def test_reducing_a_tile_refreshes_its_big_image(site: Site) -> None:
    of = project(site, "marking", redundancy=3)
    left, right = tile(site, of, 0, 0), tile(site, of, 60, 0)
    answers(site, of, left, [{"marks": [circle(20, 20, 10)]}] * 3)
    reduce_task(site, left)
    assert [mark["x"] for mark in source_marks(site, of)] == [20.0]
    answers(site, of, right, [{"marks": [circle(70, 80, 10)]}] * 3)
    reduce_task(site, right)
    assert [mark["x"] for mark in source_marks(site, of)] == [20.0, 130.0]


def test_a_model_is_fitted_anew_once_there_are_answers_that_it_has_not_seen(site: Site) -> None:
    def age(table: str, minutes: int) -> None:
        with site.db.connection() as connection:
            connection.execute(f"UPDATE {table} SET created_at = now() - make_interval(mins => {minutes})")  # noqa: S608

    voted = project(site)
    of = project(site, method="model")
    first, second = tasks(site, of, 2)
    assert refresh(site) == []  # nobody has answered
    answers(site, of, first, [YES])
    answers(site, voted, tasks(site, voted)[0], [YES])
    (job,) = refresh(site)
    assert refresh(site) == []  # it is queued
    age("job", 5)
    answers(site, of, second, [YES])
    assert refresh(site) == []  # answers come in: wait a little
    age("job", 11)
    assert refresh(site) == [job]  # but not too long; the same one still waits
    age("job", 5)
    age("answer", 2)
    assert refresh(site) == [job]  # or until nobody answers any more


def test_whatever_was_typed_survives_the_bulk_path(site: Site) -> None:
    text = 'a\\b\tc\nd "quoted" \\N ☃'
    config = {"fields": [{"id": "t", "kind": "text"}]}
    of = project(site, config=config, redundancy=2)
    (task,) = tasks(site, of)
    answers(site, of, task, [{"t": text}, {"t": text}])
    assert aggregate(site, of.id).n_tasks == 1
    assert row(site, task)["value"] == {"t": text}
    assert row(site, task)["detail"]["fields"]["t"]["votes"] == {text: 2}


def test_made_anew_without_news_writes_nothing(site: Site) -> None:
    def versions() -> list[Any]:
        with site.db.connection() as connection:
            return connection.execute("SELECT task_id, xmin::text FROM consensus ORDER BY 1").fetchall()

    of = project(site)
    first, second = tasks(site, of, 2)
    answers(site, of, first, [YES, NO, YES])
    answers(site, of, second, [YES])
    aggregate(site, of.id)
    before = versions()
    aggregate(site, of.id)
    assert versions() == before
    answers(site, of, second, [NO])
    aggregate(site, of.id)
    assert [a == b for a, b in zip(before, versions(), strict=True)].count(False) >= 1


def test_columns_are_read_in_chunks_and_each_answer_is_there_once(site: Site) -> None:
    of = project(site, redundancy=4)
    people = [contributor() for _ in range(4)]
    rng = random.Random(3)
    said = {
        (task, who.hex): value
        for task in tasks(site, of, 7)
        for who, value in zip(people, [rng.choice([YES, NO, None]) for _ in people], strict=True)
    }
    for task in sorted({task for task, _ in said}):
        answers(site, of, task, [said[task, who.hex] for who in people], contributors=people)
    found = answer_arrays.read(site.db, of.id, chunk=2)
    assert {
        (int(found.task_ids[t]), found.people[p]): found.spoken[s].value
        for t, p, s in zip(found.task, found.person, found.said, strict=True)
    } == said
    assert found.versions.tolist() == [4] * 7
    assert len(found.spoken) <= 3
    assert found.people == sorted(found.people)
