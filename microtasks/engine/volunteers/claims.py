"""Keep my work: an address that finds it again, several devices that are one person, and being forgotten.

Nobody is asked for an address before they help. A link in a letter joins the browser that opens it; a device
that only asked is joined by typing the letter's code on it, so that nobody is joined to a stranger's work by
pressing a button in a letter they did not ask for.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from microtasks.core.errors import Conflict, Forbidden, InputError, TooMany
from microtasks.engine.accounts import mail
from microtasks.engine.assignment import submit
from microtasks.engine.site import Site
from microtasks.store import jobs
from microtasks.store.assignment import answers as said
from microtasks.store.assignment import hotpath
from microtasks.store.db import Connection
from microtasks.store.operations import limits
from microtasks.store.volunteers import claims, contributions

LINK_HOURS = 24
#: No letters that are taken for others. 8 of 30: 6.5e11 codes, for ten tries in five minutes.
ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
CODE_LENGTH = 8
TRIES = 5
_EMAIL = re.compile(r"[^@\s\x00-\x1f<>,;:\"()\[\]\\]{1,64}@[^@\s\x00-\x1f<>,;:\"()\[\]\\]{1,189}")

#: Makes the letter: (token of the link, code) -> (subject, text).
LetterWriter = Callable[[str, str], tuple[str, str]]


def request_link(site: Site, contributor: UUID, email: str, write: LetterWriter, *, address: str = "") -> str:
    """Send a link by which this contributor's work is kept under an address; return the address.

    What is said is the same for known and unknown addresses. Errors: InputError for what is no address;
    TooMany after three letters an hour to one address, or ten asked from one network or by one contributor.
    """
    email = email.strip()
    if not _EMAIL.fullmatch(email) or not email.isprintable():
        raise InputError("This is not an e-mail address.")
    budgets = [("mail_from", address), ("mail_from", f"contributor {contributor.hex}"), ("mail_to", email)]
    if not limits.allow_each(site, *budgets):
        raise TooMany("Several messages were asked for already. Please check your mail, or wait an hour.")
    token, code = secrets.token_urlsafe(32), "".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH))
    subject, text = write(token, f"{code[:4]}-{code[4:]}")
    with site.db.connection() as connection:
        lifetime = timedelta(hours=LINK_HOURS)
        claims.add_link(connection, _hash(token), _code_hash(code, contributor), email, contributor, lifetime)
        job = mail.post(connection, email, subject, text)
    site.bell.ring(job)
    return email


@dataclass(frozen=True, slots=True)
class Link:
    """A good link, before it is spent. n_answers: of the browser that opened it."""

    email: str
    is_here: bool  # asked for by this browser
    n_answers: int


def preview_link(site: Site, token: str, contributor: UUID | None) -> Link | None:
    """What a link would do; None if it is not good (any more). Spends nothing: mail programs open links."""
    with site.db.connection() as connection:
        link_row = claims.link(connection, _hash(token))
        if link_row is None:
            return None
        n_answers = contributions.totals(connection, contributor).n_answers if contributor else 0
    return Link(link_row.email, link_row.contributor == contributor, n_answers)


@dataclass(frozen=True, slots=True)
class KeptIdentity:
    """Who the browser is from now on. is_joined: it had another id before."""

    person: UUID
    is_joined: bool


def keep_by_link(site: Site, token: str, contributor: UUID, *, address: str = "") -> KeptIdentity:
    """Spend a link: this browser's work is kept under its address. Errors: Forbidden, TooMany."""
    _count_try(site, address)
    return _keep(site, contributor, lambda connection: claims.use_link(connection, _hash(token)))


def keep_by_code(site: Site, code: str, contributor: UUID, *, address: str = "") -> KeptIdentity:
    """Spend a link by its code, on the device that asked for it. Errors: Forbidden, TooMany."""
    _count_try(site, f"contributor {contributor.hex}")
    _count_try(site, address)
    plain = re.sub(r"[\s-]", "", code).upper()[:64]
    return _keep(
        site,
        contributor,
        lambda connection: claims.use_code(connection, _code_hash(plain, contributor), contributor),
    )


