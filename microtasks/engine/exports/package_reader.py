"""Open a package that somebody brings, with the care that uploads get, and say what is in it.

A ZIP, its folder, or the one file alone, kept as an upload (`intake`): a ZIP is never extracted, its
directory is checked before anything is read (`archives`), lines are read one at a time.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Self

from microtasks.core.errors import FileInvalid, MicrotasksError, RowInvalid
from microtasks.core.parsing import jsonstrict
from microtasks.engine.exports import project_file
from microtasks.engine.exports.project_file import SUFFIX, Head, TaskIn
from microtasks.engine.imports.archives import DAMAGE, Contents, Member
from microtasks.settings import Settings
from microtasks.store.db import Connection, Database
from microtasks.store.exports import restore

LINE_BYTES_MAX: Final = 64 << 20
#: Lines of so many bytes are worked on at once, however few they are.
CHUNK_BYTES: Final = 8 << 20
#: Of files that are read whole: descriptor and checksums.
SMALL_BYTES: Final = 16 << 20
PIECE_BYTES: Final = 1 << 20
SUMS, DESCRIPTOR = "SHA256SUMS", "datapackage.json"
_SUM = re.compile(r"([0-9a-f]{64}) [ *](.{1,255})")
NO_PACKAGE: Final = (
    f"This is no package of a whole project: it has no file whose name ends in {SUFFIX}. On the page Results "
    "of the project, choose Prepare, and bring the ZIP that you get."
)
UNCHECKED: Final = (
    "There is no checksum for the project in this package: nobody can tell whether it was changed."
)
DAMAGED: Final = (
    "This package is damaged: {name} is not what it was when it was exported. Please get it again."
)


class Package:
    """An opened package; a context manager. FileInvalid for what is none, or is made to do harm."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        """folder: an upload, with its manifest."""
        self._contents = Contents(folder, settings)
        try:
            for member in self._contents.members:
                if member.problem:
                    raise FileInvalid(f"{member.name}: {member.problem}")
            projects = [member for member in self._contents.members if member.name.endswith(SUFFIX)]
            if not projects:
                raise FileInvalid(NO_PACKAGE)
            if len(projects) > 1:
                raise FileInvalid("There are several projects in this file. Bring one package at a time.")
            (self.project,) = projects
        except BaseException:
            self._contents.__exit__()
            raise
        self._folder = self.project.name.rpartition("/")[0]
        self.n_bytes = sum(member.n_bytes for member in self._contents.members)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._contents.__exit__()

    def companion(self, name: str) -> Member | None:
        """The file of that name in the folder of the project's; None if there is none."""
        path = f"{self._folder}/{name}" if self._folder else name
        return next((member for member in self._contents.members if member.name == path), None)

    def licence(self) -> str | None:
        """The licence that the package names."""
        descriptor = self.companion(DESCRIPTOR)
        try:
            described = jsonstrict.loads(descriptor.read(SMALL_BYTES)) if descriptor else {}
            first = described["licenses"][0]
            return str(first.get("title") or first["name"])[:200]
        except (MicrotasksError, KeyError, IndexError, TypeError, AttributeError):
            return None

    def check_sums(self, tell: Callable[[], None] = lambda: None) -> list[str]:
        """Compare every file with its checksum; return what is worth knowing. tell: called now and then.

        FileInvalid when the project's file is not what it was. Other files do not matter: that somebody has
        changed them is only said.
        """
        listed = self._sums()
        notices = []
        if listed.get(self.project.name.rpartition("/")[2]) is None:
            notices.append(UNCHECKED)
        changed, missing = [], []
        for name, wanted in listed.items():
            member = self.companion(name)
            if member is None:
                missing.append(name)
            elif self._sha256(member, tell) != wanted:
                changed.append(name)
        if self.project.name.rpartition("/")[2] in changed:
            raise FileInvalid(DAMAGED.format(name=self.project.name))
        if changed:
            notices.append(
                f"Changed since the export: {_named(changed)}. The project is made from {self.project.name} "
                "alone."
            )
        if missing:
            notices.append(f"Missing, and not needed: {_named(missing)}.")
        return notices

    def _sums(self) -> dict[str, str]:
        sums = self.companion(SUMS)
        if sums is None:
            return {}
        try:
            text = sums.read(SMALL_BYTES).decode()
        except (RowInvalid, UnicodeError):
            raise FileInvalid(DAMAGED.format(name=SUMS)) from None
        return {match[2]: match[1] for line in text.splitlines() if (match := _SUM.fullmatch(line))}

    def _sha256(self, member: Member, tell: Callable[[], None]) -> str:
        digest = hashlib.sha256()
        try:
            with member.open() as stream:
                while piece := stream.read(PIECE_BYTES):
                    digest.update(piece)
                    tell()
        except (RowInvalid, *DAMAGE):
            return ""
        return digest.hexdigest()

    def lines(self, skip: int = 0) -> Iterator[tuple[int, int, Mapping[str, Any]]]:
        """Lines of the project's file: number, bytes, value. FileInvalid. skip: so many after the first."""
        try:
            with self.project.open() as stream:
                number = 0
                while line := stream.readline(LINE_BYTES_MAX + 1):
                    number += 1
                    if len(line) > LINE_BYTES_MAX:
                        raise FileInvalid(f"Line {number} is too long.")
                    if 1 < number <= skip + 1:
                        continue
                    value = jsonstrict.loads(line)
                    if not isinstance(value, dict):
                        raise FileInvalid(f"Line {number}: this is not what a package holds.")
                    yield number, len(line), value
        except RowInvalid as error:
            raise FileInvalid(f"{self.project.name}: {error.message}") from None
        except DAMAGE:
            raise FileInvalid(DAMAGED.format(name=self.project.name)) from None
        except FileInvalid:
            raise
        except MicrotasksError as error:
            raise FileInvalid(f"Line {number}: {error.message}") from None


