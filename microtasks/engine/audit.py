"""The audit log: who changed what in a project, and when. Use cases note it in the change's transaction.

Secrets never get here: of an invitation its role and note, of a token its name and scope.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from microtasks.core.values import Column
from microtasks.engine.site import Site
from microtasks.engine.tabular.csv_format import write_csv
from microtasks.engine.tabular.table import Table, to_json
from microtasks.store import audit
from microtasks.store.audit import Entry
from microtasks.store.db import Connection

#: Every action that is noted, in words; `group.action`, so that a filter may ask for a group.
ACTIONS = {
    "project.create": "made the project",
    "project.update": "changed settings",
    "project.publish": "published it",
    "project.pause": "paused it",
    "project.resume": "took it up again",
    "project.archive": "archived it",
    "project.tutorial": "changed what volunteers learn from",
    "batch.add": "uploaded tasks",
    "batch.undo": "undid an upload",
    "task.decide": "decided a task",
    "task.take_back": "took the decision on a task back",
    "task.ask_more": "sent a task back for more answers",
    "report.close": "ticked off a report",
    "volunteer.leave_out": "left a volunteer out",
    "volunteer.take_in": "took a volunteer in again",
    "people.invite": "invited somebody",
    "people.revoke": "took an invitation back",
    "people.join": "joined",
    "people.role": "changed a role",
    "people.remove": "removed a member",
    "people.leave": "left",
    "people.transfer": "handed the project over",
    "account.address": "changed the address of an account",
    "token.make": "made an API token for this project",
    "token.revoke": "revoked an API token for this project",
    "export.request": "asked for an export",
    "export.download": "downloaded results",
}
#: Entries read at a time for the file.
CHUNK = 1_000

COLUMNS = (
    Column("id", "integer", "Number of the entry; later ones are larger."),
    Column("at", "datetime", "When it was done, UTC."),
    Column("account", "string", "E-mail address of who did it; empty: the command line."),
    Column("action", "string", "What was done, as group.action."),
    Column("detail", "string", "What it was about, as JSON; of settings what was before and after."),
)


def note(connection: Connection, by: int | None, project_id: int | None, action: str, **detail: Any) -> None:
    """Note a change in its own transaction. by: the account; None: the command line.

    A `detail` of None is left out. KeyError for an action that ACTIONS does not name.
    """
    ACTIONS[action]
    audit.add(connection, by, project_id, action, {k: v for k, v in detail.items() if v is not None})


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What differs, as `before` and `after`; {} where nothing does."""
    names = [name for name in after if before.get(name) != after[name]]
    if not names:
        return {}
    return {"before": {n: before.get(n) for n in names}, "after": {n: after[n] for n in names}}


def page(
    site: Site, project_id: int, before: int | None, limit: int, action: str = "", email: str = ""
) -> list[Entry]:
    """Entries of a project, newest first, with an id below `before`. Filter by action, group, address."""
    with site.db.connection() as connection:
        return audit.page(connection, project_id, before, limit, action, email)


def people(site: Site, project_id: int) -> list[str]:
    """The addresses that the log names as doers."""
    with site.db.connection() as connection:
        return audit.who(connection, project_id)


def csv(site: Site, project_id: int, action: str = "", email: str = "") -> Iterator[bytes]:
    """The log as CSV, newest first, streamed."""
    return write_csv(Table(COLUMNS, _rows(site, project_id, action, email)))


def _rows(site: Site, project_id: int, action: str, email: str) -> Iterator[tuple[Any, ...]]:
    before = None
    while entries := page(site, project_id, before, CHUNK, action, email):
        for entry in entries:
            yield entry.id, entry.at, entry.email, entry.action, to_json(entry.detail).decode()
        before = entries[-1].id
