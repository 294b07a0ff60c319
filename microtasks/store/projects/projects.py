"""Projects: found by slug or by owner, with their progress and the facts of their cards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.rows import dict_row
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from microtasks.core.errors import NotFound
from microtasks.store.cache import Cache
from microtasks.store.db import Connection, raw
from microtasks.store.tables import Media, Project, ProjectConfig, ProjectMember

Progress = dict[str, int]  # "tasks", "retired", "answers", "answers_wanted", "contributors"


def get(session: Session, project_id: int) -> Project:
    """The project of that id; NotFound."""
    project = session.get(Project, project_id)
    if project is None:
        raise NotFound("There is no such project.")
    return project


def by_slug(session: Session, slug: str) -> Project:
    """The project of that slug, in whatever state; NotFound."""
    project = session.exec(select(Project).where(Project.slug == slug)).first()
    if project is None:
        raise NotFound(f"There is no project called {slug!r}.")
    return project


def visible_by_slug(session: Session, slug: str) -> Project:
    """The project of that slug if the public may know of it: not a draft; NotFound."""
    project = by_slug(session, slug)
    if project.state == "draft":
        raise NotFound(f"There is no project called {slug!r}.")
    return project


def find_public(session: Session, slug: str) -> Project | None:
    """As `visible_by_slug`, but None where there is none."""
    return session.exec(select(Project).where(Project.slug == slug, Project.state != "draft")).first()


def list_for_account(session: Session, account_id: int, is_operator: bool = False) -> Sequence[Project]:
    """The projects that this account owns or is a member of, newest first; for an operator all."""
    return session.exec(_mine(account_id, is_operator).order_by(col(Project.id).desc())).all()


def public(session: Session) -> Sequence[Project]:
    """Projects that take answers now, newest first."""
    return session.exec(
        select(Project)
        .where(Project.state == "published", col(Project.trial_of).is_(None))
        .order_by(col(Project.published_at).desc())
    ).all()


def all_projects(session: Session) -> Sequence[Project]:
    """Every project, oldest first."""
    return session.exec(
        select(Project).where(col(Project.trial_of).is_(None)).order_by(col(Project.id))
    ).all()


def add(session: Session, project: Project) -> bool:
    """Store a new project and its first config; False (nothing stored) when the slug is taken."""
    values = project.model_dump(exclude={"id", "created_at"})
    project_id = session.execute(
        insert(Project)
        .values(**values)
        .on_conflict_do_nothing(index_elements=["slug"])
        .returning(col(Project.id))
    ).scalar()
    if project_id is None:
        return False
    project.id = int(project_id)
    keep_config(session, project)
    return True


def copied(source: Project, **changes: Any) -> Project:
    """A project with the same settings that was never published, not stored yet."""
    own = {"id", "slug", "head_pos", "created_at", "published_at", "config_version", "trial_of"}
    return Project(**(source.model_dump(exclude=own) | {"config_version": 1, "head_pos": -1} | changes))


def keep_config(session: Session, project: Project) -> None:
    """Keep this version of the config: an answer says which one it answered."""
    session.execute(
        insert(ProjectConfig).values(
            project_id=project.id, version=project.config_version, config=project.config
        )
    )


def locked(session: Session, project_id: int) -> Project:
    """The project, locked against other changes until the end of the transaction; NotFound."""
    project = session.exec(select(Project).where(Project.id == project_id).with_for_update()).first()
    if project is None:
        raise NotFound("There is no such project.")
    return project


def delete(connection: Connection, project_id: int) -> None:
    """Delete a project with everything in it."""
    connection.execute("SET LOCAL statement_timeout = '10min'")  # a million tasks may have to go
    connection.execute("DELETE FROM project WHERE id = %s", (project_id,))


def has_tasks(session: Session, project_id: int) -> bool:
    return (
        _row(raw(session), "SELECT EXISTS (SELECT 1 FROM task WHERE project_id = %s)", project_id)[0] is True
    )


#: Tasks that follow what the project says; locked in the order of their numbers, as everybody locks several.
_FOLLOWING = """FROM task WHERE project_id = %(project)s AND own_redundancy IS NULL
                AND (retired_at IS NULL OR retirement_reason = 'redundancy')"""


def change_redundancy(session: Session, project: Project, before: int) -> None:
    """Let all tasks follow the project's new number of answers, but those that have a number of their own.

    A seat that is taken stays: where answers and leases are already more, they are the number. Tasks that
    then have enough are retired; those that were retired for having enough and no longer have are open again,
    and the walk starts anew for everybody. Tasks that stop when sure keep their seats, within the new number.
    Call it after the project is flushed.
    """
    connection = raw(session)
    after = project.redundancy
    parameters = {
        "project": project.id,
        "after": after,
        "is_adaptive": project.stop_rule == "confidence",
        "fewest": project.answers_min,
    }
    connection.execute("SET LOCAL statement_timeout = '10min'")  # a million tasks may have to change
    if after > before:  # before the tasks: the order of locks is cursor, task, lease
        _begin_walks_anew(connection, parameters)
    _hold_following(connection, parameters)
    connection.execute(
        f"""UPDATE task SET
                redundancy = greatest(n_answers + n_leases, CASE WHEN %(is_adaptive)s
                    THEN least(%(after)s, greatest(%(fewest)s, redundancy, n_answers + 1))
                    ELSE %(after)s END),
                retired_at = CASE WHEN n_answers >= %(after)s THEN coalesce(retired_at, now()) END,
                retirement_reason = CASE WHEN n_answers >= %(after)s THEN 'redundancy' END
            WHERE id IN (SELECT id {_FOLLOWING})""",  # noqa: S608  (ours)
        parameters,
    )


def change_stopping(session: Session, project: Project, before: str) -> None:
    """Fit the tasks' open seats to a changed rule of stopping: see engine/assignment/stopping.py.

    To "stop when sure": those with the project's number begin with the fewest. From it: all get the number
    that they may have, and the walk starts anew for everybody. Call it after the project is flushed.
    """
    if before == project.stop_rule or "confidence" not in (before, project.stop_rule):
        return
    connection = raw(session)
    parameters = {"project": project.id, "most": project.redundancy, "fewest": project.answers_min}
    connection.execute("SET LOCAL statement_timeout = '10min'")  # a million tasks may have to change
    if project.stop_rule == "confidence":
        _hold_following(connection, parameters)
        connection.execute(
            f"""UPDATE task SET redundancy = greatest(%(fewest)s, n_answers + n_leases, n_answers + 1)
                WHERE retired_at IS NULL AND id IN (SELECT id {_FOLLOWING})""",  # noqa: S608  (ours)
            parameters,
        )
        return
    _begin_walks_anew(connection, parameters)
    connection.execute(
        """SELECT count(*) FROM (SELECT 1 FROM task WHERE project_id = %(project)s AND retired_at IS NULL
                                 ORDER BY id FOR NO KEY UPDATE) AS held""",
        parameters,
    )
    connection.execute(
        """UPDATE task SET redundancy = greatest(redundancy, coalesce(own_redundancy, %(most)s)),
                  pos = CASE WHEN pos < 0 THEN -1 - pos ELSE pos END  -- none is served before others now
           WHERE project_id = %(project)s AND retired_at IS NULL
             AND (redundancy < coalesce(own_redundancy, %(most)s) OR pos < 0)""",
        parameters,
    )


def _begin_walks_anew(connection: Connection, parameters: Mapping[str, Any]) -> None:
    connection.execute("UPDATE project SET head_pos = -1 WHERE id = %(project)s", parameters)
    connection.execute(
        """SELECT count(*) FROM (SELECT 1 FROM cursor WHERE project_id = %(project)s
                                 ORDER BY contributor_id FOR NO KEY UPDATE) AS held""",
        parameters,
    )
    connection.execute("UPDATE cursor SET pos = -1, lap = -1 WHERE project_id = %(project)s", parameters)


def _hold_following(connection: Connection, parameters: Mapping[str, Any]) -> None:
    connection.execute(
        f"SELECT count(*) FROM (SELECT 1 {_FOLLOWING} ORDER BY id FOR NO KEY UPDATE) AS held",  # noqa: S608
        parameters,
    )


#: What a task that stops when sure is taken to need, and how many such tasks this guess is worth.
USUAL_ANSWERS, USUAL_TASKS = 4, 10


def progress(session: Session, project_id: int) -> Progress:
    """Counts of one project: tasks, retired, answers (counted), answers_wanted, contributors."""
    return progress_of(session, [project_id])[project_id]


def progress_of(session: Session, project_ids: Sequence[int]) -> dict[int, Progress]:
    """`progress` for several projects in two queries.

    answers_wanted: what all tasks ask for in the end. Where tasks stop when sure nobody knows that: an open
    task is taken to need as many as finished ones did, and at least the seats that it has.
    """
    progress_by_project = {
        project: dict.fromkeys(("tasks", "retired", "answers", "answers_wanted", "contributors"), 0)
        for project in project_ids
    }
    connection = raw(session)
    rows = connection.execute(
        """SELECT t.project_id, p.stop_rule = 'confidence', coalesce(t.own_redundancy, p.redundancy),
                  t.redundancy, count(*), count(t.retired_at), sum(t.n_answers), coalesce(sum(t.n_answers)
                      FILTER (WHERE t.retired_at IS NOT NULL), 0)
           FROM task t JOIN project p ON p.id = t.project_id WHERE t.project_id = ANY(%s)
           GROUP BY t.project_id, p.id, coalesce(t.own_redundancy, p.redundancy), t.redundancy""",
        (list(project_ids),),
    ).fetchall()
    for project, _, _, _, tasks, retired, answers, _ in rows:
        progress_by_project[project]["tasks"] += tasks
        progress_by_project[project]["retired"] += retired
        progress_by_project[project]["answers"] += answers
    finished = dict.fromkeys(progress_by_project, 0)
    for project, *_, answered in rows:
        finished[project] += answered
    for project, is_adaptive, most, seats, tasks, retired, _, answered in rows:
        # Finished tasks of a young project are the easy ones: a few of usual length stand beside them.
        usual = finished[project] + USUAL_TASKS * min(USUAL_ANSWERS, most)
        each = (
            max(seats, min(most, usual / (progress_by_project[project]["retired"] + USUAL_TASKS)))
            if is_adaptive
            else seats
        )
        progress_by_project[project]["answers_wanted"] += round(answered + (tasks - retired) * each)
    for project, contributors in connection.execute(
        "SELECT project_id, count(DISTINCT contributor_id) FROM answer WHERE project_id = ANY(%s) GROUP BY 1",
        (list(project_ids),),
    ):
        progress_by_project[project]["contributors"] = contributors
    return progress_by_project


@dataclass(frozen=True, slots=True)
class Card:
    """What a project's card shows. cover: the first image of its first tasks; median_seconds: per task.

    languages: what it can be read in, the owner's first; () where nobody has asked.
    """

    project: Project
    progress: Progress
    cover: Media | None
    median_seconds: float | None
    languages: tuple[str, ...] = ()


_progress: Cache[tuple[str, int], Progress] = Cache()


def cached_progress(session: Session, project_ids: Sequence[int]) -> dict[int, Progress]:
    """`progress_of` for pages that are looked at often: of very large projects up to a minute old."""
    server = raw(session).info.dsn
    cached = _progress.get(
        [(server, each) for each in project_ids],
        lambda keys: {
            (server, each): progress for each, progress in progress_of(session, [k[1] for k in keys]).items()
        },
    )
    return {each: progress for (_, each), progress in cached.items()}


def cards(session: Session, projects: Sequence[Project] | None = None) -> list[Card]:
    """Cards of these projects, or of all public ones. Of very large ones the figures may be a minute old."""
    if projects is None:
        projects = public(session)
    ids = [project.id for project in projects if project.id is not None]
    counts = cached_progress(session, ids)
    covers = _covers(session, ids)
    seconds = median_seconds(session, ids)
    return [
        Card(project, counts[project.id], covers.get(project.id), seconds.get(project.id))
        for project in projects
        if project.id is not None
    ]


def _covers(session: Session, project_ids: Sequence[int]) -> dict[int, Media]:
    first: dict[int, int] = dict(
        raw(session).execute(
            """SELECT p.id, cover.media_id
               FROM unnest(%s::bigint[]) AS p(id), LATERAL (
                   SELECT c.media_ids[1] AS media_id FROM (
                       SELECT id FROM task WHERE project_id = p.id ORDER BY id LIMIT 20) AS t
                   JOIN task_content c ON c.task_id = t.id
                   WHERE cardinality(c.media_ids) > 0 ORDER BY t.id LIMIT 1) AS cover""",
            (list(project_ids),),
        )
    )
    media = session.exec(select(Media).where(col(Media.id).in_(set(first.values())))).all()
    by_id = {item.id: item for item in media}
    return {project: by_id[media_id] for project, media_id in first.items() if media_id in by_id}


def median_seconds(session: Session, project_ids: Sequence[int]) -> dict[int, float]:
    """Median of the seconds spent on each project's last 200 timed answers; absent where there are none."""
    return dict(
        raw(session).execute(
            """SELECT p.id, percentile_cont(0.5) WITHIN GROUP (ORDER BY last.seconds_spent)
               FROM unnest(%s::bigint[]) AS p(id), LATERAL (
                   SELECT seconds_spent FROM answer
                   WHERE project_id = p.id AND seconds_spent IS NOT NULL ORDER BY id DESC LIMIT 200) AS last
               GROUP BY p.id""",
            (list(project_ids),),
        )
    )


