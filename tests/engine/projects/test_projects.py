"""Projects: made, changed, published, paused; what is refused says why in words for a person."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import builders
import pytest
from builders import CONFIGS
from psycopg.errors import DeadlockDetected
from pydantic import ValidationError

from microtasks.core.errors import ConfigInvalid, Conflict, NotFound, ProjectNotReady
from microtasks.engine.projects import projects
from microtasks.engine.projects.projects import ProjectIn
from microtasks.engine.site import Site
from microtasks.store.projects import dashboard
from microtasks.store.projects import projects as store
from microtasks.store.tables import Project


def form(task_type: str = "question", **fields: Any) -> ProjectIn:
    return ProjectIn(
        **{"name": "Craters of Mars", "task_type": task_type, "config": CONFIGS[task_type]} | fields
    )


def make(site: Site, **fields: Any) -> Project:
    return projects.create(site, builders.account(site), form(**fields))


def test_without_more_words_the_number_of_answers_is_fixed() -> None:
    made = form(redundancy=5)
    assert (made.answers_min, made.stop_rule) == (5, "redundancy")


def test_fewer_answers_at_least_means_stopping_on_agreement() -> None:
    made = form(redundancy=5, answers_min=3)
    assert (made.answers_min, made.stop_rule) == (3, "agreement")


@pytest.mark.parametrize(
    "fields",
    [
        {"name": ""},
        {"name": "   "},
        {"name": "x" * 121},
        {"redundancy": 0},
        {"redundancy": 1001},
        {"redundancy": 3, "answers_min": 4},
        {"gold_share": 0.6},
        {"stop_threshold": 0.4},
        {"stop_threshold": float("nan")},
        {"lease_seconds": 1},
        {"language": "not a language"},
        {"stop_rule": "never"},
        {"id": 7},
        {"account_id": 7},
        {"state": "published"},
    ],
)
def test_T27_limits_and_fields_that_are_not_a_clients(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        form(**fields)


def test_texts_lose_what_the_database_cannot_keep() -> None:
    made = form(name=" A\x00b\ud800c\r\nd ")
    assert made.name == "Abc\nd"


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Craters of Mars", "craters-of-mars"),
        ("  Größe! und Ärger  ", "grosse-und-arger"),
        ("../../etc/passwd", "etc-passwd"),
        ("x" * 100, "x" * 60),
    ],
)
def test_the_slug_is_made_from_the_name(site: Site, name: str, slug: str) -> None:
    assert make(site, name=name).slug == slug


@pytest.mark.parametrize("name", ["الفوهات على المريخ", "火星", "🪐", "!"])
def test_a_name_in_another_script_gets_a_slug_that_is_safe_everywhere(site: Site, name: str) -> None:
    slug = make(site, name=name).slug
    assert slug.startswith("question-") and slug.isascii()


def test_the_same_name_twice_makes_two_slugs_also_at_once(site: Site) -> None:
    with ThreadPoolExecutor(6) as pool:
        slugs = list(pool.map(lambda _: make(site).slug, range(6)))
    assert sorted(slugs) == sorted(["craters-of-mars", *(f"craters-of-mars-{n}" for n in range(2, 7))])


def test_a_config_that_does_not_fit_says_where(site: Site) -> None:
    with pytest.raises(ConfigInvalid) as refused:
        make(site, config={"fields": [{"id": "a", "kind": "choice"}]})
    assert refused.value.details["problems"][0]["where"].startswith("fields.0")
    with pytest.raises(NotFound):
        projects.create(site, None, ProjectIn(name="x", task_type="no such type"))


def test_every_version_of_the_config_is_kept(site: Site) -> None:
    made = make(site)
    renamed = projects.update(site, made.id, form(name="Other"))
    assert (renamed.name, renamed.slug, renamed.config_version) == ("Other", made.slug, 1)
    config = {"fields": [{"id": "answer", "kind": "text", "label": "What is it?"}]}
    changed = projects.update(site, made.id, form(config=config))
    assert changed.config_version == 2
    with site.db.connection() as connection:
        rows = connection.execute("SELECT version, config FROM project_config ORDER BY version").fetchall()
    assert [row[0] for row in rows] == [1, 2]
    assert rows[0][1]["fields"][0]["kind"] == "choice" and rows[1][1] == changed.config


def test_the_type_is_fixed_once_there_are_tasks(site: Site) -> None:
    made = builders.project(site)
    projects.update(site, made.id, form("tagging"))
    builders.tasks(site, made, 1)
    with pytest.raises(Conflict):
        projects.update(site, made.id, form("question"))


def test_publishing_needs_tasks_and_says_so(site: Site) -> None:
    made = make(site)
    with pytest.raises(ProjectNotReady) as refused:
        projects.publish(site, made.id)
    assert "no tasks" in refused.value.details["reasons"][0]
    assert projects.publish(site, made.id, allow_empty=True).state == "published"


def test_publishing_needs_a_config_that_fits(site: Site) -> None:
    made = builders.project(site, config={"fields": []}, state="draft")
    builders.tasks(site, made, 1)
    with pytest.raises(ProjectNotReady) as refused:
        projects.publish(site, made.id)
    assert refused.value.details["reasons"]


def test_a_project_goes_from_draft_to_the_archive_and_back(site: Site) -> None:
    made = builders.project(site, state="draft")
    builders.tasks(site, made, 1)
    with pytest.raises(Conflict):
        projects.pause(site, made.id)
    published = projects.publish(site, made.id)
    assert published.published_at is not None
    assert projects.pause(site, made.id).state == "paused"
    again = projects.resume(site, made.id)
    assert (again.state, again.published_at) == ("published", published.published_at)
    assert projects.archive(site, made.id).state == "archived"
    with pytest.raises(ProjectNotReady):
        projects.publish(site, made.id)
    assert projects.resume(site, made.id).state == "paused"


def test_more_answers_per_task_open_those_that_had_enough(site: Site) -> None:
    made = builders.project(site, redundancy=2)
    full, fresh = builders.tasks(site, made, 2)
    (own,) = builders.tasks(site, made, own_redundancy=7)
    builders.answers(site, made, full, [builders.YES, builders.NO])
    projects.update(site, made.id, form(redundancy=3))
    assert _tasks(site) == {full: (3, None, True), fresh: (3, None, True), own: (7, None, True)}


def test_fewer_answers_per_task_retire_those_that_have_enough(site: Site) -> None:
    made = builders.project(site, redundancy=5)
    full, fresh = builders.tasks(site, made, 2)
    builders.answers(site, made, full, [builders.YES, builders.NO, builders.NO])
    projects.update(site, made.id, form(redundancy=2))
    assert _tasks(site) == {full: (3, "redundancy", False), fresh: (2, None, True)}
    with site.db.connection() as connection:
        assert connection.execute("SELECT count(*) FROM job WHERE name = 'aggregate'").fetchone() == (1,)


def test_tasks_follow_the_number_down_and_up_again_but_those_with_a_number_of_their_own(site: Site) -> None:
    made = builders.project(site, redundancy=4)
    three, none = builders.tasks(site, made, 2)
    small, same = (
        builders.tasks(site, made, own_redundancy=1)[0],
        builders.tasks(site, made, own_redundancy=2)[0],
    )
    builders.answers(site, made, three, [builders.YES] * 3)
    builders.answers(site, made, small, [builders.YES])
    for number, seats in ((2, 3), (5, 5), (3, 3), (4, 4)):
        projects.update(site, made.id, form(redundancy=number))
        has_enough = number <= 3
        assert _tasks(site) == {
            three: (seats, "redundancy" if has_enough else None, not has_enough),
            none: (number, None, True),
            small: (1, "redundancy", False),
            same: (2, None, True),
        }


def test_tasks_that_stop_when_sure_follow_the_number_within_their_seats(site: Site) -> None:
    made = builders.project(site, redundancy=10, answers_min=2, stop_rule="confidence")
    (young,) = builders.tasks(site, made, redundancy=2)
    (disputed,) = builders.tasks(site, made, redundancy=5)
    builders.answers(site, made, disputed, [builders.YES, builders.NO] * 2)
    adaptive = {"answers_min": 2, "stop_rule": "confidence"}
    projects.update(site, made.id, form(redundancy=4, **adaptive))
    assert _tasks(site) == {young: (2, None, True), disputed: (4, "redundancy", False)}
    projects.update(site, made.id, form(redundancy=8, **adaptive))
    assert _tasks(site) == {young: (2, None, True), disputed: (5, None, True)}


def test_answers_saved_are_those_that_a_task_might_have_had(site: Site) -> None:
    made = builders.project(site, redundancy=10, answers_min=2, stop_rule="confidence")
    sure, own = (
        builders.tasks(site, made, 1, redundancy=3)[0],
        builders.tasks(site, made, own_redundancy=5)[0],
    )
    for task in (sure, own):
        builders.answers(site, made, task, [builders.YES] * 3)
    with site.db.connection() as connection:
        connection.execute("UPDATE task SET retired_at = now(), retirement_reason = 'consensus'")
        (done,) = dashboard.tasks(connection, made.id)
    assert (done.n_tasks, done.n_answers, done.n_saved) == (2, 6, 7 + 2)


def test_the_number_changes_under_load_without_a_deadlock(site: Site) -> None:
    made = builders.project(site, redundancy=4)
    all_tasks = builders.tasks(site, made, 60)
    is_over = threading.Event()
    errors: list[BaseException] = []

    def answer_backwards() -> None:
        """Lock several tasks in the order of their numbers, as whoever holds several does."""
        rng = random.Random(1)
        while not is_over.is_set():
            picked = sorted(rng.sample(all_tasks, 5))
            try:
                with site.db.connection() as connection:
                    for task in picked:
                        connection.execute("SELECT 1 FROM task WHERE id = %s FOR NO KEY UPDATE", (task,))
            except BaseException as error:
                errors.append(error)

    threads = [threading.Thread(target=answer_backwards) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for number in (2, 5, 3, 6, 2, 4):
            projects.update(site, made.id, form(redundancy=number))
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
    assert errors == []
    assert {row[0] for row in _tasks(site).values()} == {4}


def test_what_a_deadlock_undid_is_done_once_more(site: Site) -> None:
    """Somebody locks the other way round: one of the two is ended, and the change happens all the same."""
    made = builders.project(site, redundancy=4)
    first, *_, last = builders.tasks(site, made, 20)
    holds_last, done = threading.Event(), []

    def lock_the_other_way() -> None:
        try:
            with site.db.connection() as connection:
                connection.execute("SET LOCAL deadlock_timeout = '10s'")  # the other one is ended
                connection.execute("SELECT 1 FROM task WHERE id = %s FOR NO KEY UPDATE", (last,))
                holds_last.set()
                wait_for_lock(site)
                connection.execute("SELECT 1 FROM task WHERE id = %s FOR NO KEY UPDATE", (first,))
            done.append("in peace")
        except DeadlockDetected:
            done.append("ended")

    thread = threading.Thread(target=lock_the_other_way)
    thread.start()
    holds_last.wait(10)
    projects.update(site, made.id, form(redundancy=6))
    thread.join()
    assert done in (["in peace"], ["ended"])
    assert {row[0] for row in _tasks(site).values()} == {6}


def wait_for_lock(site: Site) -> None:
    """Until some statement waits for a lock of another one."""
    for _ in range(1000):
        with site.db.connection() as connection:
            row = connection.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()
        if row and row[0]:
            return
        time.sleep(0.01)


def test_the_estimate_is_answers_times_pace() -> None:
    assert projects.estimate(1200, 5, 30) == {
        "tasks": 1200,
        "redundancy": 5,
        "answers": 6000,
        "hours": 50.0,
    }


def test_examples_of_every_type_make_a_project(site: Site) -> None:
    for task_type in CONFIGS:
        for example in projects.examples(task_type):
            make(site, task_type=task_type, config=example["config"])


def test_a_report_is_closed_by_its_own_project_only(site: Site) -> None:
    made, other = builders.project(site), builders.project(site)
    (task,) = builders.tasks(site, made, 1)
    with site.db.connection() as connection:
        row = connection.execute(
            "INSERT INTO report (project_id, task_id, contributor_id, reason, note)"
            " VALUES (%s, %s, %s, 'broken', '')"
            " RETURNING id",
            (made.id, task, builders.contributor()),
        ).fetchone()
    assert row is not None
    with pytest.raises(NotFound):
        projects.close_report(site, other.id, row[0])
    projects.close_report(site, made.id, row[0])
    with site.db.session() as session:
        assert store.troubles(session, made.id)["reports"] == 0


def _tasks(site: Site) -> dict[int, tuple[int, str | None, bool]]:
    with site.db.connection() as connection:
        rows = connection.execute("SELECT id, redundancy, retirement_reason, open FROM task").fetchall()
    return {row[0]: (row[1], row[2], row[3]) for row in rows}
