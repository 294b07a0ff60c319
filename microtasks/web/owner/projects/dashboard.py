"""The dashboard of a project: charts of how it comes on. Counts only; nothing says who."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from flask import Response, redirect, render_template, url_for
from flask import request as http
from flask.typing import ResponseReturnValue
from flask_babel import format_decimal
from flask_babel import gettext as _

from microtasks.core.errors import NotFound
from microtasks.core.values import Column
from microtasks.engine.projects import dashboard as engine
from microtasks.engine.projects import impact
from microtasks.engine.projects.dashboard import Dashboard
from microtasks.engine.tabular.csv_format import write_csv
from microtasks.engine.tabular.table import Table
from microtasks.store.projects.dashboard import BINS
from microtasks.store.tables import Project
from microtasks.web.charts import Chart
from microtasks.web.owner.frame import blueprint, mine, owner
from microtasks.web.request import current_site, owner_required


@blueprint.get("/projects/<slug>/dashboard")
@owner_required
def dashboard(slug: str) -> ResponseReturnValue:
    """Every chart of the project."""
    project = mine(slug, "researcher")
    figures = engine.cached_dashboard(current_site(), project)
    return render_template(
        "owner/dashboard.html",
        project=project,
        board=figures,
        charts=_charts(project, figures),
        impact=impact.cached_impact(current_site(), project),
    )


@blueprint.post("/projects/<slug>/teams")
@owner_required
def show_teams(slug: str) -> ResponseReturnValue:
    """Show the totals of teams on the project's page, or no more."""
    project = mine(slug, "collaborator")
    impact.show_teams(current_site(), project, http.form.get("show") == "1", by=owner().id)
    return redirect(url_for("owner.dashboard", slug=slug) + "#impact", 303)


@blueprint.get("/projects/<slug>/dashboard/<chart>.csv")
@owner_required
def dashboard_file(slug: str, chart: str) -> ResponseReturnValue:
    """The numbers of one chart."""
    project = mine(slug, "researcher")
    charts = {one.name: one for one in _charts(project, engine.cached_dashboard(current_site(), project))}
    chart_data = charts.get(chart)
    if chart_data is None:
        raise NotFound(_("There is no such chart."))
    columns = (Column(chart_data.columns[0], "string", ""), Column(chart_data.columns[1], "number", ""))
    response = Response(
        write_csv(Table(columns, iter(chart_data.rows))), content_type="text/csv; charset=utf-8"
    )
    response.headers["Content-Disposition"] = f'attachment; filename="{project.slug}-{chart}.csv"'
    return response


def _charts(project: Project, figures: Dashboard) -> list[Chart]:
    answers = _("Answers")
    charts = [
        Chart(
            "answers-per-hour",
            _("Answers per hour"),
            _("The last 48 hours, UTC. The last hour is not over yet."),
            (_("Hour (UTC)"), answers),
            [(_hour(hour), n) for hour, n in figures.hours],
        ),
        Chart(
            "answers-per-day",
            _("Answers per day"),
            _("Days begin at midnight UTC. At most 60 days are shown."),
            (_("Day"), answers),
            [(_day(day), n) for day, n in figures.days],
        ),
        Chart(
            "contributors-per-day",
            _("Contributors per day"),
            _("How many people answered. Who they are, nobody knows."),
            (_("Day"), _("Contributors")),
            [(_day(day), n) for day, n in figures.contributors],
        ),
        Chart(
            "agreement",
            _("How much people agree"),
            _("Tasks by the agreement of their consensus. On the left the disputed ones."),
            (_("Agreement"), _("Tasks")),
            _tenths(figures.agreement),
            links=[url_for("explorer.tasks", slug=project.slug, **_percent_of_bin(n)) for n in range(BINS)],
        ),
        Chart(
            "tasks",
            _("Where tasks are"),
            _("Open ones, and how the others were finished."),
            (_("State"), _("Tasks")),
            [(_reason(one.reason), one.n_tasks) for one in figures.tasks],
        ),
        Chart(
            "could-not",
            _("What people could not do"),
            _("In a hundred: tasks answered “can’t tell”, passed over, or reported."),
            (_("What"), _("Share (%)")),
            [
                _rate(_("Can’t tell"), figures.n_cant_tell, figures.n_given),
                _rate(_("Skipped"), figures.n_skipped, figures.n_answers + figures.n_skipped),
                _rate(_("Reported"), figures.n_reported, figures.n_answers),
            ],
            unit="%",
            links=["", "", url_for("owner.reports", slug=project.slug)],
        ),
        Chart(
            "slow-tasks",
            _("Slow tasks"),
            _("The ten tasks that take longest, by the median of at least three of the last 50,000 answers."),
            (_("Task"), _("Median seconds")),
            [(name, round(median, 1)) for _id, name, median, _n in figures.slow],
            unit="s",
            links=[url_for("explorer.task", slug=project.slug, task_id=one[0]) for one in figures.slow],
        ),
    ]
    if figures.gold is not None:
        charts.append(
            Chart(
                "gold-scores",
                _("How right people are on known tasks"),
                _("The last 5,000 answers to tasks whose right answer you gave, by their score."),
                (_("Score"), answers),
                _tenths(figures.gold),
            )
        )
    return charts


def _percent_of_bin(n: int) -> dict[str, Any]:
    """The explorer's filter for the n-th bar of agreement, 0 to 9; `from` cannot be written as a keyword."""
    return {"from": 10 * n, "to": 10 * n + 10}


def _tenths(bins: list[int]) -> list[tuple[str, float]]:
    return [(f"{10 * n}–{10 * n + 10} %", count) for n, count in enumerate(bins)]


def _rate(name: str, n: int, of: int) -> tuple[str, float]:
    """How many in a hundred, with the counts in words."""
    sentence = _("%(name)s (%(n)s of %(of)s)", name=name, n=format_decimal(n), of=format_decimal(of))
    return sentence, round(100 * n / of, 1) if of else 0.0


def _reason(reason: str | None) -> str:
    names = {
        None: _("Open"),
        "consensus": _("Done: they agree"),
        "redundancy": _("Done: all answers are in"),
        "withdrawn": _("Withdrawn"),
    }
    return names.get(reason, reason or "")


def _hour(hour: datetime) -> str:
    return hour.strftime("%Y-%m-%d %H:00")


def _day(day: date) -> str:
    return day.isoformat()
