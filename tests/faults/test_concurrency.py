"""Many at once on real PostgreSQL: never over, never short, never twice, never stuck."""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import builders as b
import pytest

from microtasks.engine.assignment import serve, submit, sweep
from microtasks.engine.assignment.submit import AnswerIn
from microtasks.engine.operations import invariants
from microtasks.engine.site import Site, open_site
from microtasks.settings import Settings

PAUSE_S = 0.003  # before a client that was given nothing asks again
PATIENCE_S = 40.0  # a run that takes longer is stuck


@pytest.fixture
def site(settings: Settings) -> Iterator[Site]:
    """With as many connections as clients can make use of at once."""
    site = open_site(settings.model_copy(update={"pool_size": 24}))
    yield site
    site.close()


def together(n: int, act: Callable[[int], None]) -> None:
    """Run `act(0) .. act(n - 1)` in as many threads, begun at once; raise what any of them raised."""
    barrier = threading.Barrier(n)

    def one(i: int) -> None:
        barrier.wait()
        act(i)

    with ThreadPoolExecutor(n) as pool:
        for future in [pool.submit(one, i) for i in range(n)]:
            future.result(timeout=PATIENCE_S)


def patiently() -> Iterator[None]:
    """Again and again, with a little pause; a run that takes too long is stuck, and fails."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        yield
        time.sleep(PAUSE_S)
    raise AssertionError("stuck")


def expire(site: Site, who: uuid.UUID) -> None:
    """As if this contributor's time had run out."""
    with site.db.connection() as connection:
        connection.execute(
            "UPDATE lease SET expires_at = now() - interval '1 second' WHERE contributor_id = %s", (who,)
        )


def seats(site: Site, project: b.ProjectRow) -> Counter[tuple[int, int, bool]]:
    """(n_answers, n_leases, is_retired) of the project's tasks."""
    with site.db.connection() as connection:
        return Counter(
            connection.execute(
                "SELECT n_answers, n_leases, retired_at IS NOT NULL FROM task WHERE project_id = %s",
                (project.id,),
            ).fetchall()
        )


class Tally(Counter[str]):
    """Receipts by status, from many threads."""

    lock = threading.Lock()

    def add(self, submitted: submit.Submitted) -> None:
        with self.lock:
            self.update(receipt.status for receipt in submitted.receipts)


class Sweepers:
    """Two sweepers that run until the block ends, and look at the promise each time."""

    def __init__(self, site: Site) -> None:
        self.site, self.stop, self.broken = site, threading.Event(), Counter[str]()
        self.threads = [threading.Thread(target=self.run) for _ in range(2)]

    def run(self) -> None:
        while not self.stop.is_set():
            sweep.sweep(self.site)
            sweep.advance_heads(self.site)
            with self.site.db.connection() as connection:
                row = connection.execute(
                    """SELECT count(*) FROM task t WHERE n_answers + n_leases > redundancy
                         OR n_answers <> (SELECT count(*) FROM answer
                                          WHERE task_id = t.id AND status = 'counted')
                         OR n_leases <> (SELECT count(*) FROM lease WHERE task_id = t.id AND holds_seat)"""
                ).fetchone()
            assert row is not None
            self.broken["seats"] += row[0]
            self.stop.wait(0.01)

    def __enter__(self) -> Sweepers:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join()


def test_P02_sixteen_at_once_on_forty_tasks_give_exactly_the_answers_wanted(site: Site) -> None:
    project = b.project(site, redundancy=3)
    b.tasks(site, project, 40)
    statuses = Tally()

    def volunteer(i: int) -> None:
        who = b.contributor()
        for _ in patiently():
            served = serve.lease(site, project.slug, who)
            if served.reason == "complete":
                return
            for lease in served.leases:
                statuses.add(submit.submit(site, who, [AnswerIn(lease.token, "value", b.YES)]))

    together(16, volunteer)
    assert statuses == {"counted": 120}
    assert seats(site, project) == {(3, 0, True): 40}
    assert invariants.check(site) == []


def test_P02_P05_abandoned_late_repeated_skipped_and_block_work_ends_exact_and_complete(site: Site) -> None:
    project = b.project(site, redundancy=3, answers_min=2)
    b.tasks(site, project, 40)
    statuses = Tally()

    def volunteer(i: int) -> None:
        rng = random.Random(i)
        who = b.contributor()
        for _ in patiently():
            served = serve.lease(site, project.slug, who, limit=rng.choice([1, 1, 2, 10]))
            if served.reason == "complete":
                return
            if not served.leases:
                who = b.contributor()  # this one has met, or skipped, whatever is open
                continue
            fate = rng.random()
            answers = [AnswerIn(lease.token, "value", rng.choice([b.YES, b.NO])) for lease in served.leases]
            if fate < 0.15:  # closes the browser
                expire(site, who)
                who = b.contributor()
                continue
            if fate < 0.30:  # answers when the time is over
                expire(site, who)
            elif fate < 0.40:
                answers[0] = AnswerIn(answers[0].lease, "skip")
            elif fate < 0.50:
                answers[0] = AnswerIn(answers[0].lease, "cant_tell")
            statuses.add(submit.submit(site, who, answers, next_limit=rng.choice([0, 0, 1])))
            if rng.random() < 0.3:
                again = submit.submit(site, who, answers).receipts
                assert {receipt.status for receipt in again} == {"duplicate"}

    with Sweepers(site) as sweepers:
        together(16, volunteer)
    sweep.sweep(site)
    assert sweepers.broken["seats"] == 0
    assert statuses["counted"] == 120 and statuses["rejected"] == 0
    assert seats(site, project) == {(3, 0, True): 40}
    assert invariants.check(site) == []


