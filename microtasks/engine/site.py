"""What every use case needs: settings, database, files, doorbell. Opened once at the edge and passed on."""

from __future__ import annotations

from dataclasses import dataclass

from microtasks.settings import Settings
from microtasks.store.db import Database
from microtasks.store.files import Files, Folders, open_storage
from microtasks.store.queue import Bell


@dataclass(frozen=True, slots=True)
class Site:
    """The first argument of every use case."""

    settings: Settings
    db: Database
    files: Files
    uploads: Folders
    bell: Bell

    def close(self) -> None:
        self.db.close()
        self.bell.close()


def open_site(settings: Settings) -> Site:
    """Connect nothing yet: connections are made when first used. Errors: SettingsInvalid."""
    settings.check()
    files, uploads = open_storage(settings.data, settings.storage)
    return Site(
        settings,
        Database(settings.database_url, settings.pool_size),
        files,
        uploads,
        Bell(settings.redis_url),
    )
