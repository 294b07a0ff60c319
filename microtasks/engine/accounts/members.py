"""The people of a project: invited by a link, each with a role, removed, and the project handed over.

Who may do what is decided in `store.members.reached`. An invitation's token is random and shown once; only
its SHA-256 is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final, cast

from microtasks.core.errors import Conflict, Forbidden, InputError, NotFound, TooMany
from microtasks.engine import audit
from microtasks.engine.accounts import accounts, mail
from microtasks.engine.site import Site
from microtasks.store.accounts import accounts as stored
from microtasks.store.accounts import address_links, members
from microtasks.store.accounts.members import Invited, Member, Role
from microtasks.store.db import Session, raw
from microtasks.store.operations import limits
from microtasks.store.projects import projects
from microtasks.store.tables import Invitation, Project

#: Roles that can be given; the owner's is handed over instead.
GIVEN: Final[tuple[Role, ...]] = members.ROLES[:-1]
DAYS, DAYS_MAX = 14, 90
NOTE_MAX = 200
OPEN_MAX = 100


def invite(site: Site, project_id: int, by: int, role: str, *, note: str = "", days: int = DAYS) -> str:
    """Make an invitation; return its token: whoever opens it first may join. InputError, Conflict."""
    note = note.strip()
    if len(note) > NOTE_MAX or not note.isprintable():
        raise InputError(f"A note is one line of at most {NOTE_MAX} characters.")
    if not 1 <= days <= DAYS_MAX:
        raise InputError(f"An invitation is good for 1 to {DAYS_MAX} days.")
    given = _role(role)
    token = accounts.new_token()
    with site.db.session() as session:
        projects.locked(session, project_id)
        if len(members.open_invitations(session, project_id)) >= OPEN_MAX:
            raise Conflict("There are very many open invitations. Take some back first.")
        members.invite(session, accounts.hashed(token), project_id, given, note, by, timedelta(days=days))
        audit.note(raw(session), by, project_id, "people.invite", role=given, note=note or None, days=days)
        session.commit()
    return token


def look(site: Site, token: str) -> Invited | None:
    """What an invitation offers, if it is (still) good; looking does not spend it."""
    with site.db.session() as session:
        return members.invited(session, accounts.hashed(token))


def accept(site: Site, token: str, account_id: int) -> Project:
    """Spend an invitation: the account joins the project with its role.

    Forbidden if it is not good (any more). Conflict, and it stays good, for who is in the project already
    with that role or a higher one.
    """
    with site.db.session() as session:
        project = _accept(session, accounts.hashed(token), account_id)
        session.commit()
    return project


def ask_to_join(
    site: Site, token: str, email: str, write: Callable[[str], tuple[str, str]], *, address: str = ""
) -> None:
    """Send a link to the address with which somebody invited wants to join with a new account.

    write: token -> (subject, text). The invitation stays good. Errors: Forbidden for the invitation,
    InputError for what is no address, Conflict where it has an account, TooMany after three letters an hour
    to one address, or ten from one network.
    """
    email = accounts.checked_address(email)
    with site.db.session() as session:
        invitation = members.open_invitation(session, accounts.hashed(token))
        if invitation is None:
            raise _spent()
        if stored.by_email(session, email) is not None:
            raise Conflict(f"There is an account for {email} already. Please sign in with it.")
        if not limits.allow_each(site, ("mail_from", address), ("mail_to", email)):
            raise TooMany("Several messages were asked for already. Please check your mail, or wait an hour.")
        proof = accounts.new_token()
        lifetime = timedelta(hours=accounts.PROOF_HOURS)
        address_links.add(
            session, accounts.hashed(proof), "join", email, lifetime, invitation_id=invitation.id
        )
        job = mail.post(raw(session), email, *write(proof))
        session.commit()
    site.bell.ring(job)


def proven(site: Site, proof: str) -> tuple[str, Invited] | None:
    """The address that a link of `ask_to_join` proves, and what is offered; None if either is not good."""
    with site.db.session() as session:
        link = address_links.good(session, accounts.hashed(proof))
        invitation = session.get(Invitation, link.invitation_id) if link and link.invitation_id else None
        offer = members.invited(session, invitation.token_hash) if invitation else None
    return (link.email, offer) if link is not None and offer is not None else None


def join(site: Site, proof: str, password: str, *, address: str = "") -> tuple[str, Project]:
    """Make the account whose address `proof` proves, and accept its invitation: session token, project.

    Errors: Forbidden for link or invitation, InputError for the password, Conflict where the address has an
    account meanwhile, TooMany after ten tries in five minutes from one IP address.
    """
    if address and not limits.allow(site, "link", address):
        raise TooMany("Too many tries. Please wait five minutes.")
    with site.db.session() as session:
        link = address_links.use(session, accounts.hashed(proof))
        invitation = session.get(Invitation, link.invitation_id) if link and link.invitation_id else None
        if link is None or invitation is None:
            raise _spent()
        account = accounts.register(session, link.email, password)
        project = _accept(session, invitation.token_hash, account.id)
        session_token = accounts.begin(site, session, account)
        session.commit()
    return session_token, project


def revoke(site: Site, project_id: int, invitation_id: int, by: int) -> None:
    """Take an invitation back. NotFound, also for one that was used."""
    with site.db.session() as session:
        invitation = members.drop_invitation(session, project_id, invitation_id)
        if invitation is None:
            raise NotFound("There is no such open invitation.")
        audit.note(
            raw(session), by, project_id, "people.revoke", role=invitation.role, note=invitation.note or None
        )
        session.commit()


def listed(site: Site, project: Project) -> tuple[list[Member], Sequence[Invitation]]:
    """Everybody in the project, and the open invitations."""
    with site.db.session() as session:
        return members.listed(session, project), members.open_invitations(session, project.id)


def change_role(site: Site, project_id: int, account_id: int, role: str, by: int) -> None:
    """Give a member another role. NotFound, InputError."""
    given = _role(role)
    with site.db.session() as session:
        before = _member(session, project_id, account_id)
        if before != given:
            members.put(session, project_id, account_id, given)
            who = _email(session, account_id)
            audit.note(raw(session), by, project_id, "people.role", who=who, before=before, after=given)
        session.commit()


def remove(site: Site, project_id: int, account_id: int, by: int) -> None:
    """Remove a member; they may go themselves, too. NotFound: nobody, or the owner, who hands over first."""
    with site.db.session() as session:
        role = _member(session, project_id, account_id)
        members.remove(session, project_id, account_id)
        action = "people.leave" if account_id == by else "people.remove"
        audit.note(raw(session), by, project_id, action, who=_email(session, account_id), before=role)
        session.commit()


def transfer(site: Site, project_id: int, account_id: int, by: int) -> None:
    """Hand the project over to a member; the owner so far stays as a collaborator. NotFound."""
    with site.db.session() as session:
        project = projects.locked(session, project_id)
        _member(session, project_id, account_id)
        before, project.account_id = project.account_id, account_id
        session.add(project)
        session.flush()
        members.remove(session, project_id, account_id)
        if before is not None:
            members.put(session, project_id, before, "collaborator")
        audit.note(
            raw(session),
            by,
            project_id,
            "people.transfer",
            before=None if before is None else _email(session, before),
            after=_email(session, account_id),
        )
        session.commit()


def _accept(session: Session, token_hash: bytes, account_id: int) -> Project:
    invitation = members.use_invitation(session, token_hash)
    if invitation is None:
        raise _spent()
    project = projects.locked(session, invitation.project_id)
    role = cast(Role, invitation.role)
    is_owner = project.account_id == account_id
    has = "owner" if is_owner else members.role_of(session, project.id, account_id)
    if has is not None and members.is_enough(has, role):
        raise Conflict(
            f"You are in this project already, as its {has}. Give the link to whom it is meant for."
        )
    members.put(session, project.id, account_id, role)
    audit.note(raw(session), account_id, project.id, "people.join", role=role, before=has)
    return project


def _member(session: Session, project_id: int, account_id: int) -> Role:
    projects.locked(session, project_id)
    role = members.role_of(session, project_id, account_id)
    if role is None:
        raise NotFound("There is no such member in this project.")
    return role


def _role(given: str) -> Role:
    if given not in GIVEN:
        raise InputError(f"There is no role {given!r} to give. There are: {', '.join(GIVEN)}.")
    return given


def _email(session: Session, account_id: int) -> str:
    account = stored.get(session, account_id)
    return account.email if account else ""


def _spent() -> Forbidden:
    return Forbidden("This invitation was used already, taken back, or has expired. Ask for a new one.")
