"""Leases whose time is over, and the head of the walk."""

from __future__ import annotations

import builders as b

from microtasks.engine.assignment import serve, submit, sweep
from microtasks.engine.assignment.submit import AnswerIn
from microtasks.engine.operations import invariants
from microtasks.engine.site import Site
from microtasks.store.assignment import hotpath


def expire(site: Site) -> None:
    with site.db.connection() as connection:
        connection.execute("UPDATE lease SET expires_at = now() - interval '1 second'")


def head(site: Site, project: b.ProjectRow) -> int:
    with site.db.connection() as connection:
        row = connection.execute("SELECT head_pos FROM project WHERE id = %s", (project.id,)).fetchone()
    assert row is not None
    return int(row[0])


def test_P05_a_seat_comes_back_when_its_lease_has_run_out(site: Site) -> None:
    project = b.project(site, redundancy=1)
    (task,) = b.tasks(site, project, 1)
    serve.lease(site, project.slug, b.contributor())
    assert sweep.sweep(site) == 0
    expire(site)
    assert sweep.sweep(site) == 1
    assert serve.lease(site, project.slug, b.contributor()).leases[0].task["id"] == task
    assert invariants.check(site) == []


def test_P05_a_full_task_whose_lease_ran_out_is_met_by_those_who_had_walked_by(site: Site) -> None:
    project = b.project(site, redundancy=1)
    first, second = b.tasks(site, project, 2)
    gone, cy = b.contributor(), b.contributor()
    serve.lease(site, project.slug, gone)
    served = serve.lease(site, project.slug, cy)  # walks by the full one
    assert [lease.task["id"] for lease in served.leases] == [second]
    expire(site)
    assert sweep.sweep(site) == 2
    met = serve.lease(site, project.slug, cy, limit=5)
    assert {lease.task["id"] for lease in met.leases} == {first, second}
    with site.db.connection() as connection:
        assert connection.execute("SELECT min(pos) >= %s FROM task", (1 << 62,)).fetchone() == (True,)


def test_a_task_that_was_not_full_keeps_its_place(site: Site) -> None:
    project = b.project(site, redundancy=3)
    b.tasks(site, project, 1)
    serve.lease(site, project.slug, b.contributor())
    expire(site)
    sweep.sweep(site)
    with site.db.connection() as connection:
        assert connection.execute("SELECT pos, n_leases FROM task").fetchone() == (1000, 0)


def test_a_lease_that_goes_on_stays_when_another_of_its_task_is_over(site: Site) -> None:
    project = b.project(site, redundancy=3)
    b.tasks(site, project, 1)
    gone, cy = b.contributor(), b.contributor()
    serve.lease(site, project.slug, gone)
    held = serve.lease(site, project.slug, cy)
    with site.db.connection() as connection:
        connection.execute(
            "UPDATE lease SET expires_at = now() - interval '1 second' WHERE contributor_id = %s", (gone,)
        )
    assert sweep.sweep(site) == 1
    assert serve.lease(site, project.slug, cy) == held
    assert invariants.check(site) == []


def test_many_leases_are_taken_back_in_batches(site: Site) -> None:
    project = b.project(site, redundancy=3)
    b.tasks(site, project, 30)
    for _ in range(3):
        serve.lease(site, project.slug, b.contributor(), limit=20)
    expire(site)
    with site.db.connection() as connection:
        assert 0 < hotpath.sweep(connection, 7) < 60
    sweep.sweep(site)
    assert invariants.check(site) == []
    with site.db.connection() as connection:
        assert connection.execute("SELECT count(*) FROM lease").fetchone() == (0,)


def test_a_sweeper_waits_for_nobody(site: Site) -> None:
    project = b.project(site, redundancy=3)
    locked, _ = b.tasks(site, project, 2)
    serve.lease(site, project.slug, b.contributor(), limit=2)
    expire(site)
    with site.db.connection() as connection:
        connection.execute("SELECT 1 FROM task WHERE id = %s FOR UPDATE", (locked,))
        assert sweep.sweep(site) == 1
    assert sweep.sweep(site) == 1


def test_the_head_follows_the_first_open_task_and_new_contributors_start_there(site: Site) -> None:
    project = b.project(site, redundancy=1)
    made = b.tasks(site, project, 30)
    cy = b.contributor()
    for lease in serve.lease(site, project.slug, cy, limit=3).leases:
        submit.submit(site, cy, [AnswerIn(lease.token, "value", b.YES)])
    assert sweep.advance_heads(site) == 1
    assert head(site, project) == 3999
    assert sweep.advance_heads(site) == 0
    assert serve.lease(site, project.slug, b.contributor()).leases[0].task["id"] == made[3]
    assert invariants.check(site) == []


def test_the_head_stays_before_the_end_of_the_order(site: Site) -> None:
    project = b.project(site, redundancy=1)
    b.tasks(site, project, 3)
    serve.lease(site, project.slug, b.contributor(), limit=3)
    expire(site)
    sweep.sweep(site)
    cy = b.contributor()
    first = serve.lease(site, project.slug, cy).leases[0]
    submit.submit(site, cy, [AnswerIn(first.token, "value", b.YES)])
    sweep.advance_heads(site)
    assert head(site, project) == (1 << 62) - 1  # a lower position may still be about to be committed
    assert len(serve.lease(site, project.slug, b.contributor(), limit=5).leases) == 2


def test_tasks_added_before_the_head_are_met_once_it_was_lowered(site: Site) -> None:
    project = b.project(site, redundancy=1)
    b.tasks(site, project, 2)
    with site.db.connection() as connection:
        connection.execute("UPDATE project SET head_pos = 50000")
        hotpath.lower_head(connection, project.id)
    assert head(site, project) == 999
    with site.db.connection() as connection:
        hotpath.lower_head(connection, project.id)
    assert head(site, project) == 999


def test_P11_a_wrong_clock_of_the_web_machine_changes_no_lease() -> None:
    """Lease times are the database's clock alone; nothing of ours is compared with them."""
    import inspect

    from microtasks.engine.assignment import leases

    for module in (serve, submit, sweep, leases):
        source = inspect.getsource(module)
        assert "datetime.now" not in source and "time.time" not in source
