"""P01-P05 as a state machine: whatever volunteers, clocks and owners do in any order, the promises hold.

The invariant is written on seats: leases and counted answers together. At the end fresh volunteers must be
able to finish everything (drain): this is what finds a task that is stuck. Nothing is left to chance but
what hypothesis chooses, so that it can shrink what it finds.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import builders as b
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from microtasks.engine.assignment import serve, submit, sweep
from microtasks.engine.assignment.submit import AnswerIn
from microtasks.engine.operations import invariants
from microtasks.engine.site import Site
from microtasks.store.assignment import hotpath

PEOPLE = 5
VALUES = st.sampled_from(["value:yes", "value:no", "cant_tell"])
NETWORKS = st.sampled_from([None, None, b.network("school")])


class Engine(RuleBasedStateMachine):
    """Five volunteers, one project. `held` and `said` are what a client would remember."""

    site: Site

    @initialize(
        redundancy=st.integers(1, 4),
        spare=st.integers(0, 3),
        rule_=st.sampled_from(["redundancy", "agreement"]),
        gold_share=st.sampled_from([0.0, 0.0, 0.4]),
    )
    def begin(self, redundancy: int, spare: int, rule_: str, gold_share: float) -> None:
        self.project = b.project(
            self.site,
            redundancy=redundancy,
            answers_min=max(1, redundancy - spare),
            stop_rule=rule_,
            gold_share=gold_share,
        )
        self.people = [uuid.UUID(int=n << 112 | 0xC << 60) for n in range(1, PEOPLE + 1)]
        self.held: dict[tuple[int, int], str] = {}  # (person, task): token; kept after the lease has ended
        self.said: dict[tuple[int, int], str] = {}  # (person, task): first receipt that was not a rejection
        self.versions: dict[tuple[int, int], set[str]] = {}  # what was answered, in every version
        self.skipped: set[tuple[int, int]] = set()
        self.state = "published"

    # -- what may happen ------------------------------------------------------------------------------

    @rule(n=st.integers(1, 4), gold=st.booleans())
    def add_tasks(self, n: int, gold: bool) -> None:
        b.tasks(self.site, self.project, n, gold=b.YES if gold else None)
        with self.site.db.connection() as connection:
            hotpath.lower_head(connection, self.project.id)

    @rule(person=st.integers(0, PEOPLE - 1), limit=st.integers(1, 4), network=NETWORKS)
    def lease(self, person: int, limit: int, network: bytes | None) -> None:
        served = serve.lease(self.site, self.project.slug, self.people[person], limit=limit, network=network)
        assert self.state == "published" or served.reason == "paused"
        assert bool(served.leases) != bool(served.reason)
        self.take(person, served.leases)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), how=VALUES, next_limit=st.integers(0, 2), network=NETWORKS)
    def answer(self, data: st.DataObject, how: str, next_limit: int, network: bytes | None) -> None:
        self.post([data.draw(st.sampled_from(sorted(self.held)))], how, next_limit, network)

    @precondition(lambda self: len(self.held) > 1)
    @rule(data=st.data(), how=VALUES, person=st.integers(0, PEOPLE - 1))
    def answer_a_block(self, data: st.DataObject, how: str, person: int) -> None:
        mine = sorted(key for key in self.held if key[0] == person)
        if mine:
            self.post(data.draw(st.lists(st.sampled_from(mine), min_size=1, max_size=6)), how, 0, None)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def skip(self, data: st.DataObject) -> None:
        self.post([data.draw(st.sampled_from(sorted(self.held)))], "skip", 0, None)

    @precondition(lambda self: self.said)
    @rule(data=st.data(), how=VALUES)
    def revise(self, data: st.DataObject, how: str) -> None:
        person, task = data.draw(st.sampled_from(sorted(self.said)))
        kind, _, value = how.partition(":")
        try:
            submit.revise(
                self.site,
                self.people[person],
                self.held[person, task],
                kind,
                {"answer": value} if value else None,
            )
            self.versions[person, task].add(how)
        except submit.AnswerInvalid:
            assert sum(key[0] == person for key in self.said) > submit.REVISABLE

    @rule(person=st.integers(0, PEOPLE - 1))
    def time_runs_out(self, person: int) -> None:
        with self.site.db.connection() as connection:
            connection.execute(
                "UPDATE lease SET expires_at = now() - interval '1 second' WHERE contributor_id = %s",
                (self.people[person],),
            )

    @rule()
    def sweep(self) -> None:
        sweep.sweep(self.site)

    @rule()
    def advance_heads(self) -> None:
        sweep.advance_heads(self.site)

    @rule(state=st.sampled_from(["published", "published", "paused"]))
    def pause_or_publish(self, state: str) -> None:
        self.state = state
        self.sql("UPDATE project SET state = %s WHERE id = %s", state, self.project.id)

    @rule(data=st.data())
    def withdraw_a_task(self, data: st.DataObject) -> None:
        tasks = [row[0] for row in self.sql("SELECT id FROM task WHERE project_id = %s", self.project.id)]
        if len(tasks) > 4:
            self.sql(
                "UPDATE task SET retired_at = now(), retirement_reason = 'withdrawn'"
                " WHERE id = %s AND retired_at IS NULL",
                data.draw(st.sampled_from(tasks)),
            )

    # -- what must be so ------------------------------------------------------------------------------

    @invariant()
    def seats_are_exact(self) -> None:
        if not hasattr(self, "project"):
            return
        assert (
            self.sql(
                """SELECT id, n_answers, n_leases, redundancy FROM task t WHERE project_id = %s AND (
                     n_answers + n_leases > redundancy
                     OR n_answers <> (SELECT count(*) FROM answer WHERE task_id = t.id AND status = 'counted')
                     OR n_leases <> (SELECT count(*) FROM lease WHERE task_id = t.id AND holds_seat)
                     OR n_answers >= redundancy AND retired_at IS NULL
                     OR (redundancy >= 3 AND greatest(1, (redundancy - 1) / 2) < (
                         SELECT count(*) FROM answer
                         WHERE task_id = t.id AND status = 'counted' AND network IS NOT NULL) + (
                         SELECT count(*) FROM lease
                         WHERE task_id = t.id AND holds_seat AND network IS NOT NULL)))""",
                self.project.id,
            )
            == []
        )

    @invariant()
    def every_acknowledged_answer_is_there(self) -> None:
        if not hasattr(self, "project"):
            return
        stored = {
            (self.people.index(who), task): status
            for who, task, status in self.sql(
                "SELECT contributor_id, task_id, status FROM answer WHERE project_id = %s", self.project.id
            )
            if who in self.people
        }
        assert stored.keys() == self.said.keys()
        for key, status in self.said.items():
            assert stored[key] == status or (status, stored[key]) == ("counted", "check")

    def teardown(self) -> None:
        """Drain: everything else is closed, then fresh volunteers finish all that is left."""
        if not hasattr(self, "project"):
            return
        self.pause_or_publish("published")
        self.sql("UPDATE lease SET expires_at = now() - interval '1 second'")
        self.sweep()
        for n in range(60):
            who = uuid.UUID(int=(100 + n) << 112)
            served = serve.lease(self.site, self.project.slug, who, limit=20)
            if served.reason == "complete":
                break
            answers = [AnswerIn(lease.token, "value", b.YES) for lease in served.leases]
            submit.submit(self.site, who, answers)
        left = self.sql("SELECT id FROM task WHERE project_id = %s AND retired_at IS NULL", self.project.id)
        assert left == [], "stuck"
        assert invariants.check(self.site) == []

    # -- helpers --------------------------------------------------------------------------------------

    def take(self, person: int, leases: list[Any]) -> None:
        for lease in leases:
            key = person, lease.task["id"]
            assert key not in self.said and key not in self.skipped, "offered again"
            self.held[key] = lease.token

    def post(self, keys: list[tuple[int, int]], how: str, next_limit: int, network: bytes | None) -> None:
        person = keys[0][0]
        kind, _, value = how.partition(":")
        said = submit.submit(
            self.site,
            self.people[person],
            [AnswerIn(self.held[key], kind, {"answer": value} if value else None) for key in keys],
            next_limit=next_limit,
            network=network,
        )
        for key, receipt in zip(keys, said.receipts, strict=True):
            assert receipt.task == key[1]
            if key in self.said:
                is_same = how in self.versions[key]
                assert receipt.status == ("duplicate" if is_same else "rejected")
                assert receipt.stored == self.said[key]
            elif kind == "skip" and key in self.skipped:
                assert (receipt.status, receipt.stored) == ("duplicate", "skipped")
            elif kind == "skip":
                assert receipt.status == "skipped"
                self.skipped.add(key)
            else:
                assert receipt.status in ("counted", "surplus")
                assert receipt.stored == receipt.status
                self.said[key] = receipt.status
                self.versions[key] = {how}
                self.skipped.discard(key)
        self.take(person, said.leases)

    def sql(self, query: str, *parameters: Any) -> list[Any]:
        with self.site.db.connection() as connection:
            cursor = connection.execute(query, parameters)  # type: ignore[call-overload]
            return cursor.fetchall() if cursor.description else []


@pytest.fixture
def model(site: Site) -> Iterator[type[Engine]]:
    yield type("EngineOnThisSite", (Engine,), {"site": site})


def test_P01_P02_P03_P04_P05_hold_whatever_happens_in_whatever_order(model: type[Engine]) -> None:
    run_state_machine_as_test(
        model,
        settings=settings(
            max_examples=40,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
