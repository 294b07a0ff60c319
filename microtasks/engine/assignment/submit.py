"""Take what volunteers send: answers, skips, reports, revisions. The SQL is in store/assignment."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from uuid import UUID

import orjson

from microtasks.core.errors import (
    AlreadyAnswered,
    AnswerInvalid,
    InputError,
    LeaseInvalid,
    MicrotasksError,
    NotFound,
    TooMany,
)
from microtasks.core.retirement import Policy, retirement_reason
from microtasks.core.values import Answer, Consensus, Media
from microtasks.engine.assignment import leases as assignment_leases
from microtasks.engine.assignment import serve, stopping
from microtasks.engine.assignment.leases import (
    BLOCK_MAX,
    Content,
    Known,
    Lease,
    Ticket,
    known,
    open_token,
    shown,
    token,
)
from microtasks.engine.site import Site
from microtasks.store import jobs
from microtasks.store.assignment import answers as stored_answers
from microtasks.store.assignment import hotpath
from microtasks.store.assignment.hotpath import Decision, Facts, PendingConsensus, Plain, Stored
from microtasks.store.db import Connection
from microtasks.store.results import consensus, contributors
from microtasks.store.volunteers import claims

#: How many of their last answers a volunteer may still correct.
REVISABLE = 3
SECONDS_MAX = 86400.0
TRIES = 5
HURRIED = "You have answered very many tasks in a short time. Please go on in a minute."

Status = Literal["counted", "surplus", "duplicate", "skipped", "rejected"]
#: What is stored of an answer or a skip. A known task's check reads as counted.
StoredStatus = Literal["counted", "surplus", "skipped"]


@dataclass(frozen=True, slots=True)
class AnswerIn:
    """What a client sends for one lease. kind: value, cant_tell or skip."""

    lease: str
    kind: str
    value: Any = None
    seconds_spent: float | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of it. stored: what the site has of it now, also where nothing changed; None: nothing."""

    task: int | None
    status: Status
    error: dict[str, Any] | None = None
    stored: StoredStatus | None = None

    def to_json(self) -> dict[str, Any]:
        return {"task": self.task, "status": self.status, "stored": self.stored, "error": self.error}


@dataclass(frozen=True, slots=True)
class Submitted:
    """One receipt for each answer, in their order; then the next tasks, as `serve.lease` gives them."""

    receipts: list[Receipt]
    leases: list[Lease] = field(default_factory=list)
    reason: str | None = None
    retry_after_s: int | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "receipts": [receipt.to_json() for receipt in self.receipts],
            "leases": [lease.to_json() for lease in self.leases],
            "reason": self.reason,
            "retry_after_s": self.retry_after_s,
        }


@dataclass(slots=True)
class _Item:
    """One answer on its way. value is the valid plain JSON once `kind` is decided."""

    ticket: Ticket
    sent: AnswerIn
    kind: str | None = None
    value: dict[str, Any] | None = None


