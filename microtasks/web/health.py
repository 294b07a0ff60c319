"""Is the process alive, and can it do its work? For a load balancer and for the operator."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from flask import Blueprint
from flask.typing import ResponseReturnValue

from microtasks.core.errors import MicrotasksError
from microtasks.engine.site import Site
from microtasks.store.operations import heartbeat, migrate
from microtasks.web.request import current_site

blueprint = Blueprint("health", __name__)

LEAST_FREE_BYTES = 200 << 20
CLOCK_STALE_SECONDS = 120


@blueprint.get("/healthz")
def alive() -> ResponseReturnValue:
    """Alive: asks nobody."""
    return {"status": "ok"}


@blueprint.get("/readyz")
def ready() -> ResponseReturnValue:
    """Ready: 200 when volunteers can be served, 503 otherwise; each check says "ok" or what is wrong.

    A clock that stands still is told, but does not take the site away: tasks and answers go on without it.
    """
    site = current_site()
    checks = {"database": _said(database, site), "data": _said(data_folder, site)}
    is_ready = all(said == "ok" for said in checks.values())
    checks["clock"] = _said(clock, site) if checks["database"] == "ok" else "unknown"
    status = 200 if is_ready else 503
    return (
        {"status": "ok" if is_ready else "unavailable", "checks": checks},
        status,
        {"Cache-Control": "no-store"},
    )


def _said(check: Callable[[Site], str | None], site: Site) -> str:
    try:
        return check(site) or "ok"
    except MicrotasksError as error:
        return error.message


def database(site: Site) -> str | None:
    """What is wrong with the database, if anything."""
    with site.db.connection():
        pass  # it answers
    return migrate.problem(site.db.url)


def data_folder(site: Site) -> str | None:
    """What is wrong with the folder for images, if anything."""
    folder: Path = site.settings.data
    existing = next((path for path in (folder, *folder.absolute().parents) if path.exists()), folder)
    if not os.access(existing, os.W_OK | os.X_OK):
        return "The data folder cannot be written."
    free = shutil.disk_usage(existing).free
    return (
        f"Only {free >> 20} MB are free on the disk of the data folder." if free < LEAST_FREE_BYTES else None
    )


def clock(site: Site) -> str | None:
    """Whether the timer's last sign of life is too old."""
    with site.db.connection() as connection:
        age_s = heartbeat.age_s(connection, "clock")
    if age_s is None:
        return "The clock has not run yet."
    return f"The clock last ran {age_s:.0f} seconds ago." if age_s > CLOCK_STALE_SECONDS else None
