"""Every invariant of the engine, checked against the database: what `microtasks check` prints."""

from __future__ import annotations

from microtasks.engine.site import Site
from microtasks.store.db import Connection
from microtasks.store.operations import invariants


def check(site: Site) -> list[str]:
    """Say each broken invariant in one sentence, with how often and where first; [] when all hold.

    Reads in chunks of keys, each a short statement: safe beside a running site, at a million tasks too. What
    changes between two statements is not blamed: each invariant is judged within one.
    """
    violations: list[str] = []
    with site.db.connection() as connection:
        connection.autocommit = True
        try:
            for invariant in invariants.ALL:
                n, first = invariants.broken(connection, invariant)
                if n:
                    violations.append(f"{invariant.sentence} Broken {n} times, first: {first}.")
            violations += _missing_files(site, connection)
        finally:
            connection.autocommit = False
    return violations


def _missing_files(site: Site, connection: Connection) -> list[str]:
    missing = site.files.missing(invariants.files(connection))
    if not missing:
        return []
    return [f"Each image row has its files. Broken {len(missing)} times, first: {'/'.join(missing[0])}."]
