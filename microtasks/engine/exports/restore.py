"""Make a project from a package that somebody brings: from the page in two steps as a job, or by the command.

The page: the package is kept as any upload, a job looks through it, its owner sees what is in it, and at
their word a job makes the project, chunk by chunk: each is one transaction, which also moves the restart
point. What goes wrong leaves no project behind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from microtasks.core.errors import Conflict, FileInvalid, InputError, NotFound
from microtasks.engine.exports import package_reader
from microtasks.engine.exports.package_reader import Package
from microtasks.engine.exports.project_file import Head
from microtasks.engine.imports import chunked_upload, staging
from microtasks.engine.imports.staging import Upload
from microtasks.engine.job_handle import JobLost, Running
from microtasks.engine.projects import projects
from microtasks.engine.results import aggregate
from microtasks.engine.site import Site
from microtasks.store import jobs
from microtasks.store.db import Connection
from microtasks.store.exports import restorations, restore
from microtasks.store.exports.restorations import Order
from microtasks.store.imports import uploads as sent
from microtasks.store.projects import projects as stored
from microtasks.store.tables import Project, Restoration

GIVEN_UP: Final = "This broke off several times at the same place. Please tell the operator of this site."
GONE: Final = "The package is gone. Please bring it again."


@dataclass(frozen=True, slots=True)
class Restored:
    """A project that was made again. n_lost: tasks that lack a picture, as this site does not have it."""

    project: Project
    n_tasks: int
    n_answers: int
    n_lost: int
    notices: list[str]


# -- at once, for the command -------------------------------------------------------------------------


def restore_package(
    site: Site, path: Path, *, name: str = "", account_id: int | None = None, with_answers: bool = True
) -> Restored:
    """Make a project from a package: a ZIP, its folder, or the one file. A draft; nothing is published.

    Errors: FileInvalid, in words for a person; then there is no project.

    1. Keep it as an upload. 2. Look through all of it. 3. Make the project.
    """
    upload = staging.receive(site, [Upload(path.name, path)])
    work = _Work(site)
    try:
        with Package(site.uploads.fetch(upload), site.settings) as package:
            report = package_reader.look(site.db, package)
            project = work.make(package, path.name, account_id, name=name, with_answers=with_answers)
    except BaseException:
        work.undo()
        raise
    finally:
        site.uploads.drop(upload)
    n_answers = report["n_answers"] if with_answers else 0
    return Restored(project, report["n_tasks"], n_answers, report["n_lost"], report["notices"])


# -- in steps, for the page ---------------------------------------------------------------------------


def receive(site: Site, account_id: int, uploads: Sequence[Upload]) -> int:
    """Keep a package that was sent in one request; return its number. Errors as `intake.receive`."""
    if len(uploads) != 1:
        raise FileInvalid("Choose one package: the ZIP that an export gave you.")
    upload = staging.receive(site, uploads)
    try:
        with site.db.connection() as connection:
            restoration, job = _take(connection, account_id, staging.label(uploads[0].name), upload)
    except BaseException:
        site.uploads.drop(upload)
        raise
    site.bell.ring(job)
    return restoration


def finish_sending(site: Site, account_id: int, upload: str) -> int:
    """Take a package that has arrived in pieces; return its number. Errors: NotFound, Conflict."""
    with site.db.connection() as connection:
        label = chunked_upload.whole(site, connection, None, account_id, upload)
        restoration, job = _take(connection, account_id, label, upload)
        sent.drop(connection, upload)
    site.bell.ring(job)
    return restoration


def _take(connection: Connection, account_id: int, label: str, upload: str) -> tuple[int, int]:
    restoration = restorations.add(connection, account_id, label, upload)
    return restoration, jobs.add(connection, "restore", restoration)


def get(site: Site, account_id: int, restoration_id: int) -> Restoration:
    """A package that this account has brought. Errors: NotFound, for another's too."""
    with site.db.session() as session:
        restoration = restorations.get(session, account_id, restoration_id)
    if restoration is None:
        raise NotFound("There is no such package.")
    return restoration


def confirm(site: Site, account_id: int, restoration_id: int, *, name: str, with_answers: bool) -> None:
    """Let the project be made. Errors: NotFound; InputError for a name that is none; Conflict."""
    get(site, account_id, restoration_id)
    name = " ".join(name.split())
    if len(name) > 120 or not name.isprintable():
        raise InputError("A name is one line of at most 120 characters.")
    options = orjson.dumps({"name": name, "answers": with_answers}).decode()
    with site.db.connection() as connection:
        if not restorations.queue(connection, account_id, restoration_id, options):
            raise Conflict("This package does not wait any more.")
        job = jobs.add(connection, "restore", restoration_id)
    site.bell.ring(job)


def throw_away(site: Site, account_id: int, restoration_id: int) -> None:
    """Forget a package that waits, or that failed. Errors: NotFound, Conflict."""
    get(site, account_id, restoration_id)
    with site.db.connection() as connection:
        upload = restorations.drop(connection, account_id, restoration_id)
    if upload is None:
        raise Conflict("This package does not wait any more.")
    site.uploads.drop(upload)


