"""An owner's dashboard: how a project comes on, when it will be done, where people differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from microtasks import tasktypes
from microtasks.engine.site import Site
from microtasks.store.cache import Cache
from microtasks.store.projects import dashboard as stored
from microtasks.store.projects.dashboard import BINS, Hour, Tasks
from microtasks.store.results import explorer
from microtasks.store.tables import Project

#: Hours shown one by one; the pace of the last PACE_HOURS is what a forecast goes by.
HOURS, PACE_HOURS = 48, 24
FEWEST_DAYS = 7


@dataclass(frozen=True, slots=True)
class Forecast:
    """When the work ends at the present pace. per_hour: counted answers; n_left: answers still expected."""

    n_left: int
    per_hour: float
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Dashboard:
    """Everything on the page, as plain counts. Bins are tenths, 0..1."""

    made_at: datetime
    tasks: list[Tasks]
    n_tasks: int
    n_done: int
    n_answers: int
    n_saved: int
    forecast: Forecast | None
    hours: list[tuple[datetime, int]]
    days: list[tuple[date, int]]
    contributors: list[tuple[date, int]]
    agreement: list[int]
    n_tied: int
    n_disputed: int  # wait for a reviewer
    n_given: int  # answers of every status among the last ones read; n_cant_tell is a part of them
    n_cant_tell: int
    n_skipped: int
    n_reported: int
    slow: list[tuple[int, str, float, int]]
    gold: list[int] | None


_cache: Cache[tuple[str, int], Dashboard] = Cache()


def cached_dashboard(site: Site, project: Project) -> Dashboard:
    """The dashboard for a page that is looked at often: of a very large project up to a minute old."""
    key = (site.settings.database_url, project.id)
    return _cache.get([key], lambda _keys: {key: dashboard(site, project)})[key]


def dashboard(site: Site, project: Project) -> Dashboard:
    """Read it all, in short statements."""
    with site.db.connection() as connection:
        now = stored.clock(connection).astimezone(UTC)
        tasks = stored.tasks(connection, project.id)
        hours = stored.hours(connection, project.id)
        contributors = stored.contributors(connection, project.id)
        bins, n_tied = stored.agreement(connection, project.id)
        n_disputed = explorer.n_disputed(connection, project.id)
        n_skipped, n_reported = stored.skips_and_reports(connection, project.id)
        slow = stored.slow(connection, project.id)
        on_gold = stored.on_gold(connection, project.id)
    return Dashboard(
        made_at=now,
        tasks=tasks,
        n_tasks=sum(one.n_tasks for one in tasks),
        n_done=sum(one.n_tasks for one in tasks if one.reason is not None),
        n_answers=sum(one.n_answers for one in tasks),
        n_saved=sum(one.n_saved for one in tasks),
        forecast=forecast(tasks, hours, now),
        hours=last_hours(hours, now),
        days=by_day(hours, now),
        contributors=_every_day(dict(contributors), now),
        agreement=bins,
        n_tied=n_tied,
        n_disputed=n_disputed,
        n_given=sum(one.n_answers for one in hours),
        n_cant_tell=sum(one.n_cant_tell for one in hours),
        n_skipped=n_skipped,
        n_reported=n_reported,
        slow=slow,
        gold=_scores(project, on_gold) if on_gold else None,
    )


def forecast(tasks: Sequence[Tasks], hours: Sequence[Hour], now: datetime) -> Forecast | None:
    """When the last task will be done, if people go on as in the last day; None while nothing can be said.

    An open task is expected to take as many answers as the finished ones did, where stopping early saved
    some; never fewer than it has.
    """
    still_open = next((one for one in tasks if one.reason is None), None)
    since = now - timedelta(hours=PACE_HOURS)
    recent = [one for one in hours if one.hour >= since]
    n_recent = sum(one.n_counted for one in recent)
    if still_open is None or still_open.n_left == 0 or n_recent == 0:
        return None
    done = [one for one in tasks if one.reason in ("consensus", "redundancy")]
    n_planned = sum(one.n_answers + one.n_saved for one in done)
    share = sum(one.n_answers for one in done) / n_planned if n_planned else 1.0
    wanted = still_open.n_answers + still_open.n_left
    n_left = max(round(wanted * share) - still_open.n_answers, 1)
    began = max(since, hours[0].hour)
    per_hour = n_recent / max((now - began) / timedelta(hours=1), 1.0)
    return Forecast(n_left, per_hour, now + timedelta(hours=min(n_left / per_hour, 24 * 36500)))


def last_hours(hours: Sequence[Hour], now: datetime) -> list[tuple[datetime, int]]:
    """Each of the last hours with its answers, empty ones too; the last is not over yet."""
    counts = {one.hour: one.n_answers for one in hours}
    last = now.replace(minute=0, second=0, microsecond=0)
    hours_shown = (last - timedelta(hours=back) for back in range(HOURS - 1, -1, -1))
    return [(hour, counts.get(hour, 0)) for hour in hours_shown]


def by_day(hours: Sequence[Hour], now: datetime) -> list[tuple[date, int]]:
    """Each of the last days (UTC) with its answers, from the first that has any; at least a week."""
    counts: Counter[date] = Counter()
    for one in hours:
        counts[one.hour.astimezone(UTC).date()] += one.n_answers
    return _every_day(counts, now)


def _every_day(counts: dict[date, int], now: datetime) -> list[tuple[date, int]]:
    today = now.date()
    first = min(min(counts, default=today), today - timedelta(days=FEWEST_DAYS - 1))
    first = max(first, today - timedelta(days=stored.DAYS - 1))
    days_shown = (first + timedelta(days=n) for n in range((today - first).days + 1))
    return [(day, counts.get(day, 0)) for day in days_shown]


def _scores(project: Project, on_gold: Sequence[tuple[Any, Any]]) -> list[int]:
    """How right answers to known tasks were: how many in each tenth (1 is in the last)."""
    task_type = tasktypes.get(project.task_type)
    config = task_type.parse_config(project.config)
    bins = [0] * BINS
    for value, right in on_gold:
        bins[min(int(task_type.score(value, right, config) * BINS), BINS - 1)] += 1
    return bins
