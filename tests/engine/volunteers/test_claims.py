"""Keep my work: links that work once, devices that are one person, exact counts after joining."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import builders as b
import pytest

from microtasks.core.errors import Forbidden, InputError, TooMany
from microtasks.engine.assignment import serve, submit
from microtasks.engine.assignment.submit import AnswerIn
from microtasks.engine.operations import invariants, jobs
from microtasks.engine.results import review
from microtasks.engine.site import Site
from microtasks.engine.volunteers import claims


def rows(site: Site, query: str, *parameters: Any) -> list[Any]:
    with site.db.connection() as connection:
        return connection.execute(query, parameters).fetchall()


def answer(site: Site, project: b.ProjectRow, who: uuid.UUID, n: int = 1, value: Any = b.YES) -> list[int]:
    """Answer so many tasks; return their ids."""
    done = []
    for _ in range(n):
        (lease,) = serve.lease(site, project.slug, who).leases
        (receipt,) = submit.submit(site, who, [AnswerIn(lease.token, "value", value, 5.0)]).receipts
        assert receipt.status == "counted"
        done.append(lease.to_json()["task"]["id"])
    return done


def ask(site: Site, who: uuid.UUID, email: str | None = None) -> tuple[str, str]:
    """(token, code) of a letter."""
    seen: list[tuple[str, str]] = []

    def write(token: str, code: str) -> tuple[str, str]:
        seen.append((token, code))
        return "Hello", f"{token} {code}"

    # Limits count for longer than a test: each has an address of its own.
    claims.request_link(
        site, who, f"cy@{abs(hash(site.settings.data))}.org" if email is None else email, write
    )
    return seen[0]


def keep(site: Site, who: uuid.UUID, email: str | None = None) -> uuid.UUID:
    token, _ = ask(site, who, email)
    return claims.keep_by_link(site, token, who).person


def run_jobs(site: Site) -> None:
    """Everything that waits, but for letters."""
    for (job,) in rows(site, "SELECT id FROM job WHERE state = 'queued' AND name <> 'mail' ORDER BY id"):
        assert jobs.run(site, job) == "done"


# -- links --------------------------------------------------------------------------------------------


def test_a_link_works_once_and_only_its_hash_is_kept(site: Site) -> None:
    cy = b.contributor()
    token, code = ask(site, cy)
    look = claims.preview_link(site, token, cy)
    assert look is not None and look.is_here and look.n_answers == 0
    assert claims.preview_link(site, token, cy) == look  # looking spends nothing
    (link,) = rows(site, "SELECT l::text FROM claim_link l")
    assert token not in link[0] and code.replace("-", "") not in link[0]
    assert claims.keep_by_link(site, token, cy) == claims.KeptIdentity(cy, False)
    assert claims.preview_link(site, token, cy) is None
    with pytest.raises(Forbidden):
        claims.keep_by_link(site, token, cy)
    with pytest.raises(Forbidden):
        claims.keep_by_code(site, code, cy)


def test_a_link_ends_and_a_new_one_voids_the_last(site: Site) -> None:
    cy = b.contributor()
    first, _ = ask(site, cy)
    second, _ = ask(site, cy)
    assert claims.preview_link(site, first, cy) is None
    rows(site, "UPDATE claim_link SET expires_at = now() - interval '1 second' RETURNING 1")
    assert claims.preview_link(site, second, cy) is None
    with pytest.raises(Forbidden):
        claims.keep_by_link(site, second, cy)


def test_the_code_is_good_for_the_device_that_asked_alone(site: Site) -> None:
    cy, stranger = b.contributor(), b.contributor()
    _, code = ask(site, cy)
    with pytest.raises(Forbidden):
        claims.keep_by_code(site, code, stranger)
    assert claims.keep_by_code(site, f" {code.lower()} ", cy).person == cy


def test_a_letter_that_a_stranger_asked_for_joins_the_stranger_to_nobody(site: Site) -> None:
    stranger, victim = b.contributor(), b.contributor()
    assert keep(site, victim) == victim
    token, _ = ask(site, stranger)  # under the victim's address
    assert claims.keep_by_link(site, token, victim).person == victim
    assert rows(site, "SELECT 1 FROM contributor_alias") == []


@pytest.mark.parametrize(
    "email", ["", "cy", "cy@", "a@b\nBcc: x@y.org", "a@b\r\nSubject: x", "a b@c.org", "<a@b.org>", "a@b,c@d"]
)
def test_what_is_no_address_is_refused_and_nothing_is_written(site: Site, email: str) -> None:
    with pytest.raises(InputError):
        ask(site, b.contributor(), email)
    assert rows(site, "SELECT 1 FROM mail UNION ALL SELECT 1 FROM claim_link") == []


def test_letters_are_limited_by_address_contributor_and_network(site: Site) -> None:
    email, network = f"{uuid.uuid4().hex}@example.org", f"203.0.113.{uuid.uuid4().int % 250}"

    def try_it(to: str, who: uuid.UUID, address: str = "") -> bool:
        try:
            claims.request_link(site, who, to, lambda *_: ("s", "t"), address=address)
        except TooMany:
            return False
        return True

    assert [try_it(email, b.contributor()) for _ in range(4)] == [True] * 3 + [False]
    cy = b.contributor()
    assert sum(try_it(f"{uuid.uuid4().hex}@example.org", cy) for _ in range(12)) == 10
    assert sum(try_it(f"{uuid.uuid4().hex}@example.org", b.contributor(), network) for _ in range(12)) == 10


# -- joining ------------------------------------------------------------------------------------------


def test_several_devices_are_one_person(site: Site) -> None:
    project = b.project(site, redundancy=3)
    b.tasks(site, project, 6)
    phone, desk = b.contributor(), b.contributor()
    on_phone = answer(site, project, phone, 3)
    assert keep(site, phone) == phone
    rows(site, "UPDATE cursor SET pos = -1 WHERE contributor_id = %s RETURNING 1", phone)
    on_desk = answer(site, project, desk, 2)
    assert keep(site, desk) == phone
    assert rows(site, "SELECT old_id, contributor_id FROM contributor_alias") == [(desk, phone)]
    left = set(on_phone) | set(on_desk)
    offered = {
        lease.to_json()["task"]["id"] for lease in serve.lease(site, project.slug, phone, limit=6).leases
    }
    assert offered == {row[0] for row in rows(site, "SELECT id FROM task")} - left
    assert invariants.check(site) == []


def test_of_two_answers_to_one_task_the_earlier_counts_and_both_are_kept(site: Site) -> None:
    project = b.project(site, redundancy=3)
    (task,) = b.tasks(site, project, 1)
    phone, desk = b.contributor(), b.contributor()
    assert keep(site, desk) == desk
    answer(site, project, phone, value=b.YES)
    answer(site, project, desk, value=b.NO)
    assert keep(site, phone) == desk  # the earlier answer was the phone's: it is the person's now
    found = rows(site, "SELECT contributor_id, status, value FROM answer ORDER BY id")
    assert found == [(desk, "counted", b.YES), (phone, "surplus", b.NO)]
    assert rows(site, "SELECT n_answers, open FROM task WHERE id = %s", task) == [(1, True)]
    assert serve.lease(site, project.slug, desk).leases == []
    assert invariants.check(site) == []


@pytest.mark.parametrize("task_type", ["question", "marking"])
def test_a_finished_task_that_had_one_person_twice_is_open_again(site: Site, task_type: str) -> None:
    value = b.YES if task_type == "question" else {"marks": []}
    project = b.project(site, task_type, redundancy=3)
    (task,) = b.tasks(site, project, 1)
    phone, desk, other = b.contributor(), b.contributor(), b.contributor()
    for who in (phone, desk, other):
        answer(site, project, who, value=value)
    run_jobs(site)
    rows(site, "UPDATE project SET head_pos = (SELECT max(pos) FROM task) RETURNING 1")
    keep(site, phone)
    keep(site, desk)
    assert rows(site, "SELECT n_answers, retired_at, open FROM task WHERE id = %s", task) == [(2, None, True)]
    run_jobs(site)
    assert invariants.check(site) == []
    assert answer(site, project, b.contributor(), value=value) == [task]
    run_jobs(site)
    assert rows(site, "SELECT n_answers, retirement_reason FROM task") == [(3, "redundancy")]
    assert invariants.check(site) == []


def test_a_task_that_has_enough_without_the_second_answer_stays_finished(site: Site) -> None:
    project = b.project(site, redundancy=5, answers_min=2, stop_rule="agreement", stop_threshold=0.8)
    b.tasks(site, project, 1)
    phone, desk, third = b.contributor(), b.contributor(), b.contributor()
    leases = [serve.lease(site, project.slug, who).leases[0] for who in (phone, desk, third)]
    for who, lease in zip((phone, desk, third), leases, strict=True):
        submit.submit(site, who, [AnswerIn(lease.token, "value", b.YES)])
    keep(site, phone)
    keep(site, desk)
    assert rows(site, "SELECT n_answers, retirement_reason FROM task") == [(2, "consensus")]
    assert rows(site, "SELECT n_answers FROM consensus") == [(2,)]
    run_jobs(site)
    assert invariants.check(site) == []


def test_a_lease_of_the_old_id_is_a_promise_to_the_person(site: Site) -> None:
    project = b.project(site, redundancy=2)
    b.tasks(site, project, 2)
    phone, desk = b.contributor(), b.contributor()
    keep(site, phone)
    held = serve.lease(site, project.slug, desk, limit=2).leases
    keep(site, desk)
    assert rows(site, "SELECT DISTINCT contributor_id FROM lease") == [(phone,)]
    # answered with the new cookie, and by a tab that still sends the old one
    statuses = [
        submit.submit(site, who, [AnswerIn(lease.token, "value", b.YES)]).receipts[0].status
        for who, lease in zip((phone, desk), held, strict=True)
    ]
    assert statuses == ["counted", "counted"]
    assert rows(site, "SELECT DISTINCT contributor_id FROM answer") == [(phone,)]
    assert invariants.check(site) == []


def test_a_task_held_on_both_devices_gives_one_seat_back(site: Site) -> None:
    project = b.project(site, redundancy=2)
    (task,) = b.tasks(site, project, 1)
    phone, desk = b.contributor(), b.contributor()
    keep(site, phone)
    serve.lease(site, project.slug, phone)
    serve.lease(site, project.slug, desk)
    keep(site, desk)
    assert rows(site, "SELECT n_leases, open FROM task WHERE id = %s", task) == [(1, True)]
    assert len(serve.lease(site, project.slug, b.contributor()).leases) == 1
    assert invariants.check(site) == []


def test_who_was_left_out_is_not_washed_clean_by_joining(site: Site) -> None:
    project = b.project(site, redundancy=3)
    b.tasks(site, project, 3)
    fresh, cheat = b.contributor(), b.contributor()
    answer(site, project, cheat)
    run_jobs(site)
    review.review(site, project.id)
    review.set_excluded(site, project.id, review.pseudonym(site, cheat), is_excluded=True)
    keep(site, fresh)
    assert keep(site, cheat) == fresh
    assert rows(site, "SELECT contributor_id, is_excluded, decided_by FROM contributor_record") == [
        (fresh, True, "owner")
    ]
    run_jobs(site)
    assert rows(site, "SELECT is_excluded FROM contributor_record") == [(True,)]


def test_joining_asks_for_a_review_and_the_record_is_the_persons(site: Site) -> None:
    project = b.project(site, redundancy=2)
    b.tasks(site, project, 4)
    phone, desk = b.contributor(), b.contributor()
    answer(site, project, phone)
    answer(site, project, desk, 2)
    review.review(site, project.id)
    keep(site, phone)
    keep(site, desk)
    run_jobs(site)
    n = rows(site, "SELECT count(*) FROM answer WHERE contributor_id = %s", phone)[0][0]
    assert rows(site, "SELECT contributor_id, n_answers FROM contributor_record") == [(phone, n)]


def test_a_tab_left_open_is_joined_by_the_clock(site: Site) -> None:
    project = b.project(site, redundancy=2)
    b.tasks(site, project, 2)
    phone, desk = b.contributor(), b.contributor()
    keep(site, phone)
    keep(site, desk)
    answer(site, project, phone)
    answer(site, project, desk, 2)  # under the old id: one of them a second time
    assert claims.join_stragglers(site) == 1
    assert rows(site, "SELECT n_answers FROM task ORDER BY n_answers") == [(1,), (1,)]
    assert claims.join_stragglers(site) == 0
    assert invariants.check(site) == []


def test_joining_while_both_devices_answer_loses_nothing_and_counts_nobody_twice(site: Site) -> None:
    project = b.project(site, redundancy=3)
    b.tasks(site, project, 40)
    phone, desk = b.contributor(), b.contributor()
    keep(site, phone)
    token, _ = ask(site, desk)
    acknowledged: list[int] = []

    def go_on(who: uuid.UUID) -> None:
        for _ in range(12):
            for lease in serve.lease(site, project.slug, who, limit=2).leases:
                (receipt,) = submit.submit(site, who, [AnswerIn(lease.token, "value", b.YES)]).receipts
                assert receipt.status in ("counted", "surplus", "duplicate"), receipt
                if receipt.status != "duplicate":
                    acknowledged.append(receipt.task or 0)

    with ThreadPoolExecutor(3) as pool:
        working = [pool.submit(go_on, phone), pool.submit(go_on, desk)]
        joined = pool.submit(claims.keep_by_link, site, token, desk)
        assert joined.result().person == phone
        for one in working:
            one.result()
    claims.join_stragglers(site)
    assert rows(site, "SELECT count(*) FROM answer") == [(len(acknowledged),)]
    assert rows(
        site,
        "SELECT count(*), count(DISTINCT task_id), count(DISTINCT contributor_id) FROM answer"
        " WHERE status = 'counted'",
    ) == [(len(set(acknowledged)), len(set(acknowledged)), 1)]
    assert invariants.check(site) == []


def test_two_addresses_lead_to_one_person_and_three_devices_too(site: Site) -> None:
    a, second, third = b.contributor(), b.contributor(), b.contributor()
    domain = f"{uuid.uuid4().hex}.org"
    keep(site, a, f"a@{domain}")
    keep(site, second, f"b@{domain}")
    assert keep(site, second, f"a@{domain}") == a
    assert keep(site, third, f"B@{domain}") == a
    assert sorted(claims.contributions_of(site, a).emails) == [f"a@{domain}", f"b@{domain}"]
    assert claims.contributions_of(site, a).n_devices == 3
    assert invariants.check(site) == []


def test_the_invariant_sees_a_device_that_counts_beside_its_person(site: Site) -> None:
    project = b.project(site)
    b.tasks(site, project, 1)
    desk = b.contributor()
    answer(site, project, desk)
    rows(site, "UPDATE answer SET created_at = now() - interval '1 day' RETURNING 1")
    rows(
        site,
        "INSERT INTO contributor_alias (old_id, contributor_id) VALUES (%s, %s) RETURNING 1",
        desk,
        b.contributor(),
    )
    assert any("counts with them alone" in sentence for sentence in invariants.check(site))


# -- being forgotten ----------------------------------------------------------------------------------


def test_an_address_is_deleted_with_its_letters_and_links(site: Site) -> None:
    cy = b.contributor()
    keep(site, cy)
    ask(site, cy)
    claims.disconnect(site, cy)
    assert (
        rows(site, "SELECT 1 FROM claim UNION ALL SELECT 1 FROM claim_link UNION ALL SELECT 1 FROM mail")
        == []
    )


def test_forgotten_answers_count_on_under_an_id_that_leads_nowhere(site: Site) -> None:
    project = b.project(site, redundancy=2)
    b.tasks(site, project, 2)
    phone, desk = b.contributor(), b.contributor()
    answer(site, project, phone)
    rows(site, "UPDATE answer SET network = 'x' RETURNING 1")
    keep(site, phone)
    keep(site, desk)
    claims.forget(site, phone)
    ((who, network),) = rows(site, "SELECT contributor_id, network FROM answer")
    assert who not in (phone, desk) and network is None
    assert rows(site, "SELECT sum(n_answers) FROM task") == [(1,)]
    assert rows(site, "SELECT 1 FROM claim") == []
    assert rows(site, "SELECT 1 FROM contributor_alias") == []
    assert invariants.check(site) == []