def submit(
    site: Site,
    contributor: UUID,
    answers: Sequence[AnswerIn],
    *,
    next_limit: int = 0,
    network: bytes | None = None,
) -> Submitted:
    """Take up to 20 answers, each with its own outcome, and hand out what comes next.

    The same answer sent again gives `duplicate`, another one to the same lease is rejected; both change
    nothing and say what is stored. What is counted here is on the disk. Errors: TooMany, with nothing taken,
    for who answers faster than anybody can.

    1. Open the lease tokens; a bad one is rejected by itself.
    2. One plain answer to a held seat: one message, or two where a consensus is due; no lock held by us.
    3. All else under the locks of the contributor's cursor and the tasks, in one transaction.
    4. Ring for what a worker has to reduce.
    5. Lease what comes next, of the project of the last answer.
    """
    if len(answers) > BLOCK_MAX:
        raise InputError(f"At most {BLOCK_MAX} answers at once.")
    next_limit = max(0, min(BLOCK_MAX, next_limit))
    receipts: list[Receipt | None] = [None] * len(answers)
    items: dict[int, _Item] = {}
    first_of: dict[int, int] = {}
    repeated: dict[int, int] = {}  # to the same task as an earlier one of these
    for i, sent in enumerate(answers):
        try:
            ticket = open_token(site, contributor, sent.lease)
        except LeaseInvalid as error:
            receipts[i] = Receipt(None, "rejected", _error(error))
            continue
        if ticket.task_id in first_of:
            repeated[i] = first_of[ticket.task_id]
            continue
        first_of[ticket.task_id] = i
        items[i] = _Item(ticket, sent)
    if not items:
        return Submitted([receipt for receipt in receipts if receipt])
    slug: str | None = None
    next_served: serve.Served | None = None
    if len(items) == 1:
        ((i, item),) = items.items()
        # Deadlock with a concurrent merge of devices: nothing was written; it is tried again under locks.
        with suppress(*hotpath.RETRY):
            receipts[i], slug, next_served = _plain(site, contributor, item, next_limit, network)
    if any(receipts[i] is None for i in items):
        results, slug, rings = _locked(site, contributor, list(items.values()), network)
        for i, receipt in zip(items, results, strict=True):
            receipts[i] = receipt
        for job in rings:
            site.bell.ring(job)
    for i, first in repeated.items():
        receipts[i] = _repeated(answers[i], answers[first], receipts[first])
    if next_limit and next_served is None and slug is not None:
        next_served = serve.lease(site, slug, contributor, limit=next_limit, network=network)
    next_served = next_served or serve.Served()
    return Submitted(
        [receipt for receipt in receipts if receipt],
        next_served.leases,
        next_served.reason,
        next_served.retry_after_s,
    )


def _plain(
    site: Site, contributor: UUID, item: _Item, next_limit: int, network: bytes | None
) -> tuple[Receipt | None, str | None, serve.Served | None]:
    """Settle the plain case without holding a lock. Receipt None: it is not that plain (see `_locked`)."""
    ticket = item.ticket
    if item.sent.kind == "skip":
        return None, None, None
    content = assignment_leases.content(site, ticket.task_id)
    if content is None:
        return _gone(ticket), None, None
    try:
        about = known(site, None, ticket.project_id, ticket.config_version, content.task_type)
        _read(item, content, about)
    except MicrotasksError:
        return None, None, None  # it may have been answered before
    plain = Plain(
        contributor,
        ticket.project_id,
        ticket.task_id,
        item.kind or "",
        item.value,
        _seconds(item.sent.seconds_spent),
        ticket.config_version,
    )
    seconds = site.settings.lease_seconds
    result: hotpath.SubmitResult | None = hotpath.submit(
        site.db, plain, next_limit, network, seconds, with_pending=about.type.inline
    )
    if result and result.pending:
        # Made without a lock from what was read; stored if that is still so.
        pending = result.pending
        answers = [*pending.answers, (contributor.hex, plain.kind, plain.value)]
        about = known(site, None, ticket.project_id, pending.config_version, pending.task_type)
        reduced = about.type.reduce([Answer(*each) for each in answers], about.config)  # type: ignore[arg-type]
        reason = retirement_reason(_policy(pending), pending.n_answers + 1, reduced)
        result = hotpath.settle(site.db, plain, next_limit, network, seconds, pending, reason, reduced)
    if result is None or result.status is None:
        return None, None, None
    if result.status == "hurried":
        raise TooMany(HURRIED)
    next_served = serve.served(site, contributor, result.slug, result.leased) if result.leased else None
    receipt = (
        _again(ticket.task_id, result.stored)
        if result.stored
        else Receipt(ticket.task_id, "counted", stored="counted")
    )
    return receipt, result.slug, next_served


def _again(task_id: int, stored: Stored) -> Receipt:
    """The receipt of an answer to a task that was answered before."""
    if stored.is_same:
        return Receipt(task_id, "duplicate", stored=stored.status)
    error = AlreadyAnswered(stored={"status": stored.status, "kind": stored.kind, "value": stored.value})
    return Receipt(task_id, "rejected", _error(error), stored.status)


