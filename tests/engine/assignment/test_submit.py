"""What becomes of an answer: counted, surplus, duplicate, skipped or rejected; consensus and retirement."""

from __future__ import annotations

import json
import uuid
from typing import Any

import builders as b
import pytest

from microtasks.core import tokens
from microtasks.core.errors import AnswerInvalid, InputError, LeaseInvalid, NotFound
from microtasks.engine.assignment import serve, submit, sweep
from microtasks.engine.assignment.leases import Lease
from microtasks.engine.assignment.submit import AnswerIn
from microtasks.engine.operations import invariants
from microtasks.engine.site import Site

CIRCLES = {"marks": [{"x": 100, "y": 80, "r": 20, "class": "fresh"}]}


def one(site: Site, project: b.ProjectRow, who: uuid.UUID) -> Lease:
    return serve.lease(site, project.slug, who).leases[0]


def send(
    site: Site, who: uuid.UUID, lease: Lease | str, value: Any = b.YES, kind: str = "value", **more: Any
) -> str:
    token = lease if isinstance(lease, str) else lease.token
    (receipt,) = submit.submit(site, who, [AnswerIn(token, kind, value, **more)]).receipts
    return receipt.status


def rows(site: Site, query: str, *parameters: Any) -> list[Any]:
    with site.db.connection() as connection:
        return connection.execute(query, parameters).fetchall()


def let_time_run_out(site: Site) -> None:
    with site.db.connection() as connection:
        connection.execute("UPDATE lease SET expires_at = now() - interval '1 second'")
    sweep.sweep(site)


# -- receipts -----------------------------------------------------------------------------------------


def test_an_answer_counts_and_takes_the_leases_seat(site: Site) -> None:
    project = b.project(site, redundancy=3)
    b.tasks(site, project, 1)
    cy = b.contributor()
    assert send(site, cy, one(site, project, cy), seconds_spent=3.2) == "counted"
    assert rows(site, "SELECT n_answers, n_leases, retired_at FROM task") == [(1, 0, None)]
    assert rows(site, "SELECT kind, status, value, seconds_spent, revision FROM answer") == [
        ("value", "counted", b.YES, 3.2, 1)
    ]
    assert invariants.check(site) == []


def test_cant_tell_is_an_answer_and_a_skip_is_none(site: Site) -> None:
    project = b.project(site, redundancy=3)
    b.tasks(site, project, 2)
    cy = b.contributor()
    assert send(site, cy, one(site, project, cy), None, "cant_tell") == "counted"
    assert send(site, cy, one(site, project, cy), None, "skip") == "skipped"
    assert rows(site, "SELECT n_answers, n_leases FROM task ORDER BY pos") == [(1, 0), (0, 0)]
    assert rows(site, "SELECT kind, value FROM answer") == [("cant_tell", None)]


def test_nothing_here_is_a_value_of_its_own_kind(site: Site) -> None:
    project = b.project(site, "marking")
    b.tasks(site, project, 1, media_ids=[b.media(site)])
    cy = b.contributor()
    assert send(site, cy, one(site, project, cy), {"marks": []}) == "counted"
    assert rows(site, "SELECT kind, value FROM answer") == [("empty", {"marks": []})]


@pytest.mark.parametrize("answers_min", [1, 3])
def test_P04_the_same_lease_again_is_a_duplicate_and_changes_nothing(site: Site, answers_min: int) -> None:
    project = b.project(site, redundancy=3, answers_min=answers_min)
    b.tasks(site, project, 1)
    cy = b.contributor()
    lease = one(site, project, cy)
    assert send(site, cy, lease) == "counted"
    again = submit.submit(site, cy, [AnswerIn(lease.token, "value", b.YES)]).receipts[0]
    assert (again.status, again.stored, again.error) == ("duplicate", "counted", None)
    for kind, value in (
        ("value", b.NO),
        ("cant_tell", None),
        ("skip", None),
        ("value", {"x": 1}),
    ):
        (receipt,) = submit.submit(site, cy, [AnswerIn(lease.token, kind, value)]).receipts
        assert (receipt.status, receipt.stored) == ("rejected", "counted")
        assert receipt.error is not None and receipt.error["error"] == "already_answered"
        assert receipt.error["details"]["stored"] == {"status": "counted", "kind": "value", "value": b.YES}
    assert rows(site, "SELECT value FROM answer") == [(b.YES,)]
    assert rows(site, "SELECT count(*) FROM skip") == [(0,)]
    assert invariants.check(site) == []


