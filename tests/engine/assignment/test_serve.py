"""Handing out tasks: the order, what is held, when there is nothing, gold, and the cap of a network."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta

import builders as b
import pytest

from microtasks.core.errors import NotFound
from microtasks.engine.assignment import serve, submit, sweep
from microtasks.engine.assignment.submit import AnswerIn
from microtasks.engine.operations import invariants
from microtasks.engine.site import Site

LEASE_KEYS = {"lease", "expires_at", "task"}
TASK_KEYS = {"id", "type", "config", "payload", "media"}


def ids(served: serve.Served) -> list[int]:
    return [lease.task["id"] for lease in served.leases]


def answer_all(site: Site, who: uuid.UUID, served: serve.Served) -> list[str]:
    answers = [AnswerIn(lease.token, "value", b.YES) for lease in served.leases]
    return [receipt.status for receipt in submit.submit(site, who, answers).receipts]


def test_tasks_come_in_the_order_of_the_walk(site: Site) -> None:
    project = b.project(site)
    made = b.tasks(site, project, 3)
    cy = b.contributor()
    assert [ids(serve.lease(site, project.slug, cy, limit=n)) for n in (1, 2, 3)] == [
        made[:1],
        made[:2],
        made,
    ]


def test_asking_again_gives_the_same_leases_and_takes_no_seat(site: Site) -> None:
    project = b.project(site)
    b.tasks(site, project, 3)
    cy = b.contributor()
    first = serve.lease(site, project.slug, cy, limit=2)
    assert serve.lease(site, project.slug, cy, limit=2) == first
    assert ids(serve.lease(site, project.slug, cy, limit=1)) == ids(first)[:1]
    assert invariants.check(site) == []


def test_a_lease_is_what_the_contract_says(site: Site) -> None:
    project = b.project(site, lease_seconds=120)
    (task,) = b.tasks(site, project, 1, media_ids=[b.media(site, 400, 300)])
    (lease,) = serve.lease(site, project.slug, b.contributor()).leases
    said = json.loads(json.dumps(lease.to_json()))
    assert set(said) == LEASE_KEYS and set(said["task"]) == TASK_KEYS
    assert said["task"]["id"] == task and said["task"]["type"] == "question"
    assert said["task"]["config"] == b.CONFIGS["question"] and said["task"]["payload"] == {"text": "Item 0"}
    (image,) = said["task"]["media"]
    assert set(image) == {"url", "width", "height", "srcset"} and (image["width"], image["height"]) == (
        400,
        300,
    )
    left = datetime.fromisoformat(said["expires_at"]) - datetime.now(UTC)
    assert timedelta(seconds=100) < left < timedelta(seconds=140)


def test_a_block_is_at_most_twenty(site: Site) -> None:
    project = b.project(site)
    b.tasks(site, project, 25)
    assert len(serve.lease(site, project.slug, b.contributor(), limit=500).leases) == 20
    assert len(serve.lease(site, project.slug, b.contributor(), limit=0).leases) == 1


def test_P03_what_was_answered_or_skipped_is_not_offered_again(site: Site) -> None:
    project = b.project(site, redundancy=5)
    made = b.tasks(site, project, 3)
    cy = b.contributor()
    first, second, third = serve.lease(site, project.slug, cy, limit=3).leases
    submit.submit(site, cy, [AnswerIn(first.token, "value", b.YES), AnswerIn(second.token, "skip")])
    assert ids(serve.lease(site, project.slug, cy, limit=20)) == [made[2]]
    submit.submit(site, cy, [AnswerIn(third.token, "cant_tell")])
    with site.db.connection() as connection:  # not even from the beginning of the order
        connection.execute("UPDATE cursor SET pos = -1, lap = -1, rest_until = NULL")
    served = serve.lease(site, project.slug, cy)
    assert served.leases == [] and served.reason == "none_for_you" and served.retry_after_s


def test_the_reason_says_why_there_is_nothing(site: Site) -> None:
    project = b.project(site, redundancy=1)
    b.tasks(site, project, 1)
    cy, dee = b.contributor(), b.contributor()
    held = serve.lease(site, project.slug, cy)
    taken = serve.lease(site, project.slug, dee)
    assert (taken.reason, taken.leases) == ("none_for_you", []) and taken.retry_after_s
    answer_all(site, cy, held)
    done = serve.lease(site, project.slug, dee)
    assert (done.reason, done.retry_after_s) == ("complete", None)


def test_a_project_gives_tasks_only_while_it_is_published(site: Site) -> None:
    project = b.project(site)
    b.tasks(site, project, 2)
    cy = b.contributor()
    held = serve.lease(site, project.slug, cy)

    def become(state: str) -> None:
        with site.db.connection() as connection:
            connection.execute("UPDATE project SET state = %s WHERE id = %s", (state, project.id))

    become("paused")
    paused = serve.lease(site, project.slug, cy)
    assert (paused.leases, paused.reason) == ([], "paused") and paused.retry_after_s
    assert answer_all(site, cy, held) == ["counted"]
    become("archived")
    assert serve.lease(site, project.slug, cy).reason == "complete"
    become("draft")
    with pytest.raises(NotFound):
        serve.lease(site, project.slug, cy)
    with pytest.raises(NotFound):
        serve.lease(site, "no-such-project", cy)


def test_a_changed_config_is_seen_at_once_and_what_was_handed_out_before_is_judged_by_the_old_one(
    site: Site,
) -> None:
    project = b.project(site)
    b.tasks(site, project, 2)
    cy, dee = b.contributor(), b.contributor()
    old = serve.lease(site, project.slug, cy)
    config = json.loads(json.dumps(b.CONFIGS["question"]).replace('"yes"', '"sure"'))
    with site.db.connection() as connection:
        connection.execute(
            "UPDATE project SET config = %s, config_version = 2 WHERE id = %s",
            (json.dumps(config), project.id),
        )
        connection.execute(
            "INSERT INTO project_config (project_id, version, config) VALUES (%s, 2, %s)",
            (project.id, json.dumps(config)),
        )
    new = serve.lease(site, project.slug, dee)
    assert new.leases[0].task["config"] == config
    assert answer_all(site, cy, old) == ["counted"]
    assert answer_all(site, dee, new) == ["rejected"]
    with site.db.connection() as connection:
        assert connection.execute("SELECT config_version FROM answer").fetchall() == [(1,)]


def test_a_task_that_was_locked_when_the_walk_passed_is_met_in_the_second_lap(site: Site) -> None:
    project = b.project(site)
    made = b.tasks(site, project, 2)
    cy = b.contributor()
    with site.db.connection() as connection:
        connection.execute("SELECT 1 FROM task WHERE id = %s FOR UPDATE", (made[0],))
        served = serve.lease(site, project.slug, cy)
        assert ids(served) == [made[1]]
        answer_all(site, cy, served)
        assert serve.lease(site, project.slug, cy).reason == "none_for_you"
    assert ids(serve.lease(site, project.slug, cy)) == [made[0]]


def test_looking_back_over_much_is_paced(site: Site) -> None:
    project = b.project(site, redundancy=300, answers_min=300)
    made = b.tasks(site, project, 70)
    cy = b.contributor()
    for task in made:
        b.answers(site, project, task, [b.YES], contributors=[cy])
    with site.db.connection() as connection:
        connection.execute(
            "INSERT INTO cursor (contributor_id, project_id, pos) VALUES (%s, %s, -1)", (cy, project.id)
        )
    waits = [serve.lease(site, project.slug, cy).retry_after_s for _ in range(7)]
    assert waits == [2, 1, 1, 1, 1, 1, 30]  # the walk; five spans of 12 and the rest; then a pause


# -- gold ---------------------------------------------------------------------------------------------


def test_when_all_gold_was_seen_the_walk_goes_on(site: Site) -> None:
    project = b.project(site, gold_share=0.5)
    b.tasks(site, project, 3, gold=b.YES)
    b.tasks(site, project, 20)
    cy = b.contributor()
    met = []
    for _ in range(23):
        served = serve.lease(site, project.slug, cy)
        met += ids(served)
        answer_all(site, cy, served)
    assert len(set(met)) == 23


def test_T33_nothing_that_is_sent_tells_gold_from_the_rest(site: Site) -> None:
    project = b.project(site, gold_share=0.3, redundancy=1, answers_min=1)
    gold = set(b.tasks(site, project, 10, gold={"answer": "no"}))
    b.tasks(site, project, 100)
    shapes: dict[bool, set[str]] = {True: set(), False: set()}
    receipts: dict[bool, set[str]] = {True: set(), False: set()}
    for _ in range(6):
        who = b.contributor()
        for limit in (1, 5, 1, 3):
            served = serve.lease(site, project.slug, who, limit=limit)
            expiry = {lease.expires_at for lease in served.leases}
            assert len(expiry) == 1  # given out together, ending together
            for lease in served.leases:
                is_gold = lease.task["id"] in gold
                said = lease.to_json()
                text = json.dumps(
                    {**said, "lease": len(said["lease"]), "expires_at": 0, "task": shape(said["task"])}
                )
                shapes[is_gold].add(text)
                (receipt,) = submit.submit(site, who, [AnswerIn(lease.token, "value", b.YES)]).receipts
                receipts[is_gold].add(json.dumps({**receipt.to_json(), "task": 0}))
                (again,) = submit.submit(site, who, [AnswerIn(lease.token, "value", b.YES)]).receipts
                receipts[is_gold].add(json.dumps({**again.to_json(), "task": 0}))
    assert shapes[True] == shapes[False] and len(shapes[True]) == 1
    assert receipts[True] == receipts[False]


def shape(task: dict[str, object]) -> dict[str, object]:
    return {**task, "id": 0, "payload": sorted(task["payload"])}  # type: ignore[call-overload]


# -- one network --------------------------------------------------------------------------------------


def test_T31_a_class_of_forty_behind_one_address_works_and_is_never_a_majority(site: Site) -> None:
    project = b.project(site, redundancy=5)
    b.bulk_tasks(site, project, 400, redundancy=5)
    school = b.network("school")
    pupils = [b.contributor() for _ in range(40)]
    done: Counter[uuid.UUID] = Counter()
    for _ in range(6):
        for pupil in pupils:
            served = serve.lease(site, project.slug, pupil, limit=5, network=school)
            assert served.leases or served.reason == "none_for_you"
            done[pupil] += answer_all(site, pupil, served).count("counted")
    assert set(done.values()) == {20}  # two of five seats of each task
    with site.db.connection() as connection:
        assert connection.execute("SELECT DISTINCT n_answers FROM task").fetchall() == [(2,)]
    others = [b.contributor() for _ in range(3)]
    for who in others:
        while answer_all(site, who, serve.lease(site, project.slug, who, limit=20)):
            pass
    assert serve.lease(site, project.slug, pupils[0], network=school).reason == "complete"
    assert invariants.check(site) == []


def test_T31_ten_thousand_cookies_of_one_network_flip_no_task(site: Site) -> None:
    project = b.project(site, redundancy=3)
    made = b.tasks(site, project, 5)
    cellar = b.network("cellar")
    for _ in range(40):  # an identity a task; the cap does not care how many there are
        sybil = b.contributor()
        for lease in serve.lease(site, project.slug, sybil, limit=5, network=cellar).leases:
            submit.submit(site, sybil, [AnswerIn(lease.token, "value", b.NO)], network=cellar)
    for _ in range(2):
        honest = b.contributor()
        answer_all(site, honest, serve.lease(site, project.slug, honest, limit=5))
    with site.db.connection() as connection:
        values = connection.execute("SELECT value ->> 'answer' FROM consensus").fetchall()
    assert values == [("yes",)] * len(made)


def test_T31_without_three_answers_a_task_there_is_no_cap(site: Site) -> None:
    project = b.project(site, redundancy=2)
    b.tasks(site, project, 1)
    home = b.network("home")
    for _ in range(2):
        assert serve.lease(site, project.slug, b.contributor(), network=home).leases


def test_T31_a_late_answer_does_not_get_round_the_cap(site: Site) -> None:
    project = b.project(site, redundancy=3)
    b.tasks(site, project, 1)
    home = b.network("home")
    late, quick = b.contributor(), b.contributor()
    held = serve.lease(site, project.slug, late, network=home)
    with site.db.connection() as connection:
        connection.execute("UPDATE lease SET expires_at = now() - interval '1 s'")
    sweep.sweep(site)
    answer_all(site, quick, serve.lease(site, project.slug, quick, network=home))
    (receipt,) = submit.submit(
        site, late, [AnswerIn(held.leases[0].token, "value", b.YES)], network=home
    ).receipts
    assert receipt.status == "surplus"


def test_several_projects_do_not_mix(site: Site) -> None:
    one, two = b.project(site), b.project(site)
    first, second = b.tasks(site, one, 2), b.tasks(site, two, 2)
    cy = b.contributor()
    assert ids(serve.lease(site, one.slug, cy, limit=20)) == first
    assert ids(serve.lease(site, two.slug, cy, limit=20)) == second