def _repeated(again: AnswerIn, first: AnswerIn, receipt: Receipt | None) -> Receipt | None:
    """The receipt of an answer to the same task as an earlier one of the same request."""
    if receipt is None or receipt.status == "rejected":
        return receipt
    if (again.kind, again.value) == (first.kind, first.value):
        return replace(receipt, status="duplicate")
    stored = {"status": receipt.stored, "kind": first.kind, "value": first.value}
    return replace(receipt, status="rejected", error=_error(AlreadyAnswered(stored=stored)))


def _locked(
    site: Site, contributor: UUID, items: Sequence[_Item], network: bytes | None
) -> tuple[list[Receipt], str | None, list[int]]:
    """Settle the answers in one transaction; return receipts, the last one's project slug, jobs to ring for.

    1. Lock the cursors, then the tasks in the order of their ids; read what is known of them.
    2. Decide each: duplicate, skipped, counted, surplus, or a check.
    3. Reduce where a consensus is due; decide retirement.
    4. Write all of it; commit.
    """
    for attempt in range(TRIES):
        try:
            with site.db.connection() as connection:
                return _settle(site, connection, contributor, items, network)
        except _Joined as joined:
            contributor = joined.person
        except hotpath.RETRY:
            if attempt == TRIES - 1:
                raise
    raise AssertionError  # pragma: no cover


class _Joined(Exception):
    """The device was merged into a person's meanwhile. Begin again, or locks would cross."""

    def __init__(self, person: UUID) -> None:
        self.person = person


def _settle(
    site: Site, connection: Connection, contributor: UUID, items: Sequence[_Item], network: bytes | None
) -> tuple[list[Receipt], str | None, list[int]]:
    receipts: list[Receipt] = []
    counted: list[tuple[Facts, Known, _Item]] = []
    decisions: dict[int, Decision] = {}
    slug = None
    all_facts = hotpath.facts(
        connection, contributor, [item.ticket.task_id for item in items], network, lock=True
    )
    if any(one.holds_seat is None and not one.is_answered for one in all_facts.values()):
        person = claims.person(connection, contributor)
        if person != contributor:
            raise _Joined(person)
    if any(one.is_hurried for one in all_facts.values()):
        raise TooMany(HURRIED)
    for item in items:
        task_id = item.ticket.task_id
        facts = all_facts.get(task_id)
        if facts is None:
            receipts.append(_gone(item.ticket))
            continue
        slug = facts.slug
        try:
            about = _known(site, connection, item.ticket, facts)
            if item.kind is None:
                _read(item, facts, about)
        except MicrotasksError as error:
            if not facts.is_answered:
                receipts.append(Receipt(task_id, "rejected", _error(error)))
                continue
        if facts.is_answered:
            stored = hotpath.stored(connection, contributor, task_id, item.kind or "", item.value)
            assert stored is not None  # noqa: S101  (under its lock)
            receipts.append(_again(task_id, stored))
            continue
        status = decide_status(facts, is_skip=item.sent.kind == "skip")
        if status == "duplicate":
            receipts.append(Receipt(task_id, status, stored="skipped"))
            continue
        shown_status: StoredStatus = "counted" if status == "check" else status
        receipts.append(Receipt(task_id, shown_status, stored=shown_status))
        decisions[task_id] = Decision(
            task_id,
            status,
            item.kind,
            item.value,
            _seconds(item.sent.seconds_spent),
            item.ticket.config_version,
        )
        if status == "counted" and facts.n_answers + 1 >= min(facts.answers_min, facts.redundancy):
            counted.append((facts, about, item))
    rings: list[int] = []
    read = [f.task_id for f, about, _ in counted if about.type.inline or f.stop_rule != "redundancy"]
    before = stored_answers.counted(connection, read)
    for facts, _, item in counted:
        answers = before.get(facts.task_id, [])
        if not contributors.is_excluded(connection, facts.project_id, contributor):
            answers.append((contributor, item.kind or "", item.value))
        reason, job = _reduce(site, connection, facts, facts.n_answers + 1, answers)
        rings += job
        if reason and facts.retirement_reason is None:
            decisions[facts.task_id] = replace(decisions[facts.task_id], retire=reason)
    if decisions:
        hotpath.write(connection, contributor, network, list(decisions.values()))
    return receipts, slug, rings


