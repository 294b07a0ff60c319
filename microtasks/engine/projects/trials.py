"""Try a project out before its launch: a copy that nobody finds, thrown away with every answer in it.

A copy and not a mode: what is answered there cannot reach the project's own counters, whatever goes wrong.
"""

from __future__ import annotations

import secrets

from microtasks.core.errors import Conflict
from microtasks.engine.site import Site
from microtasks.store.db import raw
from microtasks.store.projects import projects, translations, trials
from microtasks.store.tables import Project

#: Enough to meet the hard ones, few enough for one sitting.
TASKS_MAX = 20


def begin(site: Site, project_id: int) -> Project:
    """Make a new copy of the project with its first tasks, open to whoever has its address; return it.

    An earlier copy goes with its answers. Errors: NotFound; Conflict without tasks, or for a copy itself.
    """
    with site.db.session() as session:
        project = projects.locked(session, project_id)
        if project.trial_of is not None:
            raise Conflict("This is a trial already.")
        if not projects.has_tasks(session, project_id):
            raise Conflict("There are no tasks to try yet: upload images or a table first.")
        trials.discard(raw(session), project_id)
        copy = projects.copied(
            project, slug=f"trial-{secrets.token_hex(12)}", state="published", trial_of=project_id
        )
        projects.add(session, copy)
        translations.copy(raw(session), project_id, copy.id)
        trials.copy_tasks(raw(session), project_id, copy.id, TASKS_MAX)
        session.commit()
        return copy


def state(site: Site, project_id: int) -> trials.Trial | None:
    """The trial of that project, if there is one, with the answers in it."""
    with site.db.connection() as connection:
        return trials.of_project(connection, project_id)