def test_the_same_lease_twice_in_one_list_counts_once(site: Site) -> None:
    project = b.project(site)
    b.tasks(site, project, 1)
    cy = b.contributor()
    lease = one(site, project, cy)
    answers = [AnswerIn(lease.token, "value", value) for value in (b.YES, b.NO, b.YES)]
    receipts = submit.submit(site, cy, answers).receipts
    assert [r.status for r in receipts] == ["counted", "rejected", "duplicate"]
    assert [r.stored for r in receipts] == ["counted"] * 3


def test_P04_a_lost_receipt_is_told_again_whatever_it_said(site: Site) -> None:
    project = b.project(site, redundancy=1)
    b.tasks(site, project, 1)
    cy, other = b.contributor(), b.contributor()
    lease = one(site, project, cy)
    let_time_run_out(site)
    send(site, other, one(site, project, other))
    for said in ("surplus", "duplicate", "duplicate"):
        (receipt,) = submit.submit(site, cy, [AnswerIn(lease.token, "value", b.NO)]).receipts
        assert (receipt.status, receipt.stored) == (said, "surplus")


def test_P04_the_first_version_sent_again_after_a_correction_is_a_duplicate(site: Site) -> None:
    project = b.project(site)
    b.tasks(site, project, 1)
    cy = b.contributor()
    lease = one(site, project, cy)
    send(site, cy, lease, b.YES)
    submit.revise(site, cy, lease.token, "value", b.NO)
    assert send(site, cy, lease, b.YES) == send(site, cy, lease, b.NO) == "duplicate"
    assert send(site, cy, lease, None, "cant_tell") == "rejected"


def test_a_late_answer_takes_a_free_seat_and_without_one_is_surplus(site: Site) -> None:
    project = b.project(site, redundancy=1)
    b.tasks(site, project, 2)
    cy, dee = b.contributor(), b.contributor()
    first = one(site, project, cy)
    let_time_run_out(site)
    assert send(site, cy, first) == "counted"
    second = one(site, project, cy)
    let_time_run_out(site)
    assert send(site, dee, one(site, project, dee)) == "counted"
    assert send(site, cy, second) == "surplus"
    assert send(site, cy, second) == "duplicate"
    assert rows(site, "SELECT status FROM answer ORDER BY id") == [("counted",), ("counted",), ("surplus",)]
    assert invariants.check(site) == []


def test_a_lease_whose_time_is_over_keeps_its_seat_until_it_is_taken_back(site: Site) -> None:
    project = b.project(site, redundancy=1)
    b.tasks(site, project, 1)
    cy = b.contributor()
    lease = one(site, project, cy)
    with site.db.connection() as connection:
        connection.execute("UPDATE lease SET expires_at = now() - interval '1 hour'")
    assert send(site, cy, lease) == "counted"


def test_a_skip_frees_the_seat_and_moves_a_full_task_to_where_everybody_meets_it(site: Site) -> None:
    project = b.project(site, redundancy=1)
    (task,) = b.tasks(site, project, 1)
    cy, dee = b.contributor(), b.contributor()
    lease = one(site, project, cy)
    assert serve.lease(site, project.slug, dee).leases == []
    assert send(site, cy, lease, kind="skip") == "skipped"
    assert send(site, cy, lease, kind="skip") == "duplicate"
    assert rows(site, "SELECT pos >= %s FROM task", 1 << 62) == [(True,)]
    assert one(site, project, dee).task["id"] == task
    assert invariants.check(site) == []


def test_who_skipped_may_still_answer_while_there_is_a_seat(site: Site) -> None:
    project = b.project(site, redundancy=3)
    b.tasks(site, project, 1)
    cy = b.contributor()
    lease = one(site, project, cy)
    send(site, cy, lease, kind="skip")
    assert send(site, cy, lease) == "counted"
    assert rows(site, "SELECT count(*) FROM skip") == [(0,)]


