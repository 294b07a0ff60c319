"""Teams and classes, opt-in: whoever has the code may join, count together, and leave again."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from uuid import UUID

from microtasks.core.errors import Forbidden, InputError, NotFound, TooMany
from microtasks.engine.site import Site
from microtasks.engine.volunteers.claims import ALPHABET
from microtasks.store.operations import limits
from microtasks.store.projects import projects
from microtasks.store.volunteers import claims, contributions, teams
from microtasks.store.volunteers.teams import Team

NAME_MAX = 80
CODE_LENGTH = 8
#: How somebody liked helping: not so good, all right, good.
SCORES = (1, 2, 3)


def create(site: Site, name: str, *, contributor: UUID | None = None, account_id: int | None = None) -> str:
    """Make a team of an owner, or of a volunteer whose work is kept; return its code.

    A volunteer is in it from the start. Errors: InputError, Forbidden, TooMany.
    """
    name = " ".join(name.split())
    if not 0 < len(name) <= NAME_MAX or not name.isprintable():
        raise InputError("Please give the team a name of at most 80 characters.")
    maker = f"account {account_id}" if account_id else f"contributor {contributor.hex if contributor else ''}"
    if not limits.allow(site, "team", maker):
        raise TooMany("You have made several teams already. Please wait an hour.")
    with site.db.connection() as connection:
        if account_id is None and (contributor is None or not claims.emails(connection, contributor)):
            raise Forbidden("Keep your work first: then you can make a team.")
        code = _code()
        while not teams.add(connection, code, name, None if account_id else contributor, account_id):
            code = _code()
        if account_id is None and contributor and (team := teams.by_code(connection, code)):
            teams.join(connection, team.id, contributor)
    return code


@dataclass(frozen=True, slots=True)
class TeamPage:
    """A team's page: totals, never who gave what."""

    team: Team
    is_member: bool
    totals: contributions.Totals
    projects: list[contributions.Part]


def team_page(site: Site, code: str, contributor: UUID | None) -> TeamPage:
    """A team and what it gave; NotFound."""
    with site.db.connection() as connection:
        team = teams.by_code(connection, normalized_code(code))
        if team is None:
            raise NotFound("There is no team with this code.")
        mine = teams.of(connection, contributor) if contributor else []
        return TeamPage(
            team,
            team.id in {one.id for one in mine},
            contributions.team_totals(connection, team.id),
            contributions.team_parts(connection, team.id),
        )


def join(site: Site, code: str, contributor: UUID) -> Team:
    """Be in a team from now on; NotFound."""
    with site.db.connection() as connection:
        team = teams.by_code(connection, normalized_code(code))
        if team is None:
            raise NotFound("There is no team with this code.")
        teams.join(connection, team.id, contributor)
    return team


def leave(site: Site, code: str, contributor: UUID) -> None:
    """Leave a team; what was given until now stays in its totals. NotFound."""
    with site.db.connection() as connection:
        team = teams.by_code(connection, normalized_code(code))
        if team is None or not teams.leave(connection, team.id, contributor):
            raise NotFound("You are not in this team.")


def teams_of(
    site: Site, contributor: UUID | None, account_id: int | None = None
) -> tuple[list[Team], list[Team]]:
    """(teams they are in, teams they made)."""
    with site.db.connection() as connection:
        mine = teams.of(connection, contributor) if contributor else []
        return mine, teams.made_by(connection, contributor, account_id)


def in_project(site: Site, project_id: int) -> list[tuple[str, int]]:
    """Group totals of a project whose owner shows them: name and answers, the most first."""
    with site.db.connection() as connection:
        return teams.in_project(connection, project_id)


def rate(site: Site, slug: str, contributor: UUID, score: int) -> None:
    """Say how it was to help in a project: 1, 2 or 3; the last word counts. NotFound, InputError."""
    if score not in SCORES:
        raise InputError("Please choose one of the faces.")
    with site.db.session() as session:
        project = projects.visible_by_slug(session, slug)
    with site.db.connection() as connection:
        teams.rate(connection, project.id, contributor, score)


def normalized_code(code: str) -> str:
    """A code as it is stored, however it was typed."""
    return re.sub(r"[\s-]", "", code).upper()[:64]


def _code() -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH))