def decide_status(
    facts: Facts, *, is_skip: bool
) -> Literal["duplicate", "skipped", "counted", "surplus", "check"]:
    """Say what a first answer or a skip to a task is, given what is known under the task's lock.

    A held seat is a promise: it counts, also when the task was retired or the project paused meanwhile; only
    a withdrawn task takes none. Without a seat (the lease ended, or a crash forgot it) a free one is taken,
    if the contributor's network may have one.
    """
    if is_skip:
        return "duplicate" if facts.is_skipped else "skipped"
    if facts.holds_seat is False:
        return "check"
    if facts.retirement_reason == "withdrawn":
        return "surplus"
    if facts.holds_seat or (facts.is_open and facts.has_room):
        return "counted"
    return "surplus"


def project_of(site: Site, contributor: UUID, leases: Sequence[str]) -> int | None:
    """The id of the project that the last good one of these lease tokens is of."""
    for lease in reversed(leases):
        with suppress(LeaseInvalid):
            return open_token(site, contributor, lease).project_id
    return None


def revise(site: Site, contributor: UUID, lease: str, kind: str, value: Any = None) -> Receipt:
    """Correct an own answer, one of the last 3 in its project. Every version is kept, the last one counts.

    A retired task stays retired; its consensus is made anew. Errors: LeaseInvalid, NotFound (no such answer),
    AnswerInvalid (it does not fit, or it is too late).
    """
    ticket = open_token(site, contributor, lease)
    item = _Item(ticket, AnswerIn(lease, kind, value))
    rings: list[int] = []
    with site.db.connection() as connection:
        facts = _facts(connection, contributor, ticket, None, lock=True)
        mine = stored_answers.mine(connection, contributor, ticket.task_id, ticket.project_id, REVISABLE)
        if facts is None or mine is None:
            raise NotFound("You have not answered this task.")
        if not mine.is_recent:
            raise AnswerInvalid(f"Only your last {REVISABLE} answers can be changed.")
        if kind == "skip":
            raise AnswerInvalid("An answer that was given cannot be skipped any more.")
        shown_as = replace(ticket, config_version=mine.config_version)
        _read(item, facts, _known(site, connection, shown_as, facts))
        status: Literal["counted", "surplus"] = "surplus" if mine.status == "surplus" else "counted"
        if (item.kind, item.value) == (mine.kind, mine.value):
            return Receipt(ticket.task_id, status, stored=status)
        if not stored_answers.revise(connection, mine.answer_id, item.kind or "", item.value):
            raise AnswerInvalid("You were told what is right here, so this answer stays as it is.")
        if mine.status == "counted" and facts.n_answers >= min(facts.answers_min, facts.redundancy):
            answers = stored_answers.counted(connection, [ticket.task_id])[ticket.task_id]
            reason, rings = _reduce(site, connection, facts, facts.n_answers, answers)
            if reason and facts.retirement_reason is None:
                hotpath.retire(connection, ticket.task_id, reason)
    for job in rings:
        site.bell.ring(job)
    return Receipt(ticket.task_id, status, stored=status)


def report(site: Site, contributor: UUID, lease: str, reason: str, note: str = "") -> None:
    """Flag an item for its owner; again: what was said before is replaced. The lease goes on.

    reason: 1 to 40 characters, note: up to 1000. Errors: LeaseInvalid, InputError, NotFound.
    """
    ticket = open_token(site, contributor, lease)
    if not 0 < len(reason) <= 40 or len(note) > 1000 or not _is_storable([reason, note]):
        raise InputError("Please give a reason, and a note of at most 1000 characters.")
    with site.db.connection() as connection:
        if not stored_answers.report(
            connection, contributor, ticket.task_id, ticket.project_id, reason, note
        ):
            raise NotFound("This task no longer exists.")


