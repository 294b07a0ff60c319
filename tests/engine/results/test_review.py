"""A review: who is left out, what the consensus is without them, and that nothing of it is for ever."""

from __future__ import annotations

import json
import random
from typing import Any
from uuid import UUID

import pytest
from builders import NO, YES, answers, contributor, media, project, tasks

from microtasks.core.errors import NotFound
from microtasks.engine.exports import download, snapshots
from microtasks.engine.operations import jobs
from microtasks.engine.operations.invariants import check
from microtasks.engine.results import review
from microtasks.engine.results.aggregate import aggregate, reduce_task, refresh
from microtasks.engine.site import Site
from microtasks.store.projects import projects


def crowd(site: Site, **fields: Any) -> tuple[Any, list[int], list[UUID], UUID]:
    """A project of 30 tasks that three good volunteers and one who always says yes have answered."""
    of = project(site, redundancy=4, **fields)
    good, spam = [contributor() for _ in range(3)], contributor()
    rng = random.Random(1)
    made = tasks(site, of, 30)
    for number, task in enumerate(made):
        right, wrong = (YES, NO) if number % 2 else (NO, YES)
        said = [right if rng.random() < 0.9 else wrong for _ in good]
        answers(site, of, task, [*said, YES], contributors=[*good, spam])
    return of, made, good, spam


def consensus(site: Site) -> list[str]:
    with site.db.connection() as connection:
        return [
            json.dumps(row, sort_keys=True, default=str)
            for row in connection.execute(
                "SELECT task_id, value, agreement, confidence, n_answers, detail FROM consensus ORDER BY 1"
            )
        ]


def records(site: Site, of: Any) -> dict[str, Any]:
    return dict(review.overview(site, of.id).records)


def test_who_always_says_the_same_weighs_nothing_and_every_answer_stays(site: Site) -> None:
    of, _, good, spam = crowd(site)
    review.review(site, of.id)
    found = records(site, of)
    assert found[review.pseudonym(site, spam)].is_excluded
    assert found[review.pseudonym(site, spam)].habits == ["always_the_same"]
    assert not any(found[review.pseudonym(site, one)].is_excluded for one in good)
    with site.db.connection() as connection:
        assert connection.execute("SELECT count(*) FROM answer").fetchone() == (120,)
        assert connection.execute("SELECT min(n_answers), max(n_answers) FROM consensus").fetchone() == (3, 3)
    assert check(site) == []


def test_without_them_is_as_if_they_had_never_answered(site: Site) -> None:
    of, _, _, spam = crowd(site)
    review.review(site, of.id)
    left_out = consensus(site)
    with site.db.connection() as connection:
        connection.execute("DELETE FROM answer WHERE contributor_id = %s", (spam,))
        connection.execute("UPDATE task SET n_answers = 3, redundancy = 3")
    aggregate(site, of.id)
    assert consensus(site) == left_out


def test_the_owner_has_the_last_word(site: Site) -> None:
    of, _, good, spam = crowd(site)
    aggregate(site, of.id)
    before = consensus(site)
    review.review(site, of.id)
    assert consensus(site) != before
    review.set_excluded(site, of.id, review.pseudonym(site, spam), is_excluded=False)
    with site.db.connection() as connection:
        (job,) = connection.execute("SELECT id FROM job WHERE state = 'queued'").fetchone()
    assert jobs.run(site, job) == "done"
    assert consensus(site) == before
    found = records(site, of)[review.pseudonym(site, spam)]
    assert (found.is_excluded, found.decided_by) == (False, "owner")
    review.set_excluded(site, of.id, review.pseudonym(site, good[0]), is_excluded=True)
    review.review(site, of.id)
    assert records(site, of)[review.pseudonym(site, good[0])].is_excluded