def tasks(
    lines: Iterable[tuple[int, int, Mapping[str, Any]]], head: Head, *, with_answers: bool = True
) -> Iterator[list[dict[str, Any]]]:
    """The tasks of the file as they are stored, checked, so many at a time. FileInvalid with the line."""
    for chunk in project_file.chunks(lines, CHUNK_BYTES):
        yield [
            project_file.task(
                project_file.checked(TaskIn, value, number), head, number, with_answers=with_answers
            )
            for number, value in chunk
        ]


def find_images(connection: Connection, made: Iterable[dict[str, Any]]) -> int:
    """Put this site's images in place of their hashes; return how many tasks lack one."""
    made = list(made)
    wanted = {digest for task in made for digest in (*task["images"], task["source_image"]) if digest}
    media = restore.media(connection, sorted(wanted))
    n_lost = 0
    for task in made:
        images = task.pop("images")
        task["media_ids"] = [media[digest] for digest in images if digest in media]
        task["source_media_id"] = media.get(task.pop("source_image"))
        n_lost += len(task["media_ids"]) < len(images)
    return n_lost


def look(db: Database, package: Package, tell: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """Check all of a package, and say what is in it; nothing is made. tell: called now and then.

    {"name", "task_type", "software", "licence", "notices", "n_bytes", "n_wordings", "n_left_out"} and how
    many of each: "n_tasks", "n_done", "n_gold", "n_pictures" (tasks that have some), "n_lost" (of these, such
    that lack one here), "n_answers", "n_corrected", "n_decisions", "n_reports", "n_skips". FileInvalid with
    the first line that is wrong.
    """
    notices = package.check_sums(tell)
    lines = iter(package.lines())
    head = Head(next(lines, (0, 0, None))[2])
    counts = dict.fromkeys(
        (
            *("n_tasks", "n_done", "n_gold", "n_pictures", "n_lost"),
            *("n_answers", "n_corrected", "n_decisions", "n_reports", "n_skips"),
        ),
        0,
    )
    for chunk in tasks(lines, head):
        tell()
        counts["n_tasks"] += len(chunk)
        counts["n_done"] += sum(task["retired_at"] is not None for task in chunk)
        counts["n_gold"] += sum(task["gold"] is not None for task in chunk)
        counts["n_pictures"] += sum(bool(task["images"]) for task in chunk)
        for name in ("answers", "decisions", "reports", "skips"):
            counts[f"n_{name}"] += sum(len(task[name]) for task in chunk)
        counts["n_corrected"] += sum(one["revision"] > 1 for task in chunk for one in task["answers"])
        with db.connection() as connection:
            counts["n_lost"] += find_images(connection, chunk)
    return {
        "name": head.form.name,
        "task_type": head.form.task_type,
        "software": head.given.microtasks,
        "licence": package.licence(),
        "notices": notices,
        "n_bytes": package.n_bytes,
        "n_wordings": max(1, len(head.given.configs)),
        "n_left_out": len(head.excluded),
        **counts,
    }


def _named(names: list[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
