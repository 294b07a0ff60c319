"""Projects: made, changed, published, paused; what is refused says why in words for a person."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import builders
import pytest
from builders import CONFIGS
from pydantic import ValidationError

from microtasks.core.errors import ConfigInvalid, Conflict, NotFound, ProjectNotReady
from microtasks.engine.projects import projects
from microtasks.engine.projects.projects import ProjectIn
from microtasks.engine.site import Site
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
    full, fresh, own = builders.tasks(site, made, 3)
    builders.answers(site, made, full, [builders.YES, builders.NO])
    with site.db.connection() as connection:
        connection.execute("UPDATE task SET redundancy = 7 WHERE id = %s", (own,))
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