def test_a_review_twice_writes_the_same(site: Site) -> None:
    def stored() -> list[Any]:
        with site.db.connection() as connection:
            return [
                *connection.execute("SELECT agreement, model FROM project_quality").fetchall(),
                *connection.execute(
                    "SELECT contributor_id, skill, tables, is_excluded FROM contributor_record ORDER BY 1"
                ).fetchall(),
            ]

    of, _, _, _ = crowd(site, stop_rule="confidence", answers_min=2)
    review.review(site, of.id)
    first = stored()
    review.review(site, of.id)
    assert stored() == first
    assert first[0][1]["answer"]["labels"] == ["yes", "no"]


def test_marks_of_who_was_left_out_make_no_object(site: Site) -> None:
    of = project(site, "marking", redundancy=3)
    (task,) = tasks(site, of, media_ids=[media(site)])
    wild = {"marks": [{"x": 50.0, "y": 50.0, "r": 9.0}]}
    people = answers(site, of, task, [wild, wild, {"marks": []}])
    review.review(site, of.id)
    for who in people[:2]:
        review.set_excluded(site, of.id, review.pseudonym(site, who), is_excluded=True)
    for make in (lambda: reduce_task(site, task), lambda: aggregate(site, of.id)):
        make()
        with site.db.connection() as connection:
            value, n = connection.execute("SELECT value, n_answers FROM consensus").fetchone()
        assert (value, n) == ({"marks": []}, 1)


@pytest.mark.parametrize("task_type", ["question", "tagging", "marking"])
def test_a_task_that_only_they_answered_has_no_value(site: Site, task_type: str) -> None:
    of = project(site, task_type, redundancy=3)
    (task,) = tasks(site, of, media_ids=[media(site)] if task_type == "marking" else [])
    value = {"question": YES, "tagging": {"tags": ["dunes"]}, "marking": {"marks": []}}[task_type]
    (who,) = answers(site, of, task, [value])
    review.review(site, of.id)
    review.set_excluded(site, of.id, review.pseudonym(site, who), is_excluded=True)
    aggregate(site, of.id)
    with site.db.connection() as connection:
        found = connection.execute("SELECT value, n_answers FROM consensus").fetchone()
    assert found is None or (found[0] in (None, {"marks": []}) and found[1] == 0)


def test_where_tasks_stop_when_sure_the_model_is_kept_fresh(site: Site) -> None:
    of = project(site, stop_rule="confidence", answers_min=2)
    answers(site, of, tasks(site, of)[0], [YES])
    (job,) = refresh(site)
    assert jobs.run(site, job) == "done"
    answers(site, of, tasks(site, of)[0], [YES])
    assert refresh(site) == []
    with site.db.connection() as connection:
        connection.execute(
            "UPDATE job SET created_at = created_at - interval '2 minutes',"
            " finished_at = finished_at - interval '2 minutes'"
        )
    assert len(refresh(site)) == 1


def test_there_must_be_such_a_volunteer(site: Site) -> None:
    of = project(site)
    for pseudonym in ("0" * 16, "", contributor().hex):
        with pytest.raises(NotFound):
            review.set_excluded(site, of.id, pseudonym, is_excluded=True)
    with pytest.raises(NotFound):
        review.review(site, 10**9)


def test_an_export_says_whose_answers_weigh_nothing(site: Site) -> None:
    def rows(what: str) -> list[dict]:
        with site.db.session() as session:
            found = projects.by_slug(session, of.slug)
        same = snapshots.take(site, found, same_names=True)
        text = b"".join(download.export(site, found, what, "jsonl", snapshot=same)).decode()
        return [json.loads(line) for line in text.splitlines()]

    of, _, _, spam = crowd(site)
    review.review(site, of.id)
    name = review.pseudonym(site, spam)
    assert {row["contributor"] for row in rows("answers") if row["status"] == "excluded"} == {name}
    (left_out,) = [row for row in rows("contributors") if row["is_excluded"]]
    assert (left_out["contributor"], left_out["habits"]) == (name, "always_the_same")
    assert all(0.8 < row["skill"] <= 1 for row in rows("contributors") if not row["is_excluded"])
