"""The texts of projects in other languages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from microtasks.store.db import Connection

#: By language and path: (the owner's text that was translated, the translation).
Translated = dict[str, dict[str, tuple[str, str]]]


def of(connection: Connection, project_ids: Sequence[int]) -> dict[int, Translated]:
    """Everything that is translated of these projects; absent where there is nothing."""
    translated: dict[int, Translated] = {}
    for project_id, language, path, original, text in connection.execute(
        "SELECT project_id, language, path, original, text FROM project_text WHERE project_id = ANY(%s)",
        (list(project_ids),),
    ):
        translated.setdefault(project_id, {}).setdefault(language, {})[path] = (original, text)
    return translated


def replace(
    connection: Connection, project_id: int, language: str, texts: Mapping[str, tuple[str, str]]
) -> None:
    """Put these in place of all that was translated into that language; text by path as in `Translated`."""
    connection.execute(
        "DELETE FROM project_text WHERE project_id = %s AND language = %s", (project_id, language)
    )
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO project_text (project_id, language, path, original, text)"
            " VALUES (%s, %s, %s, %s, %s)",
            [(project_id, language, path, original, text) for path, (original, text) in texts.items()],
        )


def copy(connection: Connection, from_project: int, to_project: int) -> None:
    """Give a copy of a project the translations of its texts, too."""
    connection.execute(
        """INSERT INTO project_text (project_id, language, path, original, text)
           SELECT %s, language, path, original, text FROM project_text WHERE project_id = %s""",
        (to_project, from_project),
    )
