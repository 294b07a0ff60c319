"""Take what volunteers say: answers, skips, reports, revisions. The rules; the SQL is in store/hotpath."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from uuid import UUID

import orjson

from microtasks.core.errors import AnswerInvalid, InputError, LeaseInvalid, MicrotasksError, NotFound
from microtasks.core.retirement import Policy, retirement_reason
from microtasks.core.values import Answer, Consensus, Media
from microtasks.engine.assignment import leases as assignment_leases
from microtasks.engine.assignment import serve, stopping
from microtasks.engine.assignment.leases import Content, Known, Lease, Ticket, known, open_token, shown, token
from microtasks.engine.site import Site
from microtasks.store import jobs
from microtasks.store.assignment import answers as said
from microtasks.store.assignment import hotpath
from microtasks.store.assignment.hotpath import Due, Facts, Plain, Turn, Written
from microtasks.store.db import Connection
from microtasks.store.results import consensus, contributors
from microtasks.store.volunteers import claims

ANSWERS_MAX = 20
#: How many of their last answers a volunteer may still correct.
REVISABLE = 3
SECONDS_MAX = 86400.0
TRIES = 5

Status = Literal["counted", "surplus", "duplicate", "skipped", "rejected"]


@dataclass(frozen=True, slots=True)
class AnswerIn:
    """What a client sends for one lease. kind: value, cant_tell or skip."""

    lease: str
    kind: str
    value: Any = None
    seconds_spent: float | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of it. A known task's check reads `counted`: nothing tells gold from the rest."""

    task: int | None
    status: Status
    error: dict[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        return {"task": self.task, "status": self.status, "error": self.error}


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

    A lease sent again gives `duplicate` and changes nothing. What is counted here is on the disk.

    1. Open the lease tokens; a bad one is rejected by itself.
    2. One plain answer to a held seat: one message, or two where a consensus is due; no lock held by us.
    3. All else under the locks of the contributor's cursor and the tasks, in one transaction.
    4. Ring for what a worker has to reduce.
    5. Lease what comes next, of the project of the last answer.
    """
    if len(answers) > ANSWERS_MAX:
        raise InputError(f"At most {ANSWERS_MAX} answers at once.")
    next_limit = max(0, min(serve.LIMIT_MAX, next_limit))
    receipts: list[Receipt | None] = [None] * len(answers)
    items: dict[int, _Item] = {}
    first_of: dict[int, int] = {}
    for i, sent in enumerate(answers):
        try:
            ticket = open_token(site, contributor, sent.lease)
        except LeaseInvalid as error:
            receipts[i] = Receipt(None, "rejected", _error(error))
            continue
        if ticket.task_id in first_of:
            receipts[i] = Receipt(ticket.task_id, "duplicate")
            continue
        first_of[ticket.task_id] = i
        items[i] = _Item(ticket, sent)
    if not items:
        return Submitted([receipt for receipt in receipts if receipt])
    slug: str | None = None
    next_served: serve.Served | None = None
    if len(items) == 1:
        ((i, item),) = items.items()
        # Crossed with a joining of two devices: nothing was changed, and under locks it is tried again.
        with suppress(*hotpath.RETRY):
            receipts[i], slug, next_served = _plain(site, contributor, item, next_limit, network)
    if any(receipts[i] is None for i in items):
        results, slug, rings = _locked(site, contributor, list(items.values()), network)
        for i, receipt in zip(items, results, strict=True):
            receipts[i] = receipt
        for job in rings:
            site.bell.ring(job)
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
    turn: Turn | None = hotpath.turn(site.db, plain, next_limit, network, seconds, with_due=about.type.inline)
    if turn and turn.due:
        # Made without a lock from what was read; stored if that is still so.
        due = turn.due
        now = [*due.said, (contributor.hex, plain.kind, plain.value)]
        about = known(site, None, ticket.project_id, due.config_version, due.task_type)
        result = about.type.reduce([Answer(*each) for each in now], about.config)  # type: ignore[arg-type]
        reason = retirement_reason(_policy(due), due.n_answers + 1, result)
        turn = hotpath.settle(site.db, plain, next_limit, network, seconds, due, reason, result)
    if turn is None or turn.status is None:
        return None, None, None
    next_served = None
    if turn.leased and not turn.leased.is_undecided:
        next_served = serve.served(site, contributor, turn.slug, turn.leased, [])
    return Receipt(ticket.task_id, turn.status), turn.slug, next_served


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
    """The device was joined to a person meanwhile: the lease is theirs. Begin anew, or locks would cross."""

    def __init__(self, person: UUID) -> None:
        self.person = person


def _settle(
    site: Site, connection: Connection, contributor: UUID, items: Sequence[_Item], network: bytes | None
) -> tuple[list[Receipt], str | None, list[int]]:
    receipts: list[Receipt] = []
    counted: list[tuple[Facts, Known, _Item]] = []
    writes: dict[int, Written] = {}
    slug = None
    all_facts = hotpath.facts(
        connection, contributor, [item.ticket.task_id for item in items], network, lock=True
    )
    if any(one.holds_seat is None and one.answer_status is None for one in all_facts.values()):
        person = claims.person(connection, contributor)
        if person != contributor:
            raise _Joined(person)
    for item in items:
        task_id = item.ticket.task_id
        facts = all_facts.get(task_id)
        if facts is None:
            receipts.append(_gone(item.ticket))
            continue
        slug = facts.slug
        try:
            about = _known(site, connection, item.ticket, facts)
            if facts.answer_status is None and item.kind is None:
                _read(item, facts, about)
        except MicrotasksError as error:
            receipts.append(Receipt(task_id, "rejected", _error(error)))
            continue
        status = decide_status(facts, is_skip=item.sent.kind == "skip")
        receipts.append(Receipt(task_id, "counted" if status == "check" else status))
        if status == "duplicate":
            continue
        writes[task_id] = Written(
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
    before = said.counted(connection, read)
    for facts, _, item in counted:
        now = before.get(facts.task_id, [])
        if not contributors.is_excluded(connection, facts.project_id, contributor):
            now.append((contributor, item.kind or "", item.value))
        reason, job = _reduce(site, connection, facts, facts.n_answers + 1, now)
        rings += job
        if reason and facts.retirement_reason is None:
            writes[facts.task_id] = replace(writes[facts.task_id], retire=reason)
    if writes:
        hotpath.write(connection, contributor, network, list(writes.values()))
    return receipts, slug, rings


def decide_status(
    facts: Facts, *, is_skip: bool
) -> Literal["duplicate", "skipped", "counted", "surplus", "check"]:
    """Say what an answer or a skip is, given what is known under the task's lock.

    A held seat is a promise: it counts, also when the task was retired or the project paused meanwhile; only
    a withdrawn task takes none. Without a seat (the lease ended, or a crash forgot it) a free one is taken,
    if the contributor's network may have one.
    """
    if facts.answer_status is not None:
        return "duplicate"
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
        mine = said.mine(connection, contributor, ticket.task_id, ticket.project_id, REVISABLE)
        if facts is None or mine is None:
            raise NotFound("You have not answered this task.")
        if not mine.is_recent:
            raise AnswerInvalid(f"Only your last {REVISABLE} answers can be changed.")
        if kind == "skip":
            raise AnswerInvalid("An answer that was given cannot be skipped any more.")
        shown_as = replace(ticket, config_version=mine.config_version)
        _read(item, facts, _known(site, connection, shown_as, facts))
        status: Status = "surplus" if mine.status == "surplus" else "counted"
        if (item.kind, item.value) == (mine.kind, mine.value):
            return Receipt(ticket.task_id, status)
        if not said.revise(connection, mine.answer_id, item.kind or "", item.value):
            raise AnswerInvalid("You were told what is right here, so this answer stays as it is.")
        if mine.status == "counted" and facts.n_answers >= min(facts.answers_min, facts.redundancy):
            now = said.counted(connection, [ticket.task_id])[ticket.task_id]
            reason, rings = _reduce(site, connection, facts, facts.n_answers, now)
            if reason and facts.retirement_reason is None:
                hotpath.retire(connection, ticket.task_id, reason)
    for job in rings:
        site.bell.ring(job)
    return Receipt(ticket.task_id, status)


def report(site: Site, contributor: UUID, lease: str, reason: str, note: str = "") -> None:
    """Flag an item for its owner; again: what was said before is replaced. The lease goes on.

    reason: 1 to 40 characters, note: up to 1000. Errors: LeaseInvalid, InputError, NotFound.
    """
    ticket = open_token(site, contributor, lease)
    if not 0 < len(reason) <= 40 or len(note) > 1000 or not _is_storable([reason, note]):
        raise InputError("Please give a reason, and a note of at most 1000 characters.")
    with site.db.connection() as connection:
        if not said.report(connection, contributor, ticket.task_id, ticket.project_id, reason, note):
            raise NotFound("This task no longer exists.")


def recent(site: Site, contributor: UUID, slug: str, limit: int = REVISABLE) -> list[dict[str, Any]]:
    """The contributor's own last answers of a project, newest first: {"lease", "task", "kind", "value"}.

    task as in a lease; lease: the token to revise it with. Errors: NotFound.
    """
    with site.db.connection() as connection:
        rows = said.recent(connection, contributor, slug, max(1, min(limit, 100)))
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
    site: Site, connection: Connection, facts: Facts, n_answers: int, counted: Sequence[said.Said]
) -> tuple[str | None, list[int]]:
    """Make the consensus, or the job that will; return why the task retires, if it does, and jobs to ring.

    n_answers: all counted ones; counted: those that weigh.
    """
    about = known(site, connection, facts.project_id, facts.config_version, facts.task_type)
    policy = _policy(facts)
    answers = [Answer(who.hex, kind, value) for who, kind, value in counted]  # type: ignore[arg-type]
    if not about.type.inline:
        # Of a dear type only what is plain at a glance retires early: a blank image.
        seen = about.type.glance(answers, about.config) if facts.stop_rule != "redundancy" else None
        return retirement_reason(policy, n_answers, seen), [jobs.add(connection, "reduce", facts.task_id)]
    result: Consensus = about.type.reduce(answers, about.config)
    consensus.put(connection, facts.task_id, facts.project_id, result, "majority")
    if facts.stop_rule == "confidence":
        return stopping.decide(site, connection, facts, about, answers, n_answers, result), []
    return retirement_reason(policy, n_answers, result), []


def reduce_again(
    site: Site, connection: Connection, facts: Facts, counted: Sequence[said.Said]
) -> tuple[str | None, list[int]]:
    """Make the consensus of a task that lost a counted answer, under its lock; as `_reduce` does."""
    return _reduce(site, connection, facts, facts.n_answers, counted)


def _policy(task: Facts | Due) -> Policy:
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
