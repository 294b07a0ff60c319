"""How well a project works: agreement, what "stop when sure" measured, and its volunteers by pseudonym."""

from __future__ import annotations

from flask import Response, flash, redirect, render_template, url_for
from flask import request as http
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from microtasks.core.errors import InputError
from microtasks.engine.results import reliability
from microtasks.engine.results import review as result_review
from microtasks.engine.tabular.csv_format import write_csv
from microtasks.web.owner.frame import PAGE, after, blueprint, mine, owner
from microtasks.web.request import current_site, owner_required


@blueprint.get("/projects/<slug>/quality")
@owner_required
def quality(slug: str) -> ResponseReturnValue:
    """Agreement by field, reliability, and the volunteers: those who were left out first."""
    project = mine(slug, "researcher")
    skip = after()
    overview = result_review.overview(current_site(), project.id, skip, PAGE + 1)
    return render_template(
        "owner/quality.html",
        project=project,
        overview=overview,
        reliability=reliability.of_project(current_site(), project.id),
        people=overview.records[:PAGE],
        next_after=skip + PAGE if len(overview.records) > PAGE else None,
    )


@blueprint.get("/projects/<slug>/quality/reliability.csv")
@owner_required
def reliability_file(slug: str) -> ResponseReturnValue:
    """The numbers of the reliability diagram."""
    project = mine(slug, "researcher")
    table = reliability.as_table(reliability.of_project(current_site(), project.id))
    response = Response(write_csv(table), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{project.slug}-reliability.csv"'
    return response


@blueprint.get("/projects/<slug>/quality/confusion.csv")
@owner_required
def confusion_file(slug: str) -> ResponseReturnValue:
    """What was said where the consensus is what, of every field: a row a cell."""
    project = mine(slug, "researcher")
    table = result_review.confusion_table(current_site(), project.id)
    response = Response(write_csv(table), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{project.slug}-confusion.csv"'
    return response


@blueprint.get("/projects/<slug>/quality/rarefaction.csv")
@owner_required
def rarefaction_file(slug: str) -> ResponseReturnValue:
    """How many answers would have been enough, of every field."""
    project = mine(slug, "researcher")
    table = result_review.rarefaction_table(current_site(), project.id)
    response = Response(write_csv(table), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{project.slug}-rarefaction.csv"'
    return response


@blueprint.post("/projects/<slug>/quality")
@owner_required
def review(slug: str) -> ResponseReturnValue:
    """Bring it up to date, in the background."""
    result_review.ask_for_review(current_site(), mine(slug, "reviewer").id)
    flash(_("A worker looks through all answers now. Come back to this page in a while."), "ok")
    return redirect(url_for("owner.quality", slug=slug), 303)


@blueprint.post("/projects/<slug>/volunteers/<pseudonym>")
@owner_required
def weigh(slug: str, pseudonym: str) -> ResponseReturnValue:
    """Leave a volunteer out of the consensus, or take them in again."""
    project = mine(slug, "collaborator")
    word = http.form.get("weigh", "")
    if word not in ("in", "out"):
        raise InputError(_("There is no such step."))
    result_review.set_excluded(
        current_site(), project.id, pseudonym, is_excluded=word == "out", by=owner().id
    )
    flash(_("Noted. A worker makes the consensus anew."), "ok")
    return redirect(url_for("owner.quality", slug=slug), 303)
