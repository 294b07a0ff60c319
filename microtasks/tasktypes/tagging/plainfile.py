"""Answers of tagging in a plain CSV file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from microtasks.core.parsing.lists import split_list
from microtasks.core.parsing.plainfile import WORKER, AnswerFile, Options, Rows

if TYPE_CHECKING:
    from microtasks.core.tasktype import TaskType

COLUMNS = (("task,worker,tags", "tagging: tags joined by |"),)


def read(task_type: TaskType[Any, Any, Any], settings: Any, rows: Rows, options: Options) -> AnswerFile:
    """Read the answers; settings: the config as JSON, None to make one of what the file holds."""
    return TaggingFile(task_type, settings, rows)


class TaggingFile(AnswerFile):
    """Tags joined by | in the column `tags`."""

    def __init__(self, task_type: TaskType[Any, Any, Any], settings: Any, rows: Rows) -> None:
        super().__init__(task_type, rows)
        task, worker = rows.column("task"), rows.column(*WORKER)
        tags = rows.column("tags")
        kind, status = rows.find("kind"), rows.find("status")
        known: dict[frozenset[str], int] = {}
        for row in rows:
            if status is not None and row[status] != "counted":
                continue
            if kind is not None and row[kind] == "cant_tell":
                self.add(row[task], row[worker], 0)
                continue
            given = frozenset(tag.strip() for tag in split_list(row[tags]) if tag.strip())
            if given not in known:
                known[given] = len(self.values)
                self.values.append({"tags": sorted(given)})
            self.add(row[task], row[worker], known[given])
        if settings is None:
            found = sorted({tag for value in self.values if value for tag in value["tags"]})
            settings = {"tags": [{"id": tag} for tag in found], "allow_own_tags": True}
        self.config = task_type.parse_config(settings)
        self.sort()