def test_a_withdrawn_task_takes_no_answer_that_counts(site: Site) -> None:
    project = b.project(site)
    b.tasks(site, project, 1)
    cy = b.contributor()
    lease = one(site, project, cy)
    with site.db.connection() as connection:
        connection.execute("UPDATE task SET retired_at = now(), retirement_reason = 'withdrawn'")
    assert send(site, cy, lease) == "surplus"
    assert rows(site, "SELECT n_answers, n_leases FROM task") == [(0, 0)]
    assert invariants.check(site) == []


def test_one_rejected_answer_does_not_stop_the_others(site: Site) -> None:
    project = b.project(site)
    b.tasks(site, project, 3)
    cy = b.contributor()
    first, second, third = serve.lease(site, project.slug, cy, limit=3).leases
    said = submit.submit(
        site,
        cy,
        [
            AnswerIn(first.token, "value", b.YES),
            AnswerIn("no such lease", "value", b.YES),
            AnswerIn(second.token, "value", {"answer": "perhaps"}),
            AnswerIn(third.token, "cant_tell"),
        ],
    ).receipts
    assert [receipt.status for receipt in said] == ["counted", "rejected", "rejected", "counted"]
    assert [receipt.error and receipt.error["error"] for receipt in said] == [
        None,
        "lease_invalid",
        "answer_invalid",
        None,
    ]
    json.dumps([receipt.to_json() for receipt in said])
    assert one(site, project, cy).task["id"] == second.task["id"]  # still theirs to answer
    assert invariants.check(site) == []


UNFIT = (None, [], "yes", 1, {}, {"answer": "maybe"}, {"answer": ["yes"]}, {"answer": "yes", "more": 1})


def test_a_value_that_does_not_fit_is_rejected_and_the_lease_stays(site: Site) -> None:
    project = b.project(site)
    b.tasks(site, project, 1)
    cy = b.contributor()
    lease = one(site, project, cy)
    for value in UNFIT:
        assert send(site, cy, lease, value) == "rejected", value
    assert send(site, cy, lease) == "counted"


def test_text_that_no_database_keeps_never_reaches_it(site: Site) -> None:
    """A lone surrogate is no text; a NUL is a character that nobody sees, and becomes a blank."""
    field = {"id": "answer", "kind": "text", "label": "What does it say?", "max_length": 100}
    project = b.project(site, config={"fields": [field]})
    b.tasks(site, project, 2)
    cy = b.contributor()
    lease = one(site, project, cy)
    assert send(site, cy, lease, {"answer": "\ud800"}) == "rejected"
    assert send(site, cy, lease, {"answer": "a\x00b"}) == "counted"
    assert send(site, cy, one(site, project, cy), {"answer": "\\u0000 said in words"}) == "counted"
    with site.db.connection() as connection:
        stored = connection.execute("SELECT value->>'answer' FROM answer ORDER BY id").fetchall()
    assert stored == [("a b",), ("\\u0000 said in words",)]


def test_a_time_that_cannot_be_true_is_not_kept(site: Site) -> None:
    untrue: list[Any] = [float("nan"), float("inf"), -1, 1e9, True, "3"]
    project = b.project(site)
    b.tasks(site, project, len(untrue))
    cy = b.contributor()
    for seconds in untrue:
        assert send(site, cy, one(site, project, cy), seconds_spent=seconds) == "counted"
    assert rows(site, "SELECT DISTINCT seconds_spent FROM answer") == [(None,)]


def test_an_unknown_kind_is_rejected_and_too_many_answers_are_refused(site: Site) -> None:
    project = b.project(site)
    b.tasks(site, project, 1)
    cy = b.contributor()
    lease = one(site, project, cy)
    assert send(site, cy, lease, b.YES, "empty") == "rejected"
    with pytest.raises(InputError):
        submit.submit(site, cy, [AnswerIn(lease.token, "skip")] * 21)
    assert submit.submit(site, cy, []).receipts == []


def test_the_reply_carries_the_next_tasks(site: Site) -> None:
    project = b.project(site)
    made = b.tasks(site, project, 6)
    cy = b.contributor()
    lease = one(site, project, cy)
    said = submit.submit(site, cy, [AnswerIn(lease.token, "value", b.YES)], next_limit=2)
    assert [lease.task["id"] for lease in said.leases] == made[1:3]
    said = submit.submit(site, cy, [AnswerIn(said.leases[0].token, "skip")], next_limit=2)
    assert [lease.task["id"] for lease in said.leases] == made[2:4]  # one was held still
    again = submit.submit(site, cy, [AnswerIn(lease.token, "value", b.YES)], next_limit=2)
    assert again.receipts[0].status == "duplicate" and again.leases == said.leases


