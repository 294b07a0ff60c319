"""The engine's invariants as SQL: each a query for the rows that break it, in chunks of keys."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from microtasks.store.db import Connection

CHUNK = 100_000


@dataclass(frozen=True, slots=True)
class Invariant:
    """A sentence that must be true, and the query that finds what breaks it.

    query: gives one text a broken row. key: table and column whose values `%(low)s <= key < %(high)s` it is
    asked for in chunks; None: asked once.
    """

    sentence: str
    query: str
    key: tuple[str, str] | None = None


_TASK = ("task", "id")
_ANSWER = ("answer", "id")

ALL = (
    Invariant(
        "A task's n_answers is the number of its counted answers.",
        """SELECT 'task ' || t.id FROM task t LEFT JOIN (
               SELECT task_id, count(*) AS n FROM answer
               WHERE task_id >= %(low)s AND task_id < %(high)s AND status = 'counted' GROUP BY task_id
           ) a ON a.task_id = t.id
           WHERE t.id >= %(low)s AND t.id < %(high)s AND t.n_answers <> coalesce(a.n, 0)""",
        _TASK,
    ),
    Invariant(
        "A task's n_leases is the number of leases that hold a seat of it.",
        """SELECT 'task ' || t.id FROM task t LEFT JOIN (
               SELECT task_id, count(*) AS n FROM lease
               WHERE task_id >= %(low)s AND task_id < %(high)s AND holds_seat GROUP BY task_id
           ) l ON l.task_id = t.id
           WHERE t.id >= %(low)s AND t.id < %(high)s AND t.n_leases <> coalesce(l.n, 0)""",
        _TASK,
    ),
    Invariant(
        "No task has more seats taken than its redundancy.",
        """SELECT 'task ' || id FROM task WHERE id >= %(low)s AND id < %(high)s
             AND (n_answers + n_leases > redundancy OR n_answers < 0 OR n_leases < 0)""",
        _TASK,
    ),
    Invariant(
        "A task with as many answers as its redundancy is retired.",
        """SELECT 'task ' || id FROM task WHERE id >= %(low)s AND id < %(high)s
             AND n_answers >= redundancy AND retired_at IS NULL""",
        _TASK,
    ),
    Invariant(
        # The owner may lower the project's number while seats above it are taken: those stay.
        "A task retired for its redundancy has that many answers.",
        """SELECT 'task ' || t.id FROM task t JOIN project p ON p.id = t.project_id
           WHERE t.id >= %(low)s AND t.id < %(high)s
             AND t.retirement_reason = 'redundancy'
             AND t.n_answers < least(t.redundancy, coalesce(t.own_redundancy, p.redundancy))""",
        _TASK,
    ),
    Invariant(
        "A task is open when it is not retired and has a free seat, and only then.",
        """SELECT 'task ' || id FROM task WHERE id >= %(low)s AND id < %(high)s
             AND open IS DISTINCT FROM (retired_at IS NULL AND n_answers + n_leases < redundancy)""",
        _TASK,
    ),
    Invariant(
        "Every task has its content.",
        """SELECT 'task ' || t.id FROM task t LEFT JOIN task_content c ON c.task_id = t.id
           WHERE t.id >= %(low)s AND t.id < %(high)s
             AND (c.task_id IS NULL OR c.project_id <> t.project_id)""",
        _TASK,
    ),
    Invariant(
        # Excluded contributors do not count; a pass makes the consensus anew after that.
        "A consensus rests on all counted answers of a task that has enough, once no job is to make it anew.",
        """SELECT 'task ' || t.id FROM task t
           JOIN consensus c ON c.task_id = t.id JOIN project p ON p.id = t.project_id
           WHERE t.id >= %(low)s AND t.id < %(high)s
             AND (c.n_answers <> t.n_answers AND t.n_answers >= least(p.answers_min, t.redundancy)
                  AND c.n_answers <> t.n_answers - (
                      SELECT count(*) FROM answer a JOIN contributor_record r
                          ON r.project_id = a.project_id AND r.contributor_id = a.contributor_id
                      WHERE a.task_id = t.id AND a.status = 'counted' AND r.is_excluded)
                  OR c.n_answers > t.n_answers OR c.project_id <> t.project_id)
             AND NOT EXISTS (SELECT 1 FROM job WHERE state IN ('queued', 'running')
                             AND (name = 'reduce' AND target_id = t.id
                                  OR name = 'aggregate' AND target_id = t.project_id))""",
        _TASK,
    ),
    Invariant(
        "A task that was retired by its answers has a consensus, or a job that makes it.",
        """SELECT 'task ' || t.id FROM task t
           WHERE t.id >= %(low)s AND t.id < %(high)s AND t.retirement_reason IN ('consensus', 'redundancy')
             AND NOT EXISTS (SELECT 1 FROM consensus c WHERE c.task_id = t.id)
             AND NOT EXISTS (SELECT 1 FROM job WHERE state IN ('queued', 'running')
                             AND (name = 'reduce' AND target_id = t.id
                                  OR name = 'aggregate' AND target_id = t.project_id))""",
        _TASK,
    ),
    Invariant(
        # A tab left open may work on under the old id; the clock joins that, too.
        "A device that was joined to a person counts with them alone.",
        """SELECT 'contributor ' || j.old_id FROM contributor_alias j
           WHERE EXISTS (SELECT 1 FROM contributor_alias n WHERE n.old_id = j.contributor_id)
              OR EXISTS (SELECT 1 FROM answer a WHERE a.contributor_id = j.old_id AND a.status = 'counted'
                         AND a.created_at < now() - interval '10 minutes')""",
    ),
    Invariant(
        "Nobody holds a lease on a task they answered.",
        """SELECT 'task ' || l.task_id || ', contributor ' || l.contributor_id
           FROM lease l JOIN answer a ON a.task_id = l.task_id AND a.contributor_id = l.contributor_id""",
    ),
    Invariant(
        "Leases, answers, skips and reports belong to the project of their task.",
        """SELECT 'lease of task ' || l.task_id FROM lease l JOIN task t ON t.id = l.task_id
           WHERE l.project_id <> t.project_id
           UNION ALL SELECT 'skip of task ' || s.task_id FROM skip s JOIN task t ON t.id = s.task_id
           WHERE s.project_id <> t.project_id
           UNION ALL SELECT 'report ' || r.id FROM report r JOIN task t ON t.id = r.task_id
           WHERE r.project_id <> t.project_id
           UNION ALL SELECT 'gold of task ' || g.task_id FROM task_gold g JOIN task t ON t.id = g.task_id
           WHERE g.project_id <> t.project_id""",
    ),
    Invariant(
        "An answer belongs to the project of its task.",
        """SELECT 'answer ' || a.id FROM answer a LEFT JOIN task t ON t.id = a.task_id
           WHERE a.id >= %(low)s AND a.id < %(high)s AND a.project_id IS DISTINCT FROM t.project_id""",
        _ANSWER,
    ),
    Invariant(
        "One contributor has at most one answer to a task.",
        """SELECT 'task ' || task_id || ', contributor ' || contributor_id FROM answer
           WHERE task_id >= %(low)s AND task_id < %(high)s
           GROUP BY task_id, contributor_id HAVING count(*) > 1""",
        _TASK,
    ),
    Invariant(
        "An answer is counted, surplus or a check; it has a value unless it says 'cannot tell'.",
        """SELECT 'answer ' || id FROM answer WHERE id >= %(low)s AND id < %(high)s
             AND (status NOT IN ('counted', 'surplus', 'check')
                  OR (kind = 'cant_tell') <> (value IS NULL))""",
        _ANSWER,
    ),
    Invariant(
        "Only known tasks are checked.",
        """SELECT 'answer ' || a.id FROM answer a WHERE a.id >= %(low)s AND a.id < %(high)s
             AND a.status = 'check' AND NOT EXISTS (SELECT 1 FROM task_gold g WHERE g.task_id = a.task_id)""",
        _ANSWER,
    ),
    Invariant(
        "Every version of an answer before the last one is kept.",
        """SELECT 'answer ' || a.id FROM answer a WHERE a.id >= %(low)s AND a.id < %(high)s AND a.revision > 1
             AND a.revision - 1 <> (SELECT count(*) FROM answer_revision r WHERE r.answer_id = a.id)""",
        _ANSWER,
    ),
    Invariant(
        "No open task lies before its project's head, where new contributors start.",
        """SELECT 'task ' || first.id FROM project p, LATERAL (
               SELECT id, pos FROM task
               WHERE project_id = p.id AND open AND pos >= 0 ORDER BY pos LIMIT 1) AS first
           WHERE first.pos <= p.head_pos""",
    ),
    Invariant(
        "No expired lease is kept for long: the clock takes them back.",
        """SELECT 'task ' || task_id FROM lease WHERE expires_at < now() - interval '10 minutes'""",
    ),
    Invariant(
        "No job waits or is silent for an hour: the clock rings again, and workers take over.",
        """SELECT 'job ' || id || ' (' || name || ')' FROM job
           WHERE state = 'queued' AND created_at < now() - interval '1 hour'
              OR state = 'running' AND coalesce(heartbeat_at, created_at) < now() - interval '1 hour'""",
    ),
    Invariant(
        "A batch that is done has the tasks it says.",
        """SELECT 'batch ' || b.id FROM batch b WHERE b.state = 'done' AND b.n_tasks <>
             (SELECT count(*) FROM task_content c WHERE c.batch_id = b.id)""",
    ),
    Invariant(
        "Every image of a task is there.",
        """SELECT 'task ' || c.task_id FROM task_content c, unnest(c.media_ids) AS wanted(id)
           WHERE c.task_id >= %(low)s AND c.task_id < %(high)s
             AND NOT EXISTS (SELECT 1 FROM media m WHERE m.id = wanted.id)""",
        _TASK,
    ),
    Invariant(
        "Cursors belong to a project that exists.",
        """SELECT 'contributor ' || c.contributor_id FROM cursor c
           WHERE NOT EXISTS (SELECT 1 FROM project p WHERE p.id = c.project_id)""",
    ),
)


def broken(connection: Connection, invariant: Invariant) -> tuple[int, str]:
    """How many rows break it, and the first of them; (0, "") when it holds."""
    n, first = 0, ""
    for chunk in _chunks(connection, invariant.key):
        row = connection.execute(
            f"SELECT count(*), min(broken.what) FROM ({invariant.query}) AS broken(what)",  # noqa: S608
            chunk,
        ).fetchone()
        if row and row[0]:
            n, first = n + row[0], first or row[1]
    return n, first


def files(connection: Connection) -> Iterator[tuple[str, str]]:
    """(kind, SHA-256) of every file that an image row names."""
    for chunk in _chunks(connection, ("media", "id")):
        for original, derived in connection.execute(
            "SELECT sha256, ARRAY(SELECT d ->> 'sha256' FROM jsonb_array_elements(derivatives) AS d)"
            " FROM media WHERE id >= %(low)s AND id < %(high)s",
            chunk,
        ):
            yield "originals", original
            for digest in derived:
                yield "derived", digest


def _chunks(connection: Connection, key: tuple[str, str] | None) -> Iterator[dict[str, int]]:
    """Ranges of the key that cover the table; one empty range of parameters without a key."""
    if key is None:
        yield {}
        return
    table, column = key
    row = connection.execute(f"SELECT min({column}), max({column}) FROM {table}").fetchone()  # noqa: S608
    if row is None or row[0] is None:
        return
    for low in range(row[0], row[1] + 1, CHUNK):
        yield {"low": low, "high": low + CHUNK}
