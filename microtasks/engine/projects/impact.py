"""What a project moved: people, hours, how they liked it, and the teams that helped."""

from __future__ import annotations

from dataclasses import dataclass

from microtasks.engine import audit
from microtasks.engine.site import Site
from microtasks.store.cache import Cache
from microtasks.store.projects.dashboard import LAST_READ
from microtasks.store.tables import Project
from microtasks.store.volunteers import contributions, teams


@dataclass(frozen=True, slots=True)
class Impact:
    """people, seconds: of the last answers (`dashboard.LAST_READ`), time as store counts contributions.

    ratings: how many people gave each score, 1 to 3; teams: name and answers, the most first.
    """

    n_people: int
    seconds: float
    ratings: dict[int, int]
    teams: list[tuple[str, int]]


_cache: Cache[tuple[str, int], Impact] = Cache()


def cached_impact(site: Site, project: Project) -> Impact:
    """The impact for a page that is looked at often: of a very large project up to a minute old."""
    key = (site.settings.database_url, project.id)
    return _cache.get([key], lambda _keys: {key: impact(site, project)})[key]


def impact(site: Site, project: Project) -> Impact:
    """Read it all, in short statements. Counts only, never who."""
    with site.db.connection() as connection:
        n_people, seconds = contributions.of_project(connection, project.id, LAST_READ)
        ratings = teams.ratings(connection, project.id)
        return Impact(n_people, seconds, ratings, teams.in_project(connection, project.id))


def show_teams(site: Site, project: Project, is_shown: bool, *, by: int | None = None) -> None:
    """Show the totals of teams on the project's page, for everybody, or no more."""
    with site.db.connection() as connection:
        teams.show(connection, project.id, is_shown)
        audit.note(
            connection,
            by,
            project.id,
            "project.update",
            before={"shows_teams": project.shows_teams},
            after={"shows_teams": is_shown},
        )
