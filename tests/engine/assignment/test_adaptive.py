"""Stop when sure: what a task is told after each answer, inside the submit transaction."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from builders import CONFIGS, NO, YES, answers, contributor, project, tasks

from microtasks.core.errors import ConfigInvalid
from microtasks.engine.assignment import serve, stopping, submit
from microtasks.engine.assignment.submit import AnswerIn
from microtasks.engine.operations.invariants import check
from microtasks.engine.projects import projects
from microtasks.engine.projects.projects import ProjectIn
from microtasks.engine.results import review
from microtasks.engine.site import Site


@pytest.fixture(autouse=True)
def no_audit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "is_audited", lambda draw: False)


def adaptive(site: Site, task_type: str = "question", **fields: Any) -> Any:
    return project(
        site,
        task_type,
        **{"redundancy": 6, "answers_min": 2, "stop_rule": "confidence", "stop_threshold": 0.95, **fields},
    )


def say(site: Site, slug: str, value: dict | None, who: UUID | None = None) -> UUID:
    who = who or contributor()
    (lease,) = serve.lease(site, slug, who).leases
    kind = "cant_tell" if value is None else "value"
    (receipt,) = submit.submit(site, who, [AnswerIn(lease.token, kind, value)]).receipts
    assert receipt.status == "counted"
    return who


def told(site: Site, task: int) -> tuple[str | None, int, str | None, bool | None]:
    """(why it retired, answers, what stopping said, is it an audit?)"""
    with site.db.connection() as connection:
        return connection.execute(
            "SELECT t.retirement_reason, t.n_answers, s.outcome, s.is_audit FROM task t"
            " LEFT JOIN stopping s ON s.task_id = t.id WHERE t.id = %s",
            (task,),
        ).fetchone()


def warm(site: Site, of: Any, n: int = 80, accuracy: float = 0.9) -> list[UUID]:
    """Give the project a past that a model can be fitted to; return its five volunteers."""
    people = [contributor() for _ in range(5)]
    rng = random.Random(1)
    for number, task in enumerate(tasks(site, of, n, redundancy=5)):
        right, wrong = (YES, NO) if number % 2 else (NO, YES)
        answers(
            site,
            of,
            task,
            [right if rng.random() < accuracy else wrong for _ in people],
            contributors=people,
        )
    review.review(site, of.id)
    return people


@pytest.mark.parametrize(
    ("values", "reason", "outcome"),
    [
        ([YES] * 2, None, None),
        ([YES] * 3, "consensus", "sure"),  # nothing is known yet: a lead of three
        ([YES, NO, YES, YES], None, None),
        ([YES, NO, YES, YES, YES], "consensus", "sure"),
        ([YES, NO] * 3, "redundancy", "disputed"),
        ([YES, YES, None, None, None, YES], "redundancy", "disputed"),  # half of them can't tell
    ],
)
def test_a_new_project_needs_a_lead_of_three(
    site: Site, values: Sequence, reason: str | None, outcome: str | None
) -> None:
    of = adaptive(site)
    (task,) = tasks(site, of)
    for value in values:
        say(site, of.slug, value)
    assert told(site, task)[:3] == (reason, len(values), outcome)
    assert check(site) == []


def test_with_a_model_two_good_volunteers_are_enough(site: Site) -> None:
    of = adaptive(site)
    people = warm(site, of)
    (task,) = tasks(site, of)
    say(site, of.slug, YES, people[0])
    assert told(site, task)[0] is None
    say(site, of.slug, YES, people[1])
    assert told(site, task)[:3] == ("consensus", 2, "sure")


def test_poor_volunteers_need_company(site: Site) -> None:
    of = adaptive(site)
    people = warm(site, of, accuracy=0.65)
    (task,) = tasks(site, of)
    for who in people[:2]:
        say(site, of.slug, YES, who)
    assert told(site, task)[0] is None


def test_T33_a_known_task_stops_exactly_as_all_others_do(site: Site) -> None:
    of = adaptive(site, redundancy=4)
    known, other = tasks(site, of, 2, gold=[YES, None])
    for _ in range(6):
        say(site, of.slug, YES)
    assert told(site, known) == told(site, other) and told(site, known)[0] == "consensus"


def test_every_required_field_must_be_sure(site: Site) -> None:
    def field(name: str, **more: Any) -> dict:
        return {"id": name, "kind": "choice", "choices": [{"id": "a"}, {"id": "b"}], **more}

    of = adaptive(site, config={"fields": [field("x"), field("y"), field("z", required=False)]})
    (task,) = tasks(site, of)
    for y, z in zip("abaa", "abab", strict=True):
        say(site, of.slug, {"x": "a", "y": y, "z": z})
    assert told(site, task)[0] is None
    say(site, of.slug, {"x": "a", "y": "a", "z": "b"})
    assert told(site, task)[:3] == ("consensus", 5, "sure")


def test_tags_stop_when_each_is_sure(site: Site) -> None:
    of = adaptive(site, "tagging")
    first, second = tasks(site, of, 2)
    for _ in range(3):
        say(site, of.slug, {"tags": ["dunes"]})
    assert told(site, first)[:3] == ("consensus", 3, "sure")
    for tags in (["dunes"], [], ["dunes"], []):
        say(site, of.slug, {"tags": tags})
    assert told(site, second)[0] is None


def test_numbers_and_texts_are_sure_by_their_own_confidence(site: Site) -> None:
    fields = [{"id": "n", "kind": "number"}, {"id": "t", "kind": "text"}]
    of = adaptive(site, redundancy=8, config={"fields": fields})
    first, second = tasks(site, of, 2)
    for _ in range(6):
        assert told(site, first)[0] is None
        say(site, of.slug, {"n": 7, "t": "Dunes."})
    assert told(site, first)[:3] == ("consensus", 6, "sure")
    for n in range(7):
        say(site, of.slug, {"n": 7, "t": "abcdefg"[n] * 9})
    assert told(site, second)[0] is None


def test_an_audited_task_goes_on_and_the_flip_rate_is_measured(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = adaptive(site, redundancy=7)
    first, second = tasks(site, of, 2)
    monkeypatch.setattr(stopping, "is_audited", lambda draw: True)
    for value in [YES] * 3 + [NO] * 4:
        say(site, of.slug, value)
    assert told(site, first) == ("redundancy", 7, "sure", True)
    for value in [YES] * 3:
        say(site, of.slug, value)
    assert told(site, second) == (None, 3, "sure", True)
    found = review.overview(site, of.id)
    assert (found.stops.n_audited, found.stops.n_flipped, found.flip_rate) == (1, 1, 1.0)


def test_the_draw_of_an_audit_is_fixed_and_even(site: Site) -> None:
    draws = [stopping._draw(site, task) for task in range(2000)]
    assert draws == [stopping._draw(site, task) for task in range(2000)]
    assert 0.01 < sum(draw < 0.02 for draw in draws) / 2000 < 0.03


def test_who_was_left_out_does_not_help_to_stop(site: Site) -> None:
    of = adaptive(site)
    people = warm(site, of)
    review.set_excluded(site, of.id, review.pseudonym(site, people[0]), is_excluded=True)
    (task,) = tasks(site, of)
    say(site, of.slug, YES, people[0])
    say(site, of.slug, YES, people[1])
    assert told(site, task)[0] is None
    say(site, of.slug, YES, people[2])
    assert told(site, task)[:3] == ("consensus", 3, "sure")
    with site.db.connection() as connection:
        found = connection.execute("SELECT n_answers FROM consensus WHERE task_id = %s", (task,)).fetchone()
    assert found == (2,)


def test_a_changed_question_begins_anew(site: Site) -> None:
    of = adaptive(site)
    people = warm(site, of)
    with site.db.connection() as connection:
        connection.execute(
            "UPDATE project_quality SET model = jsonb_set(model, '{answer,labels}', '[\"yes\"]')"
        )
    (task,) = tasks(site, of)
    for who in people[:2]:
        say(site, of.slug, YES, who)
    assert told(site, task)[0] is None


def seats(site: Site, task: int) -> tuple[int, bool]:
    """(how many answers the task is open for, is a seat free?)"""
    with site.db.connection() as connection:
        return connection.execute("SELECT redundancy, open FROM task WHERE id = %s", (task,)).fetchone()


def test_volunteers_who_come_at_once_do_not_fill_all_seats(site: Site) -> None:
    of = adaptive(site)
    (task,) = tasks(site, of, redundancy=2)
    people = [contributor() for _ in range(5)]
    held = [serve.lease(site, of.slug, who).leases for who in people]
    assert [len(leases) for leases in held] == [1, 1, 0, 0, 0]
    for who, (lease,) in zip(people[:2], held[:2], strict=True):
        submit.submit(site, who, [AnswerIn(lease.token, "value", YES)])
    assert seats(site, task) == (3, True)  # two were not enough: one more
    for who in people[2:3]:
        say(site, of.slug, YES, who)
    assert told(site, task)[:3] == ("consensus", 3, "sure")
    assert check(site) == []


def test_a_disputed_task_grows_to_the_most_and_no_further(site: Site) -> None:
    of = adaptive(site)
    (task,) = tasks(site, of, redundancy=2)
    for number in range(6):
        say(site, of.slug, YES if number % 2 else NO)
        assert check(site) == []
    assert told(site, task)[:3] == ("redundancy", 6, "disputed")
    assert seats(site, task) == (6, False)
    assert not serve.lease(site, of.slug, contributor()).leases


def test_known_and_audited_tasks_are_opened_for_all_answers(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = adaptive(site)
    known, audited = tasks(site, of, 2, redundancy=2, gold=[YES, None])
    monkeypatch.setattr(stopping, "is_audited", lambda draw: True)
    for _ in range(4):
        say(site, of.slug, YES)
    assert seats(site, known)[0] == 6
    for _ in range(8):
        say(site, of.slug, YES)
    assert (seats(site, known)[0], seats(site, audited)[0]) == (6, 6)
    assert told(site, audited) == ("redundancy", 6, "sure", True)
    assert check(site) == []


def test_tasks_follow_when_the_rule_of_stopping_changes(site: Site) -> None:
    def form(**policy: Any) -> ProjectIn:
        return ProjectIn(name="Craters", task_type="question", config=CONFIGS["question"], **policy)

    of = project(site, redundancy=6)
    fresh, begun = tasks(site, of, 2)
    for value in (YES, YES, NO):
        answers(site, of, begun, [value])
    projects.update(site, of.id, form(redundancy=6, stop_rule="confidence"))
    assert (seats(site, fresh)[0], seats(site, begun)[0]) == (2, 4)
    assert check(site) == []
    projects.update(site, of.id, form(redundancy=6))
    assert (seats(site, fresh)[0], seats(site, begun)[0]) == (6, 6)
    assert check(site) == []
    projects.update(site, of.id, form(redundancy=6, stop_rule="confidence"))
    projects.update(site, of.id, form(redundancy=8))
    assert (seats(site, fresh)[0], seats(site, begun)[0]) == (8, 8)
    assert check(site) == []


def test_marks_cannot_stop_when_sure(site: Site) -> None:
    with pytest.raises(ConfigInvalid, match="questions and tags"):
        projects.create(
            site,
            None,
            ProjectIn(name="x", task_type="marking", config=CONFIGS["marking"], stop_rule="confidence"),
        )


def test_a_task_that_stopped_is_asked_again_when_its_label_flips(site: Site) -> None:
    of = adaptive(site)
    people = warm(site, of)
    (doubted,) = tasks(site, of, redundancy=2)
    liars = [contributor(), contributor()]
    for who in liars:
        say(site, of.slug, YES, who)
    assert told(site, doubted)[:3] == ("consensus", 2, "sure")
    # Only later it shows that these two always say the opposite.
    for number, task in enumerate(tasks(site, of, 60, redundancy=7)):
        right, wrong = (YES, NO) if number % 2 else (NO, YES)
        answers(site, of, task, [*[right] * 5, wrong, wrong], contributors=[*people, *liars])
    review.review(site, of.id)
    assert told(site, doubted)[:3] == (None, 2, "disputed")
    assert seats(site, doubted) == (3, True)
    stops = review.overview(site, of.id).stops
    assert (stops.n_reopened, stops.n_disputed) == (1, 0)
    assert check(site) == []
    review.review(site, of.id)  # nothing new: it stays as it is
    assert seats(site, doubted) == (3, True)
    for who in people[:4]:
        say(site, of.slug, NO, who)
    assert told(site, doubted)[:3] == ("redundancy", 6, "sure")
    assert check(site) == []
    with site.db.connection() as connection:
        found = connection.execute("SELECT value FROM consensus WHERE task_id = %s", (doubted,)).fetchone()
    assert found == (NO,)


def test_a_task_that_has_all_its_answers_is_not_asked_again(site: Site) -> None:
    of = adaptive(site, redundancy=2)
    people = warm(site, of)
    (task,) = tasks(site, of)
    liars = [contributor(), contributor()]
    for who in liars:
        say(site, of.slug, YES, who)
    for number, other in enumerate(tasks(site, of, 60, redundancy=7)):
        right, wrong = (YES, NO) if number % 2 else (NO, YES)
        answers(site, of, other, [*[right] * 5, wrong, wrong], contributors=[*people, *liars])
    before = told(site, task)
    review.review(site, of.id)
    assert told(site, task) == before
    assert check(site) == []
