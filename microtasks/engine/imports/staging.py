"""Keep what an owner uploads until it is imported: counted, under names of our own, safe on disk."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from microtasks.core.errors import FileInvalid, Unavailable
from microtasks.engine.imports.archives import MANIFEST, is_junk
from microtasks.engine.site import Site
from microtasks.store.imports import batches

MIN_FREE_BYTES: Final = 1 << 30
PIECE_BYTES: Final = 1 << 20
#: An upload that never became a batch is thrown away after this time.
ORPHAN_SECONDS: Final = 86_400


@dataclass(frozen=True, slots=True)
class Upload:
    """One uploaded file, or a folder by its path. The name is the owner's: a label, never a path of ours."""

    name: str
    content: Path | IO[bytes]


def receive(site: Site, uploads: Sequence[Upload]) -> str:
    """Copy the uploads to a new folder and return its name; nothing is left behind on an error.

    Errors: FileInvalid for no file, too many, or too much; Unavailable when the disk is nearly full.
    """
    upload = secrets.token_hex(16)
    kept = site.uploads.path(upload)
    kept.mkdir(parents=True)
    try:
        manifest: list[dict[str, str]] = []
        n_bytes = 0
        for name, content in _files(uploads):
            if len(manifest) >= site.settings.max_batch_files:
                raise FileInvalid(f"Upload at most {site.settings.max_batch_files:,} files at once.")
            file = f"{len(manifest):06}"
            with ExitStack() as stack:
                source = stack.enter_context(content.open("rb")) if isinstance(content, Path) else content
                n_bytes = _copy(site, source, kept / file, n_bytes)
            manifest.append({"name": label(name), "file": file})
        if not manifest:
            raise FileInvalid("There is no file in this upload.")
        with (kept / MANIFEST).open("w") as listed:
            json.dump(manifest, listed)
            _sync(listed)
        for path in (kept, kept.parent):
            descriptor = os.open(path, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)
        site.uploads.keep(upload)
    except BaseException:
        site.uploads.drop(upload)
        raise
    return upload


def clean(site: Site) -> None:
    """Throw away old uploads that no import needs."""
    old = site.uploads.older(ORPHAN_SECONDS)
    with site.db.connection() as connection:
        needed = batches.uploads_in_use(connection)
    for upload in old - needed:
        site.uploads.drop(upload)


def check_room(site: Site, n_bytes: int) -> None:
    """Refuse what would fill the disk: Unavailable."""
    site.settings.data.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(site.settings.data).free < MIN_FREE_BYTES + n_bytes:
        raise Unavailable("The server's disk is nearly full. Please tell its operator.")


def _files(uploads: Sequence[Upload]) -> Iterator[tuple[str, Path | IO[bytes]]]:
    """Every file; of a folder all that lie below it, by name, without what systems put there."""
    for upload in uploads:
        if isinstance(upload.content, Path) and upload.content.is_dir():
            for path in sorted(upload.content.rglob("*")):
                name = path.relative_to(upload.content).as_posix()
                if path.is_file() and not is_junk(name):
                    yield name, path
        else:
            yield upload.name, upload.content


def label(name: str) -> str:
    """The owner's name of a file as one line of ordinary characters."""
    plain = name.encode("utf-8", "replace").decode().replace("\\", "/")
    return "".join(character if character.isprintable() else "_" for character in plain)[-255:] or "unnamed"


def _copy(site: Site, source: IO[bytes], target: Path, n_bytes: int) -> int:
    """Copy one file piece by piece; return the bytes of all files so far."""
    limit = site.settings.max_upload_bytes
    with target.open("xb") as file:
        while piece := source.read(PIECE_BYTES):
            n_bytes += len(piece)
            if n_bytes > limit:
                raise FileInvalid(f"This upload is larger than {limit / (1 << 20):,.0f} MB.")
            check_room(site, len(piece))
            file.write(piece)
        _sync(file)
    return n_bytes


def _sync(file: IO[bytes] | IO[str]) -> None:
    file.flush()
    os.fsync(file.fileno())