def test_the_reply_says_why_there_is_no_next_task(site: Site) -> None:
    project = b.project(site, redundancy=1)
    b.tasks(site, project, 1)
    cy = b.contributor()
    said = submit.submit(site, cy, [AnswerIn(one(site, project, cy).token, "value", b.YES)], next_limit=1)
    assert (said.leases, said.reason) == ([], "complete")


# -- T35: misuse --------------------------------------------------------------------------------------


def test_T35_misuse_of_a_lease_is_rejected_and_changes_nothing(site: Site) -> None:
    project = b.project(site, redundancy=3)
    first, second = b.tasks(site, project, 2)
    cy, mallory = b.contributor(), b.contributor()
    good = one(site, project, cy).token
    key = site.settings.key("lease")
    raw = tokens.unseal(key, good)
    assert raw is not None
    other_task = raw.replace(first.to_bytes(8), second.to_bytes(8), 1)
    misuse = {
        "empty": "",
        "not base64": "!!!",
        "not ASCII": "ü" * 10,
        "too long": "A" * 5000,
        "cut": good[:-1],
        "longer": good + "A",
        "another last letter": good[:-1] + ("A" if good[-1] != "A" else "B"),
        "another first letter": "B" + good[1:],
        "another task, old seal": tokens.seal(b"guess" * 7, other_task)[:-22] + good[-22:],
        "sealed with another key": tokens.seal(b"x" * 32, raw),
        "sealed for another purpose": tokens.seal(site.settings.key("contributor"), raw),
        "too short inside": tokens.seal(key, raw[:-1]),
    }
    for name, token in misuse.items():
        (receipt,) = submit.submit(site, cy, [AnswerIn(token, "value", b.NO)]).receipts
        assert receipt.status == "rejected" and receipt.error["error"] == "lease_invalid", name  # type: ignore[index]
    (receipt,) = submit.submit(site, mallory, [AnswerIn(good, "value", b.NO)]).receipts
    assert receipt.status == "rejected" and receipt.error["error"] == "lease_invalid"  # type: ignore[index]
    for use in (submit.revise, submit.report):
        with pytest.raises(LeaseInvalid):
            use(site, mallory, good, "value", "x")
    assert rows(site, "SELECT count(*) FROM answer") == [(0,)]
    assert send(site, cy, good) == "counted"
    assert invariants.check(site) == []


def test_T35_no_bit_of_a_token_can_be_changed(site: Site) -> None:
    project = b.project(site)
    b.tasks(site, project, 1)
    cy = b.contributor()
    good = one(site, project, cy).token
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for i, letter in enumerate(good):
        forged = good[:i] + letters[(letters.index(letter) + 1) % 64] + good[i + 1 :]
        (receipt,) = submit.submit(site, cy, [AnswerIn(forged, "value", b.YES)]).receipts
        assert receipt.status == "rejected"


def test_an_answer_to_a_task_that_is_gone_is_rejected(site: Site) -> None:
    project = b.project(site)
    b.tasks(site, project, 2)
    cy = b.contributor()
    first, second = serve.lease(site, project.slug, cy, limit=2).leases
    with site.db.connection() as connection:
        connection.execute("DELETE FROM task")
    for answers in ([first], [first, second]):
        said = submit.submit(site, cy, [AnswerIn(lease.token, "value", b.YES) for lease in answers])
        assert {receipt.status for receipt in said.receipts} == {"rejected"}


# -- consensus and retirement -------------------------------------------------------------------------


def test_the_last_answer_makes_the_consensus_and_retires_the_task(site: Site) -> None:
    project = b.project(site, redundancy=3)
    b.tasks(site, project, 1)
    for value in (b.YES, b.NO, b.YES):
        assert rows(site, "SELECT retired_at FROM task") == [(None,)]
        who = b.contributor()
        send(site, who, one(site, project, who), value)
    assert rows(site, "SELECT retirement_reason, retired_at IS NOT NULL FROM task") == [("redundancy", True)]
    ((value, agreement, n, reducer),) = rows(
        site, "SELECT value, agreement, n_answers, reducer FROM consensus"
    )
    assert value == b.YES and agreement == pytest.approx(2 / 3) and n == 3 and reducer.startswith("question/")
    assert invariants.check(site) == []


