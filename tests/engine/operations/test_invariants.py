"""`check` finds every broken invariant, and nothing on a site that was used properly."""

from __future__ import annotations

import builders as b
import pytest

from microtasks.engine.assignment import serve, submit
from microtasks.engine.assignment.submit import AnswerIn
from microtasks.engine.operations import invariants as operation_invariants
from microtasks.engine.site import Site
from microtasks.store.operations import invariants


def used(site: Site) -> b.ProjectRow:
    """A project with a bit of everything in it: answers, a lease, a skip, a revision, gold, an image."""
    project = b.project(site, redundancy=2, answers_min=1, gold_share=0.2)
    b.tasks(site, project, 4, gold=b.YES, media_ids=[b.media(site)])
    b.tasks(site, project, 4)
    for who in (b.contributor(), b.contributor()):
        leases = serve.lease(site, project.slug, who, limit=5).leases
        fates = ["value", "value", "cant_tell", "skip"]
        answers = [AnswerIn(one.token, kind, b.YES) for one, kind in zip(leases, fates, strict=False)]
        submit.submit(site, who, answers)
        submit.report(site, who, leases[4].token, "broken")
        submit.revise(site, who, leases[0].token, "value", b.NO)
    return project


def test_a_used_site_breaks_no_invariant(site: Site) -> None:
    used(site)
    assert operation_invariants.check(site) == []


def test_an_empty_site_breaks_no_invariant(site: Site) -> None:
    assert operation_invariants.check(site) == []


DAMAGE = (
    ("UPDATE task SET n_answers = n_answers - 1 WHERE n_answers > 0", "n_answers is the number"),
    ("UPDATE task SET n_leases = n_leases - 1 WHERE n_leases > 0", "n_leases is the number"),
    ("DELETE FROM lease", "n_leases is the number"),
    ("DELETE FROM answer", "n_answers is the number"),
    (
        "UPDATE task SET retired_at = NULL, retirement_reason = NULL WHERE n_answers = redundancy",
        "as many answers as its redundancy is retired",
    ),
    (
        "UPDATE task SET retired_at = now(), retirement_reason = 'redundancy' WHERE retired_at IS NULL",
        "retired for its redundancy has that many",
    ),
    ("DELETE FROM task_content", "has its content"),
    ("UPDATE consensus SET n_answers = n_answers + 1", "consensus rests on"),
    ("DELETE FROM consensus", "retired by its answers has a consensus"),
    (
        "INSERT INTO lease (contributor_id, task_id, project_id, expires_at)"
        " SELECT contributor_id, task_id, project_id, now() FROM answer",
        "holds a lease on a task they answered",
    ),
    ("UPDATE lease SET project_id = 77", "belong to the project of their task"),
    ("UPDATE answer SET project_id = 77", "belongs to the project of its task"),
    (
        "WITH gone AS (DELETE FROM task_gold) UPDATE answer SET status = 'check'",
        "Only known tasks are checked",
    ),
    ("DELETE FROM answer_revision", "version of an answer before the last"),
    ("UPDATE project SET head_pos = 1 << 60", "before its project's head"),
    ("UPDATE lease SET expires_at = now() - interval '1 day'", "No expired lease"),
    (
        "INSERT INTO job (name, target_id, created_at) VALUES ('reduce', 1, now() - interval '1 day')",
        "No job waits",
    ),
    ("UPDATE batch SET n_tasks = n_tasks + 1", "batch that is done"),
    ("UPDATE task_content SET media_ids = '{999}'", "Every image of a task"),
    ("UPDATE cursor SET project_id = 77", "Cursors belong"),
)


def test_damage_is_found_and_named(site: Site) -> None:
    used(site)
    for damage, sentence in DAMAGE:
        with site.db.connection() as connection:
            assert connection.execute(damage).rowcount > 0, damage  # type: ignore[call-overload]
            found = [one.sentence for one in invariants.ALL if invariants.broken(connection, one)[0]]
            connection.rollback()
        assert any(sentence in problem for problem in found), (damage, found)
    assert operation_invariants.check(site) == []


def test_each_problem_is_one_sentence_with_how_often_and_where(site: Site) -> None:
    used(site)
    with site.db.connection() as connection:
        connection.execute("DELETE FROM lease")
        connection.execute("UPDATE media SET sha256 = repeat('0', 64)")
    found = operation_invariants.check(site)
    assert len(found) == 2 and "n_leases is the number" in found[0] and "image row has its files" in found[1]
    assert all(problem.count(". Broken ") == 1 and problem.endswith(".") for problem in found)


def test_the_check_reads_in_chunks_of_keys(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    project = b.project(site)
    b.tasks(site, project, 25)
    monkeypatch.setattr(invariants, "CHUNK", 7)
    assert operation_invariants.check(site) == []
    with site.db.connection() as connection:
        connection.execute("UPDATE task SET n_answers = 1 WHERE id % 5 = 0")
    (found,) = operation_invariants.check(site)
    assert "Broken 5 times" in found
