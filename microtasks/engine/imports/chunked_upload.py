"""Uploads in pieces: one of gigabytes goes on after a break where it came to, also on another host."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from microtasks.core.errors import Conflict, FileInvalid, NotFound
from microtasks.engine.imports import importing, staging
from microtasks.engine.imports.archives import MANIFEST
from microtasks.engine.site import Site
from microtasks.store.db import Connection
from microtasks.store.imports import uploads


@dataclass(frozen=True, slots=True)
class Sent:
    """An upload on its way. files: [{"name", "size", "received"}], sizes in bytes; piece_bytes: at most."""

    id: str
    files: list[dict[str, Any]]
    piece_bytes: int

    def to_json(self) -> dict[str, Any]:
        return {"id": self.id, "piece_bytes": self.piece_bytes, "files": self.files}


def begin(site: Site, project_id: int | None, account_id: int, files: Sequence[tuple[str, int]]) -> Sent:
    """Announce the files (name, size in bytes) of an upload. FileInvalid for none or too much, Conflict.

    project_id: where it goes; None for a package, which makes a project of its own.
    """
    if not files:
        raise FileInvalid("There is no file in this upload.")
    if len(files) > site.settings.max_batch_files:
        raise FileInvalid(f"Upload at most {site.settings.max_batch_files:,} files at once.")
    if any(size < 0 for _, size in files):
        raise FileInvalid("A file cannot be smaller than nothing.")
    if sum(size for _, size in files) > site.settings.max_upload_bytes:
        raise FileInvalid(f"This upload is larger than {site.settings.max_upload_bytes >> 20:,} MB.")
    wanted = sum(size for _, size in files)
    staging.check_room(site, wanted)
    listed = [{"name": staging.label(name), "size": size, "received": 0} for name, size in files]
    sent = Sent(secrets.token_hex(16), listed, site.settings.max_piece_bytes)
    with site.db.connection() as connection:
        if uploads.pending_bytes(connection, account_id) + wanted > site.settings.max_pending_bytes:
            raise Conflict(
                "You have begun so many uploads that there is no room for another one. Finish them first;"
                " what nobody goes on with is thrown away after some days."
            )
        uploads.add(connection, sent.id, project_id, account_id, json.dumps(listed))
    return sent


def find(site: Site, project_id: int | None, account_id: int, upload: str) -> Sent:
    """The upload as far as it has come; NotFound when it is another's, or gone."""
    with site.db.connection() as connection:
        files = uploads.find(connection, upload, project_id, account_id)
    if files is None:
        raise NotFound("There is no such upload.")
    return Sent(upload, files, site.settings.max_piece_bytes)


def receive(
    site: Site, project_id: int | None, account_id: int, upload: str, number: int, offset: int, content: bytes
) -> int:
    """Take the next piece of file `number`; return how much of it is here. A piece that is here is no error.

    1. Lock the upload. 2. Write the piece to disk. 3. Note how far the file is.
    Errors: NotFound; Unavailable when the disk is nearly full; Conflict with `details["received"]` for a
    piece that is not the next.
    """
    with site.db.connection() as connection:
        files = uploads.find(connection, upload, project_id, account_id, is_locked=True)
        if files is None or number >= len(files):
            raise NotFound("There is no such upload.")
        file = files[number]
        received, end = file["received"], offset + len(content)
        if end <= received:
            return int(received)
        if offset != received or end > file["size"] or len(content) > site.settings.max_piece_bytes:
            raise Conflict("This is not the next piece of the file.", received=received)
        staging.check_room(site, len(content))
        site.uploads.append(upload, f"{number:06}", offset, content)
        file["received"] = end
        uploads.keep(connection, upload, json.dumps(files))
    return int(end)


def finish(site: Site, project_id: int, account_id: int, upload: str) -> int:
    """Make a staged batch of an upload that is whole; return its id. Errors: NotFound, Conflict."""
    with site.db.connection() as connection:
        label = whole(site, connection, project_id, account_id, upload)
        batch_id = importing.take(site, project_id, upload, label, is_staged=True, by=account_id)
        uploads.drop(connection, upload)
    return batch_id


def whole(site: Site, connection: Connection, project_id: int | None, account_id: int, upload: str) -> str:
    """Let an upload that has arrived be as any other; return what it is called. NotFound, Conflict."""
    files = uploads.find(connection, upload, project_id, account_id, is_locked=True)
    if files is None:
        raise NotFound("There is no such upload.")
    if missing := [file["name"] for file in files if file["received"] < file["size"]]:
        raise Conflict(f"{missing[0]} has not arrived whole yet.")
    for number, file in enumerate(files):
        if not file["size"]:
            site.uploads.append(upload, f"{number:06}", 0, b"")
    listed = [{"name": file["name"], "file": f"{number:06}"} for number, file in enumerate(files)]
    site.uploads.append(upload, MANIFEST, 0, json.dumps(listed).encode())
    return str(files[0]["name"]) + (f" and {len(files) - 1} more" if len(files) > 1 else "")
