"""The people of a project: invited by a link, each with a role, removed, and the project handed over.

Who may do what is decided in `store.members.reached`. An invitation's token is random and shown once; only
its SHA-256 is stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final, cast

from microtasks.core.errors import Conflict, Forbidden, InputError, NotFound, TooMany
from microtasks.engine import audit
from microtasks.engine.accounts import accounts
from microtasks.engine.site import Site
from microtasks.store.accounts import accounts as stored
from microtasks.store.accounts import members
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
    with that role or a greater one.
    """
    with site.db.session() as session:
        project = _accept(session, token, account_id)
        session.commit()
    return project


def join(site: Site, token: str, email: str, password: str, *, address: str = "") -> tuple[str, Project]:
    """Accept an invitation with a new account; return the token of its first session, and the project.

    Errors: Forbidden for the invitation, InputError for address or password, Conflict where the address has
    an account, TooMany after ten tries in five minutes from one IP address.
    """
    if address and not limits.allow(site, "link", address):
        raise TooMany("Too many tries. Please wait five minutes.")
    with site.db.session() as session:
        if members.invited(session, accounts.hashed(token)) is None:
            raise _spent()
        account = accounts.register(session, email, password)
        project = _accept(session, token, account.id)
        session_token = accounts.begin(site, session, account)
        session.commit()
    return session_token, project


def revoke(site: Site, project_id: int, invitation_id: int, by: int) -> None:
    """Take an invitation back. NotFound, also for one that was used."""
    with site.db.session() as session:
        found = members.drop_invitation(session, project_id, invitation_id)
        if found is None:
            raise NotFound("There is no such open invitation.")
        audit.note(raw(session), by, project_id, "people.revoke", role=found.role, note=found.note or None)
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


def _accept(session: Session, token: str, account_id: int) -> Project:
    invitation = members.use_invitation(session, accounts.hashed(token))
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
    found = members.role_of(session, project_id, account_id)
    if found is None:
        raise NotFound("There is no such member in this project.")
    return found


def _role(given: str) -> Role:
    if given not in GIVEN:
        raise InputError(f"There is no role {given!r} to give. There are: {', '.join(GIVEN)}.")
    return given


def _email(session: Session, account_id: int) -> str:
    found = stored.get(session, account_id)
    return found.email if found else ""


def _spent() -> Forbidden:
    return Forbidden("This invitation was used already, taken back, or has expired. Ask for a new one.")