def troubles(session: Session, project_id: int) -> dict[str, int]:
    """What an owner should look at: "failed_rows" of uploads, "reports" still open, "running" imports."""
    row = (
        raw(session)
        .execute(
            """SELECT coalesce(sum(n_failed), 0), count(*) FILTER (WHERE state IN ('queued', 'running')),
                  (SELECT count(*) FROM report WHERE project_id = %(project)s AND closed_at IS NULL)
           FROM batch WHERE project_id = %(project)s""",
            {"project": project_id},
        )
        .fetchone()
    )
    failed, running, reports = row or (0, 0, 0)
    return {"failed_rows": int(failed), "running": int(running), "reports": int(reports)}


def task_to_show(
    connection: Connection, project_id: int, after_id: int
) -> tuple[int, dict[str, Any], list[list[Any]]] | None:
    """The first task behind this id: id, payload, and [width, height, derivatives] of each image."""
    return connection.execute(
        """SELECT t.id, c.payload, coalesce(
               (SELECT jsonb_agg(jsonb_build_array(m.width, m.height, m.derivatives) ORDER BY place)
                FROM unnest(c.media_ids) WITH ORDINALITY AS ids(id, place)
                JOIN media m ON m.id = ids.id), '[]')
           FROM task t JOIN task_content c ON c.task_id = t.id
           WHERE t.project_id = %s AND t.id > %s AND c.task_id > %s ORDER BY t.id LIMIT 1""",
        (project_id, after_id, after_id),
    ).fetchone()