def test_agreement_retires_early_and_a_second_disagreement_keeps_the_task_open(site: Site) -> None:
    project = b.project(site, redundancy=5, answers_min=2, stop_rule="agreement", stop_threshold=0.9)
    agreed, disputed = b.tasks(site, project, 2)
    for yes_or_no in (b.YES, b.NO, b.NO):
        who = b.contributor()
        for lease in serve.lease(site, project.slug, who, limit=2).leases:
            send(site, who, lease, b.YES if lease.task["id"] == agreed else yes_or_no)
    assert rows(site, "SELECT n_answers, retirement_reason FROM task ORDER BY pos") == [
        (2, "consensus"),
        (3, None),
    ]
    assert rows(site, "SELECT n_answers FROM consensus ORDER BY task_id") == [(2,), (3,)]
    assert rows(site, "SELECT open FROM task WHERE id = %s", disputed) == [(True,)]
    assert invariants.check(site) == []


def test_a_promised_seat_counts_also_when_the_others_have_agreed_meanwhile(site: Site) -> None:
    project = b.project(site, redundancy=5, answers_min=2, stop_rule="agreement", stop_threshold=0.9)
    b.tasks(site, project, 1)
    people = [b.contributor() for _ in range(3)]
    leases = [one(site, project, who) for who in people]
    assert [send(site, who, lease) for who, lease in zip(people, leases, strict=True)] == ["counted"] * 3
    assert rows(site, "SELECT n_answers, n_leases, retirement_reason FROM task") == [(3, 0, "consensus")]
    assert rows(site, "SELECT n_answers FROM consensus") == [(3,)]
    assert invariants.check(site) == []


def test_a_tasks_own_number_of_answers_counts_before_the_projects(site: Site) -> None:
    project = b.project(site, redundancy=5)
    b.tasks(site, project, 1, redundancy=1)
    cy = b.contributor()
    send(site, cy, one(site, project, cy))
    assert rows(site, "SELECT retirement_reason FROM task") == [("redundancy",)]
    assert rows(site, "SELECT n_answers FROM consensus") == [(1,)]


def test_a_dear_type_retires_by_count_and_leaves_the_reducing_to_one_job(site: Site) -> None:
    project = b.project(site, "marking", redundancy=2, answers_min=1)
    (task,) = b.tasks(site, project, 1, media_ids=[b.media(site)])
    for _ in range(2):
        who = b.contributor()
        assert send(site, who, one(site, project, who), CIRCLES) == "counted"
    assert rows(site, "SELECT n_answers, retirement_reason FROM task") == [(2, "redundancy")]
    assert rows(site, "SELECT name, target_id, state FROM job") == [("reduce", task, "queued")]
    assert site.bell.n_rings() is not None and site.bell.n_rings() > 0
    assert invariants.check(site) == []


