"""Clients that act together: what they can tell, hold, hurry and decide, of one network and of many."""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import builders as b
import pytest

from microtasks.core.errors import TooMany
from microtasks.engine.assignment import serve, submit, sweep
from microtasks.engine.assignment.submit import AnswerIn, Submitted
from microtasks.engine.operations import invariants
from microtasks.engine.results import review
from microtasks.engine.site import Site
from microtasks.store.assignment import hotpath


def ids(served: serve.Served) -> list[int]:
    return [lease.task["id"] for lease in served.leases]


def answer(
    site: Site, who: uuid.UUID, served: serve.Served | Submitted, network: bytes | None, next_limit: int = 0
) -> Submitted:
    sent = [AnswerIn(lease.token, "value", b.YES, 30.0) for lease in served.leases]
    return submit.submit(site, who, sent, network=network, next_limit=next_limit)


def place_gold(site: Site) -> None:
    sweep.advance_heads(site)


def mixed(site: Site, n: int, n_gold: int, **fields: Any) -> tuple[b.ProjectRow, set[int]]:
    """A project of n tasks, n_gold of them known; they lie anywhere in the order."""
    of = b.project(site, **fields)
    of_each = n // n_gold
    made = b.tasks(site, of, n, gold=[b.YES if i % of_each == of_each // 2 else None for i in range(n)])
    with site.db.connection() as connection:
        gold = {row[0] for row in connection.execute("SELECT task_id FROM task_gold")}
    assert len(made) == n and len(gold) == n_gold
    return of, gold


# -- gold ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("does_answer", [False, True])
@pytest.mark.parametrize("n_networks", [1, 10])
@pytest.mark.parametrize("redundancy", [3, 5])
def test_T33_thirty_colluding_clients_see_no_task_more_often_than_it_has_seats(
    site: Site, redundancy: int, n_networks: int, does_answer: bool
) -> None:
    of, gold = mixed(site, 400, 40, redundancy=redundancy, gold_share=0.3)
    place_gold(site)
    cap = max(1, (redundancy - 1) // 2)
    holders: dict[int, Counter[bytes]] = defaultdict(Counter)
    for i in range(30):
        who, network = b.contributor(), b.network(f"n{i % n_networks}")
        served = serve.lease(site, of.slug, who, limit=20, network=network)
        for task in ids(served):
            holders[task][network] += 1
        if does_answer:
            answer(site, who, served, network)
    assert holders.keys() & gold
    for of_networks in holders.values():
        assert sum(of_networks.values()) <= redundancy and max(of_networks.values()) <= cap
    most = {is_gold: max(sum(holders[task].values()) for task in holders if (task in gold) == is_gold)
            for is_gold in (True, False)}  # fmt: skip
    assert most[True] == most[False]
    assert invariants.check(site) == []


def test_T33_clients_that_compare_the_order_of_their_tasks_learn_nothing(site: Site) -> None:
    """Were known tasks drawn by themselves, they would stand elsewhere in each client's order."""
    of, gold = mixed(site, 200, 20, redundancy=5, answers_min=5, gold_share=0.3)
    place_gold(site)
    orders: list[list[int]] = []
    for i in range(5):
        who, seen = b.contributor(), []
        for _ in range(20 + i):
            served = serve.lease(site, of.slug, who, network=b.network(f"n{i}"))
            seen += ids(served)
            answer(site, who, served, b.network(f"n{i}"))
        orders.append(seen)
    for one in orders:
        for other in orders:
            common = set(one) & set(other)
            assert [t for t in one if t in common] == [t for t in other if t in common]
            assert common == set(min(one, other, key=len))
    assert len(set(orders[0]) & gold) >= 2


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_known_tasks_come_as_often_as_the_share_says_while_they_last(site: Site, share: float) -> None:
    of, gold = mixed(site, 400, 40, redundancy=1, answers_min=1, gold_share=share)
    place_gold(site)
    met = [task for _ in range(4) for task in ids(serve.lease(site, of.slug, b.contributor(), limit=20))]
    n_gold = len(gold & set(met))
    assert 0.4 * share * 80 <= n_gold <= min(40, 1.9 * share * 80)


def test_known_tasks_are_not_moved_to_where_somebody_has_been(site: Site) -> None:
    of, gold = mixed(site, 100, 10, redundancy=3, gold_share=0.5)
    cy = b.contributor()
    seen = ids(serve.lease(site, of.slug, cy, limit=20))
    with site.db.connection() as connection:
        where = dict(connection.execute("SELECT id, pos FROM task").fetchall())
        hotpath.place_gold(connection)
        moved = {task for task, pos in connection.execute("SELECT id, pos FROM task") if where[task] != pos}
        past = connection.execute("SELECT max(pos) FROM cursor").fetchone()[0]
        assert moved and moved <= gold - set(seen)
        assert all(
            pos > past
            for (pos,) in connection.execute("SELECT pos FROM task WHERE id = ANY(%s)", (list(moved),))
        )
        assert hotpath.place_gold(connection) == 0  # once


def test_where_known_tasks_are_more_than_the_share_they_stay_spread(site: Site) -> None:
    of, gold = mixed(site, 100, 50, redundancy=3, gold_share=0.1)
    place_gold(site)
    assert 6 <= len(gold & set(ids(serve.lease(site, of.slug, b.contributor(), limit=20)))) <= 14


# -- seats --------------------------------------------------------------------------------------------


def take_all(site: Site, of: b.ProjectRow, people: Sequence[uuid.UUID], network: bytes) -> int:
    return sum(len(serve.lease(site, of.slug, who, limit=20, network=network).leases) for who in people)


def test_T31_one_network_holds_at_most_a_fifth_of_the_seats(site: Site) -> None:
    of = b.project(site, redundancy=2)
    b.bulk_tasks(site, of, 1_000, redundancy=2)
    people = [b.contributor() for _ in range(300)]
    cellar = b.network("cellar")
    assert 390 <= take_all(site, of, people, cellar) <= 400  # of 2,000
    others = [b.contributor() for _ in range(10)]
    for i, who in enumerate(others):
        assert len(serve.lease(site, of.slug, who, limit=20, network=b.network(f"o{i}")).leases) == 20
    with site.db.connection() as connection:
        connection.execute(
            "UPDATE lease SET expires_at = now() - interval '1 s' WHERE network = %s", (cellar,)
        )
    sweep.sweep(site)
    assert take_all(site, of, people[:100], cellar) <= 100  # who let them lapse gets one at a time


def test_T31_a_small_project_is_not_taken_by_one_network_either(site: Site) -> None:
    of = b.project(site, redundancy=2)
    b.tasks(site, of, 10)
    sweep.advance_heads(site)
    assert take_all(site, of, [b.contributor() for _ in range(40)], b.network("cellar")) <= 10  # of 20
    assert serve.lease(site, of.slug, b.contributor(), network=b.network("other")).leases


def test_T31_who_lets_tasks_lapse_gets_one_at_a_time_until_as_many_are_answered(site: Site) -> None:
    of = b.project(site)
    b.bulk_tasks(site, of, 200)
    cy, home = b.contributor(), b.network("home")
    assert len(serve.lease(site, of.slug, cy, limit=3, network=home).leases) == 3
    with site.db.connection() as connection:
        connection.execute("UPDATE lease SET expires_at = now() - interval '1 s'")
    sweep.sweep(site)
    for _ in range(3):
        served = serve.lease(site, of.slug, cy, limit=3, network=home)
        assert len(served.leases) == 1
        assert answer(site, cy, served, home).receipts[0].status == "counted"
    assert len(serve.lease(site, of.slug, cy, limit=3, network=home).leases) == 3


@pytest.mark.parametrize(("rule", "answers_min"), [("agreement", 2), ("agreement", 3), ("confidence", 2)])
def test_T31_where_tasks_stop_early_one_network_never_decides_alone(
    site: Site, rule: str, answers_min: int
) -> None:
    of = b.project(site, redundancy=5, answers_min=answers_min, stop_rule=rule, stop_threshold=0.8)
    seats = answers_min if rule == "confidence" else 5  # stopping when sure begins with the fewest
    b.tasks(site, of, 6, redundancy=seats)
    cellar = b.network("cellar")
    for _ in range(12):
        sybil = b.contributor()
        for _ in range(6):
            answer(site, sybil, serve.lease(site, of.slug, sybil, network=cellar), cellar)
    with site.db.connection() as connection:
        rows = connection.execute("SELECT retired_at, n_answers FROM task").fetchall()
        per_task = connection.execute("SELECT count(*) FROM answer GROUP BY task_id").fetchall()
    assert all(retired is None for retired, _ in rows)
    assert max(n for (n,) in per_task) <= max(1, (answers_min - 1) // 2)


# -- pace ---------------------------------------------------------------------------------------------


def test_T32_two_hundred_answers_in_a_moment_are_not_taken(site: Site) -> None:
    of = b.project(site)
    b.bulk_tasks(site, of, 300)
    bot, home = b.contributor(), b.network("home")
    taken = 0
    with pytest.raises(TooMany, match="in a short time"):
        for _ in range(200):
            taken += len(answer(site, bot, serve.lease(site, of.slug, bot, network=home), home).receipts)
    assert 60 <= taken <= 80
    held = serve.lease(site, of.slug, bot, limit=3, network=home)
    with pytest.raises(TooMany):  # a block neither, and nothing of it is taken
        answer(site, bot, held, home)
    with site.db.connection() as connection:
        assert connection.execute("SELECT count(*) FROM answer").fetchone() == (taken,)
        connection.execute("UPDATE cursor SET paced_until = now()")  # a minute later
    assert answer(site, bot, held, home).receipts[0].status == "counted"


def test_T32_a_claimed_time_is_believed_only_as_far_as_the_servers_clock_goes(site: Site) -> None:
    of = b.project(site)
    b.bulk_tasks(site, of, 100)
    bot, patient = b.contributor(), b.contributor()
    for _ in range(15):
        answer(site, bot, serve.lease(site, of.slug, bot, limit=2), None)
    # A phone without a line: twenty tasks of half a minute each, sent at last, in a block and one by one.
    held = serve.lease(site, of.slug, patient, limit=20)
    with site.db.connection() as connection:
        connection.execute(
            "UPDATE lease SET leased_at = now() - interval '11 minutes' WHERE contributor_id = %s", (patient,)
        )
    answer(site, patient, serve.Served(held.leases[:10]), None)
    for lease in held.leases[10:]:
        answer(site, patient, serve.Served([lease]), None)
    with site.db.connection() as connection:

        def worst(who: uuid.UUID, what: str) -> float:
            row = connection.execute(
                f"SELECT {what}(least(seconds_spent, server_seconds)) FROM answer WHERE contributor_id = %s",  # noqa: S608
                (who,),
            ).fetchone()
            return float(row[0])  # type: ignore[index]

        assert worst(patient, "min") == 30.0
        assert worst(bot, "max") < 20.0  # of 30 claimed each, though the whole took a moment


def test_T32_the_review_excludes_who_was_too_fast_by_the_servers_clock(site: Site) -> None:
    of = b.project(site, redundancy=4)
    made = b.tasks(site, of, 40)
    honest = [b.contributor() for _ in range(3)]
    for i, task in enumerate(made):
        b.answers(site, of, task, [b.YES if i % 3 else b.NO] * 3, contributors=honest)
    bot = b.contributor()
    for _ in range(20):
        served = serve.lease(site, of.slug, bot, limit=2)
        sent = [
            AnswerIn(lease.token, "value", b.YES if lease.task["id"] % 2 else b.NO, 30.0)
            for lease in served.leases
        ]
        submit.submit(site, bot, sent)
    with site.db.connection() as connection:  # this machine may be slow: a hundredth of what it took
        connection.execute("UPDATE answer SET server_seconds = server_seconds / 100")
    review.review(site, of.id)
    found = dict(review.overview(site, of.id).records)
    assert found[review.pseudonym(site, bot)].is_excluded
    assert "too_fast" in found[review.pseudonym(site, bot)].habits
    assert not any(found[review.pseudonym(site, one)].is_excluded for one in honest)
