"""Anything for ten minutes: which projects a person without one in mind is given tasks of."""

from __future__ import annotations

import itertools
import uuid
from collections import Counter
from collections.abc import Iterator
from random import Random

import builders as b
import pytest

from microtasks.engine.assignment import serve, submit
from microtasks.engine.assignment.submit import AnswerIn
from microtasks.engine.operations import invariants
from microtasks.engine.projects import translations
from microtasks.engine.site import Site
from microtasks.engine.volunteers import feed
from microtasks.engine.volunteers.feed import Want
from microtasks.store.projects import projects

ALL = Want()


@pytest.fixture(autouse=True)
def counted_anew() -> Iterator[None]:
    feed._needy._entries.clear()
    yield
    feed._needy._entries.clear()


def slugs(served: serve.Served) -> list[str]:
    return [(lease.project or {})["slug"] for lease in served.leases]


def give_back(site: Site, who: uuid.UUID) -> None:
    with site.db.connection() as connection:
        connection.execute(
            """WITH gone AS (DELETE FROM lease WHERE contributor_id = %s RETURNING task_id)
               UPDATE task SET n_leases = n_leases - 1 WHERE id IN (SELECT task_id FROM gone)""",
            (who,),
        )


def firsts(site: Site, want: Want, n: int) -> Counter[str]:
    """Which project so many newcomers begin with."""
    rng, found = Random(5), Counter[str]()
    for _ in range(n):
        who = b.contributor()
        found.update(slugs(feed.lease(site, who, want, rng=rng)))
        give_back(site, who)
    return found


def test_a_lease_of_the_feed_names_its_project_and_is_otherwise_one_like_any_other(site: Site) -> None:
    project = b.project(site, name="Craters of the north")
    (task,) = b.tasks(site, project, 1)
    cy = b.contributor()
    (lease,) = feed.lease(site, cy, ALL).leases
    said = lease.to_json()
    assert said.pop("project") == {"slug": project.slug, "name": "Craters of the north"}
    assert said == serve.lease(site, project.slug, cy).leases[0].to_json()
    assert submit.submit(site, cy, [AnswerIn(lease.token, "value", b.YES)]).receipts[0].task == task


def test_who_lacks_more_answers_is_helped_more_often(site: Site) -> None:
    fresh, nearly = b.project(site, redundancy=10), b.project(site, redundancy=10)
    b.tasks(site, fresh, 2)
    for task in b.tasks(site, nearly, 2):
        b.answers(site, nearly, task, [b.YES] * 9)
    found = firsts(site, ALL, 80)
    assert found[fresh.slug] > 3 * found[nearly.slug] > 0


def test_projects_that_take_no_answers_are_never_in_it(site: Site) -> None:
    done = b.project(site, redundancy=1)
    b.answers(site, done, b.tasks(site, done, 1)[0], [b.YES])
    for state in ("draft", "paused", "archived"):
        b.tasks(site, b.project(site, state=state), 2)
    b.project(site)  # without tasks
    served = feed.lease(site, b.contributor(), ALL)
    assert (served.leases, served.reason, served.retry_after_s) == ([], "complete", None)


def test_the_readers_language_comes_first_and_others_when_there_is_none_left(site: Site) -> None:
    arabic, english = b.project(site, language="ar-EG"), b.project(site, language="en")
    b.tasks(site, arabic, 1)
    b.tasks(site, english, 1)
    assert firsts(site, Want("ar"), 12) == {arabic.slug: 12}
    cy = b.contributor()
    (lease,) = feed.lease(site, cy, Want("ar")).leases
    submit.submit(site, cy, [AnswerIn(lease.token, "value", b.YES)])
    assert slugs(feed.lease(site, cy, Want("ar"))) == [english.slug]


def test_a_project_in_the_readers_language_by_translation_counts_as_one_of_it(site: Site) -> None:
    plain, translated = b.project(site), b.project(site)
    for project in (plain, translated):
        b.tasks(site, project, 1)
    with site.db.session() as session:
        of = projects.get(session, translated.id)
        said = {path: f"{text} (ar)" for path, text in translations.originals(of).items()}
        translations.save(site, of, "ar", said)
    assert firsts(site, Want("ar"), 8) == {translated.slug: 8}
    translations.save(site, of, "ar", dict(list(said.items())[1:]))  # no longer whole: as if there were none
    feed._needy._entries.clear()
    assert set(firsts(site, Want("ar"), 12)) == {plain.slug, translated.slug}