def _keep(
    site: Site, contributor: UUID, use: Callable[[Connection], claims.LinkRequest | None]
) -> KeptIdentity:
    """1. Spend the link. 2. Let its address stand for who asks, or find whose it is. 3. Join the two."""
    for attempt in range(TRIES):
        try:
            with site.db.connection() as connection:
                redeemed = use(connection)
                if redeemed is None:
                    raise Forbidden("This link does not work any more. Ask for a new one.")
                person = claims.person(connection, claims.claim(connection, redeemed.email, contributor))
                rings = join(site, connection, contributor, person) if person != contributor else []
            break
        except hotpath.RETRY:
            if attempt == TRIES - 1:
                raise
    for job in rings:
        site.bell.ring(job)
    return KeptIdentity(person, person != contributor)


def join(site: Site, connection: Connection, old: UUID, new: UUID, *, keep_alias: bool = True) -> list[int]:
    """Make the work of `old` the work of `new`, in this transaction; return jobs to ring for.

    1. Move everything; of two answers to one task one goes on counting. 2. A task that lost one is decided
    anew by its project's rule: it may be open again. 3. Have the projects reviewed: skill and standing are
    the person's.
    """
    done = claims.join(connection, old, new, keep_alias=keep_alias)
    rings: list[int] = []
    facts = hotpath.facts(connection, new, done.twice, None, lock=True) if done.twice else {}
    counted = said.counted(connection, done.twice)
    for task_id, task in sorted(facts.items()):
        if task.n_answers >= min(task.answers_min, task.redundancy):
            reason, added = submit.reduce_again(site, connection, task, counted[task_id])
            rings += added
        else:
            reason = None
            claims.drop_consensus(connection, task_id)
        if task.retirement_reason != "withdrawn" and reason != task.retirement_reason:
            claims.reopen(connection, task_id, reason)
    for project_id in sorted({task.project_id for task in facts.values()}):
        hotpath.lower_head(connection, project_id)
    return rings + [jobs.add(connection, "aggregate", project_id) for project_id in done.projects]


def join_stragglers(site: Site) -> int:
    """Join what devices did under an id that was joined meanwhile, as a tab left open does; for the clock."""
    with site.db.connection() as connection:
        stragglers = claims.stragglers(connection)
    for old, new in stragglers:
        with site.db.connection() as connection:
            rings = join(site, connection, old, new)
        for job in rings:
            site.bell.ring(job)
    return len(stragglers)


def person(site: Site, contributor: UUID) -> UUID:
    """Who this id was joined to; itself if it was not."""
    with site.db.connection() as connection:
        return claims.person(connection, contributor)


@dataclass(frozen=True, slots=True)
class Contributions:
    """What is known of one contributor: for their own eyes."""

    emails: list[str]
    n_devices: int
    totals: contributions.Totals
    projects: list[contributions.Part]


def contributions_of(site: Site, contributor: UUID | None) -> Contributions:
    """Everything that is kept for this contributor."""
    if contributor is None:
        return Contributions([], 1, contributions.Totals(0, 0.0, None, None), [])
    with site.db.connection() as connection:
        return Contributions(
            claims.emails(connection, contributor),
            claims.n_devices(connection, contributor),
            contributions.totals(connection, contributor),
            contributions.parts(connection, contributor),
        )


def is_claimed(site: Site, contributor: UUID) -> bool:
    """Does an address stand for this contributor?"""
    with site.db.connection() as connection:
        return bool(claims.emails(connection, contributor))


def disconnect(site: Site, contributor: UUID) -> None:
    """Delete the addresses that stand for this contributor; the work stays on their devices."""
    with site.db.connection() as connection:
        claims.disconnect(connection, contributor)
    mail.tidy(site)


def forget(site: Site, contributor: UUID) -> None:
    """Cut the answers loose from who gave them, for good.

    1. Delete address, letters to it, certificates, teams, ratings, words in reports, and network hashes.
    2. Give the rest a new random id that no cookie holds; the answers go on counting.
    """
    with site.db.connection() as connection:
        if claims.person(connection, contributor) != contributor:
            raise Conflict("This browser was joined to another one meanwhile. Reload the page and try again.")
        claims.forget(connection, contributor)
        rings = join(site, connection, contributor, UUID(bytes=secrets.token_bytes(16)), keep_alias=False)
    mail.tidy(site)
    for job in rings:
        site.bell.ring(job)


def _count_try(site: Site, key: str) -> None:
    if key and not limits.allow(site, "link", key):
        raise TooMany("Too many tries. Please wait five minutes.")


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="replace")).digest()


def _code_hash(code: str, contributor: UUID) -> bytes:
    return hashlib.sha256(contributor.bytes + code.encode(errors="replace")).digest()
