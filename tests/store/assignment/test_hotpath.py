"""What the hot path costs, in counts that do not depend on the machine: messages, buffers, index scans."""

from __future__ import annotations

import json
import os
import re
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import builders as b
import psycopg
import pytest

from microtasks.core.errors import Unavailable
from microtasks.core.values import Consensus
from microtasks.engine.assignment import leases as assignment_leases
from microtasks.engine.assignment import serve, submit
from microtasks.engine.assignment.submit import AnswerIn
from microtasks.engine.operations import invariants
from microtasks.engine.site import Site, open_site
from microtasks.settings import Settings
from microtasks.store import tables
from microtasks.store.assignment import hotpath
from microtasks.store.db import Connection, Statement
from microtasks.store.results import counted_answers

TAKE = "SELECT hot_take(%s, %s, %s, 'value', 'counted', '{}', 1, 1, NULL, NULL, true)"
LEASE = "SELECT * FROM hot_lease(%s, %s, 1, NULL, 600, false)"


@pytest.fixture
def site(settings: Settings) -> Iterator[Site]:
    """With a single connection: it has planned everything after a few calls, and can be listened to."""
    site = open_site(settings.model_copy(update={"pool_size": 1}))
    yield site
    site.close()


def buffers(connection: Connection, slug: str, who: uuid.UUID) -> int:
    """Pages that one `hot_lease` touches, all it does inside included."""
    row = connection.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {LEASE}", (slug, who)).fetchone()
    assert row is not None
    plan = row[0][0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def typical(site: Site, project: b.ProjectRow, who: Callable[[], uuid.UUID]) -> int:
    """The median of 15 calls, once the functions' plans are made."""
    with site.db.connection() as connection:
        for _ in range(8):
            buffers(connection, project.slug, who())
        return sorted(buffers(connection, project.slug, who()) for _ in range(15))[7]


def person_with_history(site: Site, project: b.ProjectRow, n: int) -> uuid.UUID:
    """Somebody who answered the first `n` tasks of the walk, all of which are open still."""
    who = b.contributor()
    with site.db.connection() as connection:
        connection.execute(
            """WITH done AS (
                   SELECT id, pos FROM task WHERE project_id = %(project)s ORDER BY pos LIMIT %(n)s),
               said AS (
                   INSERT INTO answer
                          (project_id, task_id, contributor_id, kind, status, config_version, value)
                   SELECT %(project)s, id, %(who)s, 'value', 'counted', 1, '{"answer": "yes"}' FROM done),
               counted AS (UPDATE task SET n_answers = n_answers + 1 FROM done WHERE task.id = done.id)
               INSERT INTO cursor (contributor_id, project_id, pos, n_served)
               SELECT %(who)s, %(project)s, max(pos), %(n)s FROM done""",
            {"project": project.id, "n": n, "who": who},
        )
    return who


def test_next_touches_as_few_pages_among_100_000_tasks_as_among_10_000(site: Site) -> None:
    small, large = b.project(site), b.project(site)
    b.bulk_tasks(site, small, 10_000)
    few = typical(site, small, b.contributor)
    b.bulk_tasks(site, large, 100_000)
    many = typical(site, large, b.contributor)
    assert many <= 1.2 * few and many < 100, (few, many)


def test_next_touches_as_few_pages_after_2_000_answers_as_after_none(site: Site) -> None:
    project = b.project(site, redundancy=300, answers_min=300)
    b.bulk_tasks(site, project, 10_000, redundancy=300)

    def next_cost(n: int) -> int:
        people = [person_with_history(site, project, n) for _ in range(23)]
        with site.db.connection() as connection:
            for table in ("task", "answer", "cursor"):
                connection.execute(f"ANALYZE {table}")
        return typical(site, project, iter(people).__next__)

    none, some = next_cost(1), next_cost(2_000)
    assert some <= 1.2 * none, (none, some)


def test_who_has_answered_all_that_is_open_costs_no_scan(site: Site) -> None:
    project = b.project(site, redundancy=300, answers_min=300)
    b.bulk_tasks(site, project, 1_000, redundancy=300)
    normal = typical(site, project, b.contributor)
    who = person_with_history(site, project, 1_000)
    with site.db.connection() as connection:
        costs = [buffers(connection, project.slug, who) for _ in range(88)]
    assert max(costs) <= 5 * normal, (normal, max(costs))
    assert costs[-1] < normal  # and once all was looked at, next to nothing


def test_nothing_is_scanned_and_the_walk_uses_its_index(site: Site) -> None:
    project = b.project(site)
    b.bulk_tasks(site, project, 2_000)
    who = b.contributor()
    with site.db.connection() as connection:
        for _ in range(8):
            connection.execute(LEASE, (project.slug, b.contributor()))
    with site.db.connection() as connection:
        row = connection.execute(LEASE, (project.slug, who)).fetchone()
        assert row is not None
        task = row[-1][0][0]
        connection.execute(TAKE, (who, task, project.id))
        connection.execute("SELECT * FROM hot_facts(%s, %s, NULL, true)", (who, [task]))
        scans = dict(
            connection.execute(
                "SELECT relname, seq_scan FROM pg_stat_xact_user_tables WHERE seq_scan > 0"
            ).fetchall()
        )
        walked = connection.execute("SELECT pg_stat_get_xact_numscans('task_open'::regclass)").fetchone()
    assert scans == {} and walked is not None and walked[0] >= 1


@contextmanager
def messages(site: Site) -> Iterator[Callable[[], int]]:
    """Count what is sent to PostgreSQL on the site's only connection: each is waited for once."""
    with site.db.connection() as connection:
        pgconn = connection.pgconn
    with tempfile.TemporaryFile("w+") as file:
        pgconn.trace(os.dup(file.fileno()))
        try:

            def count() -> int:
                pgconn.untrace()
                file.seek(0)
                sent = [line.split("\t") for line in file.read().splitlines()]
                return sum("F" in line and ("Sync" in line or "Query" in line) for line in sent)

            yield count
        finally:
            pgconn.untrace()


def warm(site: Site, project: b.ProjectRow) -> None:
    for _ in range(8):
        who = b.contributor()
        lease = serve.lease(site, project.slug, who).leases[0]
        for next_limit in (0, 1):
            said = submit.submit(site, who, [AnswerIn(lease.token, "value", b.YES)], next_limit=next_limit)
            lease = said.leases[0] if said.leases else serve.lease(site, project.slug, who).leases[0]


def test_a_lease_is_one_message_and_so_is_an_answer_with_the_next_task(site: Site) -> None:
    project = b.project(site, redundancy=50, answers_min=50)
    b.tasks(site, project, 30)
    warm(site, project)
    who = b.contributor()
    with messages(site) as count:
        lease = serve.lease(site, project.slug, who).leases[0]
        assert count() == 1
    with messages(site) as count:
        said = submit.submit(site, who, [AnswerIn(lease.token, "value", b.YES)], next_limit=1)
        assert count() == 1
    with messages(site) as count:
        submit.submit(site, who, [AnswerIn(said.leases[0].token, "value", b.YES)])
        assert count() == 1
    with messages(site) as count:
        submit.submit(site, who, [AnswerIn(lease.token, "value", b.YES)])
        assert count() == 1  # a repeated answer


def test_a_block_of_ten_answers_is_settled_in_as_few_messages_as_one_that_needs_a_consensus(
    site: Site,
) -> None:
    project = b.project(site, redundancy=50, answers_min=50)
    b.tasks(site, project, 40)
    warm(site, project)
    who = b.contributor()
    leases = serve.lease(site, project.slug, who, limit=20).leases
    answers = [AnswerIn(lease.token, "value", b.YES) for lease in leases]
    submit.submit(site, who, answers[:2])
    submit.submit(site, who, answers[2:4])
    with messages(site) as count:
        submit.submit(site, who, answers[4:14])
        assert count() <= 5  # BEGIN, facts under locks, counted answers, write, COMMIT


def test_an_answer_with_its_consensus_is_two_messages_and_so_is_one_with_the_next_task(site: Site) -> None:
    project = b.project(site, redundancy=1, answers_min=1)
    b.tasks(site, project, 30)
    warm(site, project)
    who = b.contributor()
    lease = serve.lease(site, project.slug, who).leases[0]
    for next_limit in (1, 0):
        with messages(site) as count:
            said = submit.submit(site, who, [AnswerIn(lease.token, "value", b.YES)], next_limit=next_limit)
            assert count() == 2
        lease = (said.leases or [lease])[0]
    with site.db.connection() as connection:
        row = connection.execute(
            "SELECT count(*), count(retired_at), sum(t.n_answers) FROM task t JOIN consensus c"
            ' ON c.task_id = t.id WHERE c.value = \'{"answer": "yes"}\''
        ).fetchone()
    assert row == (18, 18, 18)
    assert invariants.check(site) == []


@pytest.mark.parametrize("meanwhile", ["answer", "revision", "withdrawn", "swept"])
def test_a_consensus_made_from_what_changed_meanwhile_is_not_stored(site: Site, meanwhile: str) -> None:
    project = b.project(site, redundancy=5, answers_min=2)
    (task,) = b.tasks(site, project, 1)
    b.answers(site, project, task, [b.YES])
    who, other = b.contributor(), b.contributor()
    serve.lease(site, project.slug, who)
    late = serve.lease(site, project.slug, other).leases[0]
    plain = hotpath.Plain(who, project.id, task, "value", b.NO, 1.0, 1)
    due = hotpath.submit(site.db, plain, 0, None, 600, with_pending=True).pending
    assert due is not None and [said[1:] for said in due.answers] == [["value", b.YES]]
    if meanwhile == "answer":
        submit.submit(site, other, [AnswerIn(late.token, "value", b.YES)])
    else:
        change = {
            "revision": "UPDATE answer SET revision = revision + 1",
            "withdrawn": "UPDATE task SET retired_at = now(), retirement_reason = 'withdrawn'",
            "swept": "DELETE FROM lease WHERE contributor_id = %(who)s",
        }[meanwhile]
        with site.db.connection() as connection:
            connection.execute(change, {"who": who})  # type: ignore[call-overload]
    made = Consensus(None, 0.5, None, 2, True)
    assert hotpath.settle(site.db, plain, 1, None, 600, due, "redundancy", made) is None
    with site.db.connection() as connection:
        said = connection.execute("SELECT count(*) FROM answer WHERE contributor_id = %s", (who,)).fetchone()
    assert said == (0,)


def test_an_answer_waits_for_the_disk_and_a_lease_does_not(site: Site) -> None:
    project = b.project(site)
    b.tasks(site, project, 1)
    who = b.contributor()
    with site.db.connection() as connection:
        connection.execute(LEASE, (project.slug, who))
        assert connection.execute("SHOW synchronous_commit").fetchone() == ("off",)
    with site.db.connection() as connection:
        assert connection.execute("SHOW synchronous_commit").fetchone() == ("on",)
        connection.execute("SELECT * FROM hot_lease(%s, %s, 1, NULL, 600, true)", (project.slug, who))
        connection.execute(TAKE, (who, 1, project.id))
        assert connection.execute("SHOW synchronous_commit").fetchone() == ("on",)


def test_the_functions_can_be_installed_again(site: Site) -> None:
    project = b.project(site)
    b.tasks(site, project, 2)
    serve.lease(site, project.slug, b.contributor())
    with site.db.connection() as connection:
        connection.execute(tables.HOTPATH.read_bytes())
    assert serve.lease(site, project.slug, b.contributor()).leases


BREAKING = (
    "UPDATE task SET n_leases = redundancy + 1",
    "UPDATE task SET n_answers = -1",
    "INSERT INTO answer (project_id, task_id, contributor_id, kind, status, config_version)"
    " SELECT project_id, task_id, contributor_id, kind, status, 1 FROM answer",
    "UPDATE task SET retired_at = now()",
    "UPDATE answer SET status = 'perhaps'",
    "UPDATE answer SET value = NULL",
    "INSERT INTO lease (contributor_id, task_id, project_id, expires_at)"
    " SELECT contributor_id, task_id, project_id, expires_at FROM lease",
)


def test_P02_the_database_refuses_what_breaks_a_promise_whoever_asks(site: Site) -> None:
    project = b.project(site)
    (task,) = b.tasks(site, project, 1)
    b.answers(site, project, task, [b.YES])
    serve.lease(site, project.slug, b.contributor())
    for statement in BREAKING:
        with pytest.raises(psycopg.IntegrityError), site.db.connection() as connection:
            connection.execute(statement)  # type: ignore[call-overload]


def test_json_that_comes_back_is_plain(site: Site) -> None:
    project = b.project(site)
    b.tasks(site, project, 1, text="Ünïcode ✓ \u202e")
    (lease,) = serve.lease(site, project.slug, b.contributor()).leases
    assert json.loads(json.dumps(lease.to_json()))["task"]["payload"]["text"].startswith("Ünïcode ✓ \u202e")


def test_a_call_survives_that_its_connection_forgot_what_was_prepared(site: Site) -> None:
    project = b.project(site)
    b.tasks(site, project, 2)
    who = b.contributor()
    first = serve.lease(site, project.slug, who)
    with site.db.connection() as connection:
        connection.execute("DEALLOCATE ALL")
    assert serve.lease(site, project.slug, who) == first


def test_one_statement_forgotten_does_not_make_the_others_be_prepared_twice(site: Site) -> None:
    first, other = Statement(b"first", b"SELECT 1::text"), Statement(b"other", b"SELECT 2::text")
    assert site.db.call(first) == b"1"
    with site.db.connection() as connection:
        connection.execute("DEALLOCATE ALL")
    for statement, value in ((other, b"2"), (first, b"1"), (other, b"2")):
        assert site.db.call(statement) == value


def test_a_lost_connection_is_said_so_and_replaced(site: Site) -> None:
    project = b.project(site)
    b.tasks(site, project, 2)
    who = b.contributor()
    first = serve.lease(site, project.slug, who)
    with site.db.connection() as connection:
        backend = connection.info.backend_pid
    with psycopg.connect(site.settings.database_url) as other:
        other.execute("SELECT pg_terminate_backend(%s, 2000)", (backend,))
    with pytest.raises(Unavailable):
        serve.lease(site, project.slug, who)
    assert serve.lease(site, project.slug, who) == first


def test_a_process_that_did_not_hand_out_the_task_asks_for_its_content_first(site: Site) -> None:
    project = b.project(site, redundancy=50, answers_min=50)
    b.tasks(site, project, 30)
    warm(site, project)
    who = b.contributor()
    (lease,) = serve.lease(site, project.slug, who).leases
    assignment_leases._contents.clear()
    with messages(site) as count:
        said = submit.submit(site, who, [AnswerIn(lease.token, "value", b.YES)])
        assert count() == 3  # the content is prepared, read, and the answer's turn
    assert [receipt.status for receipt in said.receipts] == ["counted"]


def test_what_is_remembered_of_tasks_is_bounded(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assignment_leases, "_CONTENTS_MAX", 5)
    assignment_leases._contents.clear()
    project = b.project(site)
    b.tasks(site, project, 20)
    serve.lease(site, project.slug, b.contributor(), limit=20)
    assert len(assignment_leases._contents) == 5


def test_the_end_of_the_order_is_one_number_in_sql_and_python() -> None:
    sql = tables.HOTPATH.read_text()
    huge = {abs(int(number)) for number in re.findall(r"\d{15,}", sql)} - {2**63 - 1}
    assert huge == {tables.END_OF_ORDER - 1, tables.END_OF_ORDER, tables.END_OF_ORDER + 1}


def test_each_rule_of_the_hot_path_stands_once() -> None:
    """Storing an answer, storing a consensus, which answers count less the excluded ones, their version."""
    code = [
        path.read_text() for path in tables.HOTPATH.parents[1].rglob("*") if path.suffix in (".py", ".sql")
    ]
    for rule in (
        r"INSERT INTO answer\s*\(",
        r"INSERT INTO consensus\s*\(",
        r"sum\((?:\w+\.)?revision\)",
        r"LEFT JOIN contributor_record r\b",
    ):
        assert sum(len(re.findall(rule, text)) for text in code) == 1, rule


def test_the_version_read_with_the_answers_is_the_one_that_sql_compares(site: Site) -> None:
    project = b.project(site)
    (task,) = b.tasks(site, project, 1)
    b.answers(site, project, task, [b.YES, b.NO])
    with site.db.connection() as connection:
        connection.execute("UPDATE answer SET revision = 3 WHERE value = %s::jsonb", (json.dumps(b.NO),))
        row = connection.execute("SELECT answers_version(%s)", (task,)).fetchone()
        assert row == (counted_answers.of_task(connection, task).version,) == (4,)