def test_only_what_can_be_shown_and_with_low_data_nothing_with_pictures(site: Site) -> None:
    words, pictures, marks = b.project(site), b.project(site), b.project(site, "marking")
    b.tasks(site, words, 1)
    b.tasks(site, pictures, 1, media_ids=[b.media(site)])
    b.tasks(site, marks, 1, media_ids=[b.media(site)])
    questions = frozenset({"question"})
    assert set(firsts(site, ALL, 40)) == {words.slug, pictures.slug, marks.slug}
    assert set(firsts(site, Want(types=questions), 30)) == {words.slug, pictures.slug}
    assert set(firsts(site, Want(low_data=True), 12)) == {words.slug}
    assert feed.lease(site, b.contributor(), Want(types=frozenset({"tagging"}))).reason == "complete"


def test_what_is_held_comes_first_whatever_project_it_is_of(site: Site) -> None:
    projects = [b.project(site) for _ in range(4)]
    for project in projects:
        b.tasks(site, project, 3)
    cy = b.contributor()
    held = feed.lease(site, cy, ALL, limit=2)
    for _ in range(6):
        assert feed.lease(site, cy, ALL, limit=2) == held


def test_tasks_come_in_runs_of_one_project_and_then_of_another(site: Site) -> None:
    projects = [b.project(site) for _ in range(3)]
    for project in projects:
        b.tasks(site, project, 40)
    cy, seen, after = b.contributor(), list[str](), None
    for _ in range(5 * feed.RUN):
        served = feed.lease(site, cy, ALL, after=after)
        submit.submit(site, cy, [AnswerIn(served.leases[0].token, "value", b.YES)])
        after = submit.project_of(site, cy, ["bad", served.leases[0].token])
        seen += slugs(served)
    runs = [seen[i : i + feed.RUN] for i in range(0, len(seen), feed.RUN)]
    assert all(len(set(run)) == 1 for run in runs)
    assert all(one[0] != next_one[0] for one, next_one in itertools.pairwise(runs))
    assert invariants.check(site) == []


def test_a_run_that_is_ended_leads_elsewhere_and_back_only_where_nothing_else_is(site: Site) -> None:
    one, other = b.project(site), b.project(site)
    b.tasks(site, one, 3)
    b.tasks(site, other, 1)
    cy = b.contributor()
    serve.lease(site, one.slug, cy)
    served = feed.lease(site, cy, ALL, after=one.id, ends=True)
    assert slugs(served) == [other.slug]
    submit.submit(site, cy, [AnswerIn(served.leases[0].token, "value", b.YES)])
    assert slugs(feed.lease(site, cy, ALL, after=other.id, ends=True)) == [one.slug]
    assert not feed.is_alone(site, ALL) and feed.is_alone(site, Want(types=frozenset({"tagging"})))


def test_who_has_done_all_there_is_is_told_so_and_a_project_without_work_for_them_is_passed_by(
    site: Site,
) -> None:
    cy = b.contributor()
    projects = [b.project(site) for _ in range(3)]
    for project in projects:
        b.answers(site, project, b.tasks(site, project, 1)[0], [b.YES], contributors=[cy])
    served = feed.lease(site, cy, ALL)
    assert (served.leases, served.reason) == ([], "none_for_you") and served.retry_after_s
    more = b.project(site)
    b.tasks(site, more, 1)
    feed._needy._entries.clear()
    assert all(slugs(feed.lease(site, cy, ALL)) == [more.slug] for _ in range(5))


def test_asking_costs_the_same_with_a_hundred_projects_that_have_nothing_for_one(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    cy = b.contributor()
    for _ in range(15):
        project = b.project(site)
        b.answers(site, project, b.tasks(site, project, 1)[0], [b.YES], contributors=[cy])
    asked = Counter[str]()
    lease = serve.lease
    monkeypatch.setattr(
        serve, "lease", lambda site, slug, *a, **k: asked.update([slug]) or lease(site, slug, *a, **k)
    )
    served = feed.lease(site, cy, ALL)
    assert served.retry_after_s is not None and sum(asked.values()) == feed.TRIES