def test_P07_without_redis_answers_count_and_the_job_waits(site: Site) -> None:
    from microtasks.engine.site import open_site

    deaf = open_site(site.settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"}))
    project = b.project(deaf, "marking", redundancy=1)
    b.tasks(deaf, project, 1, media_ids=[b.media(deaf)])
    cy = b.contributor()
    assert send(deaf, cy, one(deaf, project, cy), CIRCLES) == "counted"
    assert rows(deaf, "SELECT state FROM job") == [("queued",)]
    assert deaf.bell.rest_until > 0  # the next volunteer does not wait for it
    deaf.close()


def test_marks_outside_the_image_are_rejected(site: Site) -> None:
    project = b.project(site, "marking")
    b.tasks(site, project, 1, media_ids=[b.media(site, 400, 300)])
    cy = b.contributor()
    lease = one(site, project, cy)
    assert send(site, cy, lease, {"marks": [{"x": 900, "y": 80, "r": 20, "class": "fresh"}]}) == "rejected"
    assert send(site, cy, lease, CIRCLES) == "counted"


# -- reports, revisions, what one did -----------------------------------------------------------------


def test_a_report_is_kept_once_and_leaves_the_lease_alone(site: Site) -> None:
    project = b.project(site)
    b.tasks(site, project, 1)
    cy = b.contributor()
    lease = one(site, project, cy)
    submit.report(site, cy, lease.token, "broken", "all black")
    submit.report(site, cy, lease.token, "other", "now I see")
    assert rows(site, "SELECT reason, note FROM report") == [("other", "now I see")]
    assert send(site, cy, lease) == "counted"
    for reason, note in (("", ""), ("x" * 41, ""), ("broken", "x" * 1001), ("broken", "\x00")):
        with pytest.raises(InputError):
            submit.report(site, cy, lease.token, reason, note)


def test_a_revision_keeps_every_version_and_the_last_one_counts(site: Site) -> None:
    project = b.project(site, redundancy=1)
    b.tasks(site, project, 1)
    cy = b.contributor()
    lease = one(site, project, cy)
    send(site, cy, lease)
    assert submit.revise(site, cy, lease.token, "value", b.YES).status == "counted"  # nothing new
    assert rows(site, "SELECT revision FROM answer") == [(1,)]
    assert submit.revise(site, cy, lease.token, "value", b.NO).status == "counted"
    assert submit.revise(site, cy, lease.token, "cant_tell").status == "counted"
    assert rows(site, "SELECT kind, value, revision, revised_at IS NOT NULL FROM answer") == [
        ("cant_tell", None, 3, True)
    ]
    assert rows(site, "SELECT revision, kind, value FROM answer_revision ORDER BY revision") == [
        (1, "value", b.YES),
        (2, "value", b.NO),
    ]
    assert rows(site, "SELECT n_answers, retirement_reason FROM task") == [(1, "redundancy")]
    assert invariants.check(site) == []


def test_a_revision_makes_the_consensus_anew_and_may_retire_the_task(site: Site) -> None:
    project = b.project(site, redundancy=5, answers_min=2, stop_rule="agreement", stop_threshold=0.9)
    b.tasks(site, project, 1)
    cy, dee = b.contributor(), b.contributor()
    mine = one(site, project, cy)
    send(site, cy, mine, b.NO)
    send(site, dee, one(site, project, dee), b.YES)
    assert rows(site, "SELECT is_tied FROM consensus") == [(True,)]
    submit.revise(site, cy, mine.token, "value", b.YES)
    assert rows(site, "SELECT value, is_tied FROM consensus") == [(b.YES, False)]
    assert rows(site, "SELECT retirement_reason FROM task") == [("consensus",)]
    assert invariants.check(site) == []


def test_only_the_last_three_answers_may_be_changed(site: Site) -> None:
    project = b.project(site)
    b.tasks(site, project, 4)
    cy = b.contributor()
    leases = serve.lease(site, project.slug, cy, limit=4).leases
    for lease in leases:
        send(site, cy, lease)
    with pytest.raises(AnswerInvalid):
        submit.revise(site, cy, leases[0].token, "value", b.NO)
    for lease in leases[1:]:
        submit.revise(site, cy, lease.token, "value", b.NO)
    with pytest.raises(AnswerInvalid):
        submit.revise(site, cy, leases[1].token, "skip")
    with pytest.raises(AnswerInvalid):
        submit.revise(site, cy, leases[1].token, "value", {"answer": "perhaps"})


def test_what_was_not_answered_cannot_be_revised(site: Site) -> None:
    project = b.project(site)
    b.tasks(site, project, 1)
    cy = b.contributor()
    with pytest.raises(NotFound):
        submit.revise(site, cy, one(site, project, cy).token, "value", b.NO)


def test_recent_shows_ones_own_last_answers_and_how_to_change_them(site: Site) -> None:
    project = b.project(site)
    made = b.tasks(site, project, 5)
    cy = b.contributor()
    for lease in serve.lease(site, project.slug, cy, limit=5).leases:
        send(site, cy, lease)
    last = submit.recent(site, cy, project.slug)
    assert [item["task"]["id"] for item in last] == made[:1:-1]
    assert all(set(item) == {"lease", "task", "kind", "value"} for item in last)
    submit.revise(site, cy, last[0]["lease"], "value", b.NO)
    assert submit.recent(site, cy, project.slug, limit=1)[0]["value"] == b.NO
    assert submit.recent(site, b.contributor(), project.slug) == []
    with pytest.raises(NotFound):
        submit.recent(site, cy, "no-such-project")