def run(site: Site, restoration_id: int, job: Running) -> None:
    """Look through a package, or make its project (job `restore`). Raises JobLost, JobStopped.

    1. Fetch the upload. 2. One that waits is looked through; 3. one that was confirmed becomes a project,
    from where an earlier run came to. What is wrong with it is said, and no project is left behind.
    """
    with site.db.connection() as connection:
        order = restorations.order(connection, restoration_id)
    if order is None or order.state not in ("staged", "queued", "running"):
        return
    if order.state == "staged" and order.is_looked_through:
        return
    work = _Work(site, job, order)
    try:
        try:
            folder = site.uploads.fetch(order.upload)
        except FileNotFoundError:
            raise FileInvalid(GONE) from None
        with Package(folder, site.settings) as package:
            if order.state == "staged":
                _say(site, job, order, package_reader.look(site.db, package, job.check_stop))
                return
            work.make(
                package,
                order.label,
                order.account_id,
                name=order.options.get("name", ""),
                with_answers=order.options.get("answers", True),
            )
    except (InputError, Conflict) as error:
        if order.state == "staged":
            _say(site, job, order, {"error": error.message})
            return
        fail(site, restoration_id, error.message, job)
    site.uploads.drop(order.upload)
    staging.clean(site)


def _say(site: Site, job: Running, order: Order, look: dict[str, Any]) -> None:
    with site.db.connection() as connection:
        job.hold(connection)
        restorations.set_look(connection, order.id, orjson.dumps(look).decode())


def fail(site: Site, restoration_id: int, error: str, job: Running | None = None) -> None:
    """Give a package up, and delete what was made of it."""
    with site.db.connection() as connection:
        if job is not None:
            job.hold(connection)
        give_up(connection, restoration_id, error)


def give_up(connection: Connection, restoration_id: int, error: str) -> None:
    """The same, in the transaction of whoever gives up the job."""
    order = restorations.order(connection, restoration_id)
    if order is not None and order.state == "staged":
        look = orjson.dumps({"error": error}).decode()
        restorations.set_look(connection, restoration_id, look)
        return
    project_id = restorations.fail(connection, restoration_id, error)
    if project_id is not None:
        stored.delete(connection, project_id)


# -- the one way to make it ---------------------------------------------------------------------------


class _Work:
    """Makes a project from an opened package. With a job: from where an earlier run came to."""

    def __init__(self, site: Site, job: Running | None = None, order: Order | None = None) -> None:
        self.site, self.job, self.order = site, job, order
        self.project_id = order.project_id if order else None

    def make(
        self, package: Package, label: str, account_id: int | None, *, name: str, with_answers: bool
    ) -> Project:
        """Make the project, and return it.

        1. Make it with its wordings. 2. Make tasks with all that is theirs, a chunk at a time; each value is
        checked by the task type. 3. Leave out who was left out. 4. Make the consensus anew.
        """
        rows_done = self.order.rows_done if self.order else 0
        lines = iter(package.lines(rows_done))
        head = Head(next(lines, (0, 0, None))[2], name)
        if self.project_id is None:
            projects.create(self.site, account_id, head.form, also=self._begin(head), package=label)
        project_id = self.project_id
        if project_id is None:
            raise Conflict("The project could not be made.")
        with self.site.db.connection() as connection:
            batch_id = restore.batch(connection, project_id, label)
        for chunk in package_reader.tasks(lines, head, with_answers=with_answers):
            if self.job is not None:
                self.job.check_stop()
            with self.site.db.connection() as connection:
                self._hold(connection)
                package_reader.find_images(connection, chunk)
                restore.tasks(connection, project_id, batch_id, chunk)
                if self.order is not None:
                    restorations.advance(connection, self.order.id, len(chunk))
        if with_answers:
            with self.site.db.connection() as connection:
                self._hold(connection, gets_on=False)
                restore.leave_out(connection, project_id, head.excluded)
            aggregate.aggregate(self.site, project_id)
        with self.site.db.connection() as connection:
            self._hold(connection, gets_on=False)
            if self.order is not None:
                restorations.finish(connection, self.order.id)
        with self.site.db.session() as session:
            return stored.get(session, project_id)

    def undo(self) -> None:
        """Delete what was made so far."""
        if self.project_id is not None:
            with self.site.db.connection() as connection:
                stored.delete(connection, self.project_id)

    def _begin(self, head: Head) -> Callable[[Connection, int], None]:
        """What is written together with the project: its wordings, and that it is begun."""

        def also(connection: Connection, project_id: int) -> None:
            self._hold(connection)
            for version, config in head.given.configs.items():
                restore.config(connection, project_id, int(version), config)
            if self.order is not None:
                restorations.begin(connection, self.order.id, project_id)
            self.project_id = project_id

        return also

    def _hold(self, connection: Connection, *, gets_on: bool = True) -> None:
        """Begin a transaction of the job. gets_on: another try begins behind it, and none is counted."""
        if self.job is not None and not (jobs.advance if gets_on else jobs.beat)(connection, self.job.claim):
            raise JobLost