@pytest.mark.parametrize("redundancy", [1, 2, 3, 5])
def test_P02_sixty_four_on_the_last_task_leave_it_neither_over_nor_short(site: Site, redundancy: int) -> None:
    n, rounds = 64, 12
    project = b.project(site, redundancy=redundancy)
    statuses = Tally()
    arrive, leave = threading.Barrier(n + 1), threading.Barrier(n + 1)

    def client(_: int) -> None:
        for _ in range(rounds):
            arrive.wait(PATIENCE_S)
            who = b.contributor()
            for _ in patiently():
                served = serve.lease(site, project.slug, who)
                if served.leases:
                    statuses.add(submit.submit(site, who, [AnswerIn(served.leases[0].token, "value", b.YES)]))
                    break
                if served.reason == "complete":
                    break
            leave.wait(PATIENCE_S)

    with ThreadPoolExecutor(n) as pool:
        clients = [pool.submit(client, i) for i in range(n)]
        for _ in range(rounds):
            b.tasks(site, project, 1)
            arrive.wait(PATIENCE_S)
            leave.wait(PATIENCE_S)
        for future in clients:
            future.result(PATIENCE_S)
    assert statuses == {"counted": rounds * redundancy}
    assert seats(site, project) == {(redundancy, 0, True): rounds}
    assert invariants.check(site) == []


def test_P03_two_tabs_of_one_contributor_never_hold_two_seats_of_a_task(site: Site) -> None:
    project = b.project(site, redundancy=2)
    ids = b.tasks(site, project, 60)
    who = b.contributor()
    seen: list[list[int]] = [[], []]
    statuses = Tally()
    barrier = threading.Barrier(2)

    def tab(i: int) -> None:
        for _ in ids:
            barrier.wait(PATIENCE_S)
            served = serve.lease(site, project.slug, who)
            seen[i].append(served.leases[0].task["id"])
            barrier.wait(PATIENCE_S)
            statuses.add(submit.submit(site, who, [AnswerIn(served.leases[0].token, "value", b.YES)]))

    together(2, tab)
    assert seen[0] == seen[1] == ids
    assert statuses == {"counted": len(ids), "duplicate": len(ids)}
    assert invariants.check(site) == []


def test_P04_answers_sent_up_to_five_times_in_parallel_are_one_row_each(site: Site) -> None:
    project = b.project(site, redundancy=2, answers_min=1)
    b.tasks(site, project, 60)
    who = b.contributor()
    leases = [lease for _ in range(3) for lease in _block(site, project, who)]
    assert len(leases) == 60
    statuses: dict[str, Counter[str]] = {token: Counter() for token in leases}
    lock = threading.Lock()

    def send(i: int) -> None:
        for token in leases[i % 5 :: 5]:
            (receipt,) = submit.submit(site, who, [AnswerIn(token, "value", b.YES)]).receipts
            with lock:
                statuses[token][receipt.status] += 1

    together(20, send)  # four senders a fifth
    assert all(said == {"counted": 1, "duplicate": 3} for said in statuses.values())
    assert invariants.check(site) == []


def _block(site: Site, project: b.ProjectRow, who: uuid.UUID) -> list[str]:
    """Twenty more leases: those before are put out of sight for the while by another hand's clock."""
    with site.db.connection() as connection:
        connection.execute(
            "UPDATE lease SET expires_at = now() - interval '1 h' WHERE contributor_id = %s", (who,)
        )
    tokens = [lease.token for lease in serve.lease(site, project.slug, who, limit=20).leases]
    with site.db.connection() as connection:
        connection.execute(
            "UPDATE lease SET expires_at = now() + interval '1 h' WHERE contributor_id = %s", (who,)
        )
    return tokens


def test_blocks_that_overlap_in_any_order_are_answered_at_once_without_a_deadlock(site: Site) -> None:
    project = b.project(site, redundancy=12, answers_min=1)
    b.tasks(site, project, 20)
    statuses = Tally()

    def volunteer(i: int) -> None:
        who = b.contributor()
        leases = serve.lease(site, project.slug, who, limit=20).leases
        random.Random(i).shuffle(leases)
        answers = [AnswerIn(lease.token, "value", b.YES) for lease in leases]
        statuses.add(submit.submit(site, who, answers))

    together(12, volunteer)
    while sum(statuses.values()) < 240:  # who came when others held the locks was given fewer
        volunteer(len(statuses))
    assert statuses == {"counted": 240}
    assert invariants.check(site) == []


def test_T31_one_network_never_has_more_seats_of_a_task_than_its_cap_however_fast_it_asks(site: Site) -> None:
    project = b.project(site, redundancy=5)
    ids = b.tasks(site, project, 30)
    home = b.network("home")
    held: Counter[int] = Counter()
    lock = threading.Lock()

    def sybil(i: int) -> None:
        for _ in range(8):
            who = b.contributor()
            for lease in serve.lease(site, project.slug, who, limit=3, network=home).leases:
                with lock:
                    held[lease.task["id"]] += 1
                if i % 2:
                    submit.submit(site, who, [AnswerIn(lease.token, "value", b.YES)], network=home)

    together(16, sybil)
    while serve.lease(site, project.slug, b.contributor(), network=home).leases:
        pass
    assert set(held) <= set(ids) and max(held.values()) <= 2
    assert invariants.check(site) == []
    with site.db.connection() as connection:
        worst = connection.execute(
            """SELECT max(n) FROM (SELECT task_id, count(*) AS n FROM (
                   SELECT task_id FROM answer WHERE network = %(net)s
                   UNION ALL SELECT task_id FROM lease WHERE network = %(net)s AND holds_seat) AS taken
               GROUP BY task_id) AS counted""",
            {"net": home},
        ).fetchone()
    assert worst == (2,)