def reports(connection: Connection, project_id: int, after_id: int, limit: int) -> list[dict[str, Any]]:
    """What volunteers reported, by id: with the task's external_id, and whether it is closed."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            """SELECT r.id, r.task_id, c.external_id, r.reason, r.note, r.created_at, r.closed_at
               FROM report r JOIN task_content c ON c.task_id = r.task_id
               WHERE r.project_id = %s AND r.id > %s ORDER BY r.id LIMIT %s""",
            (project_id, after_id, limit),
        ).fetchall()


def close_report(connection: Connection, project_id: int, report_id: int) -> bool:
    """Note that a report was seen to; False if the project has none of that id."""
    return (
        connection.execute(
            "UPDATE report SET closed_at = coalesce(closed_at, now()) WHERE id = %s AND project_id = %s",
            (report_id, project_id),
        ).rowcount
        == 1
    )


def _mine(account_id: int, is_operator: bool) -> SelectOfScalar[Project]:
    query = select(Project).where(col(Project.trial_of).is_(None))
    joined = select(ProjectMember.project_id).where(ProjectMember.account_id == account_id)
    return (
        query
        if is_operator
        else query.where((col(Project.account_id) == account_id) | col(Project.id).in_(joined))
    )


def _row(connection: Connection, query: str, *parameters: Any) -> tuple[Any, ...]:
    row = connection.execute(query, parameters).fetchone()
    assert row is not None  # noqa: S101  (the query always yields a row)
    return tuple(row)
