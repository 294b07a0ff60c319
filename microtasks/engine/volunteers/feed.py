"""Anything for ten minutes: tasks of whatever project needs help, in runs, so that nobody has to choose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from uuid import UUID

from microtasks.engine.assignment import serve
from microtasks.engine.assignment.serve import Served
from microtasks.engine.projects import translations as project_translations
from microtasks.engine.site import Site
from microtasks.store.cache import Cache
from microtasks.store.db import raw
from microtasks.store.projects import projects as stored
from microtasks.store.projects import translations
from microtasks.store.volunteers import feed as store
from microtasks.store.volunteers.feed import Needy

#: Tasks of one project before another one: a new question each time would tire people.
RUN = 8
#: Projects asked in one call at most: who has done nearly everything is told to ask again.
TRIES = 8
RETRY_S = 5

_needy: Cache[str, list[Needy]] = Cache()
_RNG = Random()  # noqa: S311  (chooses among projects; nothing is secret in it)


@dataclass(frozen=True, slots=True)
class Want:
    """What fits the person and the device.

    language: BCP 47, preferred; types: the task types that can be shown, None: all; low_data: no images.
    """

    language: str = ""
    types: frozenset[str] | None = None
    low_data: bool = False

    def fits(self, project: Needy) -> bool:
        """May the project be offered at all?"""
        return (self.types is None or project.task_type in self.types) and not (
            self.low_data and project.has_images
        )


def lease(
    site: Site,
    contributor: UUID,
    want: Want,
    *,
    limit: int = 1,
    after: int | None = None,
    network: bytes | None = None,
    ends: bool = False,
    rng: Random = _RNG,
) -> Served:
    """Hand out up to `limit` tasks, all of one project that needs help; each lease names its project.

    after: id of the project worked on just now; ends: its run is over. network: as for `serve.lease`.

    1. Of a project whose tasks are held still. 2. Of `after`, until its run is over. 3. Of another one: in
    the wanted language if there is one, at random by the share of answers it lacks. 4. Of `after` again.
    """
    projects = {each.project_id: each for each in needy(site) if want.fits(each)}
    with site.db.connection() as connection:
        held = [each for each in store.held(connection, contributor) if each in projects]
        if ends:  # what lies ready of it stays for the next time
            held = [each for each in held if each != after]
        if after in projects and after is not None and not ends:
            is_over = store.n_served(connection, contributor, after) % RUN == 0
            held += [] if is_over else [after]
    others = by_need([each for each in projects.values() if each.project_id not in held], want, rng)
    order = [projects[each] for each in dict.fromkeys(held)]
    order += [each for each in others if each.project_id != after]
    order += [each for each in others if each.project_id == after]
    retries: list[int] = []
    for project in order[:TRIES]:
        served = serve.lease(site, project.slug, contributor, limit=limit, network=network)
        if served.leases:
            named = {"slug": project.slug, "name": project.name}
            return Served([replace(each, project=named) for each in served.leases])
        if served.retry_after_s is not None:
            retries.append(served.retry_after_s)
    if len(order) > TRIES:
        retries.append(RETRY_S)
    return Served(reason="none_for_you" if retries else "complete", retry_after_s=min(retries, default=None))


def needy(site: Site) -> list[Needy]:
    """The projects to choose from. On a site with very many tasks it may be a minute old."""

    def find(keys: list[str]) -> dict[str, list[Needy]]:
        with site.db.session() as session:
            connection = raw(session)
            projects_needing = store.needy(connection)
            translated = translations.of(connection, [each.project_id for each in projects_needing])
            for i, each in enumerate(projects_needing):
                if each.project_id in translated:
                    project = stored.get(session, each.project_id)
                    also = project_translations.languages(project, translated[each.project_id])
                    projects_needing[i] = each._replace(languages=(*each.languages, *also))
        return dict.fromkeys(keys, projects_needing)

    return _needy.get([site.db.url], find)[site.db.url]


def is_alone(site: Site, want: Want) -> bool:
    """Is there no second project that would do?"""
    return sum(want.fits(each) for each in needy(site)) < 2


def by_need(projects: Sequence[Needy], want: Want, rng: Random) -> list[Needy]:
    """In the wanted language first; then at random, the more likely the more answers a project lacks.

    Weighted sampling without replacement: Efraimidis and Spirakis (2006), doi:10.1016/j.ipl.2005.11.003.
    """
    language = project_translations.base(want.language)
    return sorted(
        projects,
        key=lambda each: (
            bool(language) and language not in map(project_translations.base, each.languages),
            -(rng.random() ** (1 / each.need)),
        ),
    )
