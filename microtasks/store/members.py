"""Who may do what in a project: its owner, and its members with a role each."""

from __future__ import annotations

from typing import Literal, cast, get_args

from sqlmodel import Session, col, select

from microtasks.core.errors import Forbidden, NotFound
from microtasks.store.tables import Project, ProjectMember

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


def _a(role: Role) -> str:
    return "its owner" if role == "owner" else f"a {role}"
