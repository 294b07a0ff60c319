"""The words of a project's volunteers: custom tags that many have used, to be offered to the next."""

from __future__ import annotations

from uuid import UUID

from microtasks.store.db import Connection

#: So many answers are looked through, the newest ones: the request must stay quick in a project of millions.
ANSWERS_MOST = 5_000
#: A tag is offered once so many people have given it to so many tasks: then it tells nothing of a single one.
PEOPLE_MIN = TASKS_MIN = 3
TAGS_MOST = 100


def used_tags(
    connection: Connection, project_id: int, key: str, listed: list[str], who: UUID | None
) -> list[str]:
    """Custom tags in common use, and those that this contributor has used themselves, most used first.

    key: where the list of tags stands in an answer's value. listed: the owner's own, which are left out.
    """
    rows = connection.execute(
        """SELECT tag FROM (
               SELECT task_id, contributor_id, value FROM answer
               WHERE project_id = %(project)s AND status = 'counted' ORDER BY id DESC LIMIT %(answers)s) a,
               jsonb_array_elements_text(a.value -> %(key)s) AS tag
           WHERE tag <> ALL(%(listed)s)
           GROUP BY tag
           HAVING count(DISTINCT contributor_id) >= %(people)s AND count(DISTINCT task_id) >= %(tasks)s
               OR bool_or(contributor_id = %(who)s)
           ORDER BY count(*) DESC, tag LIMIT %(most)s""",
        {
            "project": project_id,
            "key": key,
            "listed": listed,
            "who": who,
            "answers": ANSWERS_MOST,
            "people": PEOPLE_MIN,
            "tasks": TASKS_MIN,
            "most": TAGS_MOST,
        },
    )
    return [tag for (tag,) in rows]
