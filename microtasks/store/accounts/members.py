"""Who may do what in a project: its owner, its members with a role each, and who is invited."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple, cast, get_args

from sqlalchemy import delete, func, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, select

from microtasks.core.errors import Forbidden, NotFound
from microtasks.store.tables import Account, Invitation, Project, ProjectMember

#: From the one who may least to the one who may most; each may do what those before may.
Role = Literal["researcher", "reviewer", "collaborator", "owner"]
ROLES: tuple[Role, ...] = get_args(Role)


def is_enough(role: Role, needed: Role) -> bool:
    """May this role do what asks for that one?"""
    return ROLES.index(role) >= ROLES.index(needed)


def reached(
    session: Session, account_id: int, is_operator: bool, slug: str, needed: Role = "owner"
) -> tuple[Project, Role]:
    """The project and this account's role in it (an operator is owner everywhere).

    The one place where it is decided: every owner and research route goes through it. Errors: NotFound alike
    for foreign and unknown, Forbidden for a member whose role is too small.
    """
    found = session.exec(
        select(Project, ProjectMember.role)
        .outerjoin(
            ProjectMember,
            (col(ProjectMember.project_id) == col(Project.id))
            & (col(ProjectMember.account_id) == account_id),
        )
        .where(Project.slug == slug)
    ).first()
    project, role = found if found is not None else (None, None)
    if project is not None and (is_operator or project.account_id == account_id):
        role = "owner"
    if project is None or role is None:
        raise NotFound("There is no such project, or it is not yours.")
    if not is_enough(cast(Role, role), needed):
        raise Forbidden(
            f"In this project you are a {role}; for this one has to be {_a(needed)}. Ask the project's owner."
        )
    return project, cast(Role, role)


def roles(
    session: Session, account_id: int, is_operator: bool, projects: Sequence[Project]
) -> dict[int, Role]:
    """The role of this account in each of these projects that it reaches."""
    given = dict(
        session.exec(
            select(ProjectMember.project_id, ProjectMember.role).where(ProjectMember.account_id == account_id)
        ).all()
    )
    return {
        one.id: "owner" if is_operator or one.account_id == account_id else cast(Role, given[one.id])
        for one in projects
        if one.id is not None and (is_operator or one.account_id == account_id or one.id in given)
    }


def _a(role: Role) -> str:
    return "its owner" if role == "owner" else f"a {role}"


# -- members ------------------------------------------------------------------------------------------


class Member(NamedTuple):
    """Somebody with a role in a project. since: when they joined; None for the owner."""

    account_id: int
    email: str
    role: Role
    since: datetime | None


def listed(session: Session, project: Project) -> list[Member]:
    """Everybody in the project: the owner first, then by role and address."""
    rows = session.exec(
        select(Account.id, Account.email, ProjectMember.role, ProjectMember.created_at)
        .join(ProjectMember, col(ProjectMember.account_id) == col(Account.id))
        .where(ProjectMember.project_id == project.id)
        .order_by(func.lower(col(Account.email)))
    ).all()
    members = [Member(who, email, cast(Role, role), since) for who, email, role, since in rows]
    members.sort(key=lambda member: -ROLES.index(member.role))
    owner = session.get(Account, project.account_id) if project.account_id is not None else None
    return ([Member(owner.id, owner.email, "owner", None)] if owner else []) + members


def role_of(session: Session, project_id: int, account_id: int) -> Role | None:
    """The role of a member, locked until the end of the transaction; None for anybody else."""
    role = session.exec(
        select(ProjectMember)
        .where(ProjectMember.project_id == project_id, ProjectMember.account_id == account_id)
        .with_for_update()
    ).first()
    return None if role is None else cast(Role, role.role)


def put(session: Session, project_id: int, account_id: int, role: Role) -> None:
    """Give this account that role in the project."""
    session.execute(
        insert(ProjectMember)
        .values(project_id=project_id, account_id=account_id, role=role)
        .on_conflict_do_update(index_elements=["project_id", "account_id"], set_={"role": role})
    )


def remove(session: Session, project_id: int, account_id: int) -> None:
    session.execute(
        delete(ProjectMember).where(
            col(ProjectMember.project_id) == project_id, col(ProjectMember.account_id) == account_id
        )
    )


# -- invitations --------------------------------------------------------------------------------------


class Invited(NamedTuple):
    """An invitation that would still be good, and who sent it."""

    project: Project
    role: Role
    by: str
    expires_at: datetime


def invite(
    session: Session, token_hash: bytes, project_id: int, role: Role, note: str, by: int, lifetime: timedelta
) -> None:
    session.add(
        Invitation(
            token_hash=token_hash,
            project_id=project_id,
            role=role,
            note=note,
            account_id=by,
            expires_at=cast(Any, func.now() + lifetime),
        )
    )
    session.flush()


def open_invitations(session: Session, project_id: int) -> Sequence[Invitation]:
    """Those that nobody has used yet and that are still good, newest first."""
    return session.exec(
        select(Invitation)
        .where(
            Invitation.project_id == project_id,
            col(Invitation.used_at).is_(None),
            col(Invitation.expires_at) > func.now(),
        )
        .order_by(col(Invitation.id).desc())
    ).all()


def open_invitation(session: Session, token_hash: bytes) -> Invitation | None:
    """The invitation of a link, if it is (still) good. Changes nothing."""
    return session.exec(
        select(Invitation).where(
            Invitation.token_hash == token_hash,
            col(Invitation.used_at).is_(None),
            col(Invitation.expires_at) > func.now(),
        )
    ).first()


def invited(session: Session, token_hash: bytes) -> Invited | None:
    """What the invitation offers, if it is (still) good. Changes nothing."""
    found = session.exec(
        select(Invitation, Project, Account.email)
        .join(Project, col(Project.id) == col(Invitation.project_id))
        .join(Account, col(Account.id) == col(Invitation.account_id))
        .where(
            Invitation.token_hash == token_hash,
            col(Invitation.used_at).is_(None),
            col(Invitation.expires_at) > func.now(),
        )
    ).first()
    if found is None:
        return None
    invitation, project, email = found
    return Invited(project, cast(Role, invitation.role), email, invitation.expires_at)


def use_invitation(session: Session, token_hash: bytes) -> Invitation | None:
    """Spend the invitation; None if it is not good (any more). Only one caller wins."""
    row = session.execute(
        update(Invitation)
        .where(
            col(Invitation.token_hash) == token_hash,
            col(Invitation.used_at).is_(None),
            col(Invitation.expires_at) > func.now(),
        )
        .values(used_at=func.now())
        .returning(Invitation)
    ).scalar()
    return row


def drop_invitation(session: Session, project_id: int, invitation_id: int) -> Invitation | None:
    """Take an invitation back that nobody has used; return what it was, None if there is none."""
    row = session.execute(
        delete(Invitation)
        .where(
            col(Invitation.id) == invitation_id,
            col(Invitation.project_id) == project_id,
            col(Invitation.used_at).is_(None),
        )
        .returning(Invitation)
    ).scalar()
    return row
