"""What a process makes sure of before it serves: safe settings, and servers that keep what they are given."""

from __future__ import annotations

import logging

from microtasks.core.errors import SettingsInvalid
from microtasks.engine.site import Site
from microtasks.store.operations import migrate, servers

log = logging.getLogger(__name__)


def problems(site: Site) -> list[str]:
    """What is wrong with settings, database and Redis, one plain sentence each."""
    found = site.settings.problems()
    with site.db.connection() as connection:
        found += servers.database_problems(connection)
    if sentence := migrate.problem(site.settings.database_url):
        found.append(sentence)
    return found + servers.redis_problems(site.bell.redis)


def check(site: Site) -> None:
    """Refuse to start in production with a problem (SettingsInvalid, every reason); elsewhere log it."""
    found = problems(site)
    if found and site.settings.production:
        raise SettingsInvalid(" ".join(found))
    for sentence in found:
        log.warning("unsafe_setting", extra={"reason": sentence})