def recent(site: Site, contributor: UUID, slug: str, limit: int = REVISABLE) -> list[dict[str, Any]]:
    """The contributor's own last answers of a project, newest first: {"lease", "task", "kind", "value"}.

    task as in a lease; lease: the token to revise it with. Errors: NotFound.
    """
    with site.db.connection() as connection:
        rows = stored_answers.recent(connection, contributor, slug, max(1, min(limit, 100)))
        if rows is None:
            raise NotFound(f"There is no project called {slug!r}.")
        return [
            {
                "lease": token(site, contributor, row.project_id, row.task_id, row.config_version),
                "task": shown(
                    row.task_id,
                    known(site, connection, row.project_id, row.config_version, row.task_type),
                    row.payload,
                    row.media,
                ),
                "kind": row.kind,
                "value": row.value,
            }
            for row in rows
        ]


def _facts(
    connection: Connection, contributor: UUID, ticket: Ticket, network: bytes | None, *, lock: bool
) -> Facts | None:
    return hotpath.facts(connection, contributor, [ticket.task_id], network, lock=lock).get(ticket.task_id)


def _known(site: Site, connection: Connection, ticket: Ticket, facts: Facts) -> Known:
    return known(site, connection, facts.project_id, ticket.config_version, facts.task_type)


def _read(item: _Item, task: Facts | Content, about: Known) -> None:
    """Set the item's kind and value. Errors: AnswerInvalid. The config is the one it was handed out with."""
    match item.sent.kind:
        case "skip":
            return
        case "cant_tell":
            item.kind = "cant_tell"
        case "value":
            value = about.type.parse_value(
                item.sent.value,
                about.type.Payload.model_validate(task.payload),
                about.config,
                [Media(width=size[0], height=size[1]) for size in task.sizes],
            )
            if not _is_storable(value):
                raise AnswerInvalid("This answer holds characters that cannot be stored.")
            item.kind = "empty" if about.type.is_empty(value) else "value"
            item.value = value
        case _:
            raise AnswerInvalid("An answer is of kind value, cant_tell or skip.")


def _is_storable(value: Any) -> bool:
    """PostgreSQL keeps neither NUL nor a lone surrogate."""
    try:
        encoded = orjson.dumps(value)
    except (TypeError, ValueError):
        return False
    return b"\\u0000" not in encoded.replace(b"\\\\", b"")


def _reduce(
    site: Site, connection: Connection, facts: Facts, n_answers: int, counted: Sequence[stored_answers.Said]
) -> tuple[str | None, list[int]]:
    """Make the consensus, or the job that will; return why the task retires, if it does, and jobs to ring.

    n_answers: all counted ones; counted: those whose contributors are not excluded.
    """
    about = known(site, connection, facts.project_id, facts.config_version, facts.task_type)
    policy = _policy(facts)
    answers = [Answer(who.hex, kind, value) for who, kind, value in counted]  # type: ignore[arg-type]
    if not about.type.inline:
        # Of an expensive type only what is plain at a glance retires early: a blank image.
        seen = about.type.glance(answers, about.config) if facts.stop_rule != "redundancy" else None
        return retirement_reason(policy, n_answers, seen), [jobs.add(connection, "reduce", facts.task_id)]
    result: Consensus = about.type.reduce(answers, about.config)
    consensus.put(connection, facts.task_id, facts.project_id, result, "majority")
    if facts.stop_rule == "confidence":
        return stopping.decide(site, connection, facts, about, answers, n_answers, result), []
    return retirement_reason(policy, n_answers, result), []


def reduce_again(
    site: Site, connection: Connection, facts: Facts, counted: Sequence[stored_answers.Said]
) -> tuple[str | None, list[int]]:
    """Make the consensus of a task that lost a counted answer, under its lock; as `_reduce` does."""
    return _reduce(site, connection, facts, facts.n_answers, counted)


def _policy(task: Facts | PendingConsensus) -> Policy:
    return Policy(
        task.redundancy, min(task.answers_min, task.redundancy), task.stop_rule, task.stop_threshold
    )


def _seconds(seconds: float | None) -> float | None:
    """A time that can be true, else None: it is the client's own clock."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return None
    return float(seconds) if math.isfinite(seconds) and 0 <= seconds <= SECONDS_MAX else None


def _gone(ticket: Ticket) -> Receipt:
    return Receipt(ticket.task_id, "rejected", _error(NotFound("This task no longer exists.")))


def _error(error: MicrotasksError) -> dict[str, Any]:
    return {"error": error.code, "message": error.message, "details": error.details}
