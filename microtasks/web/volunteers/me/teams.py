"""Teams: make one, join one by its code, leave it."""

from __future__ import annotations

from flask import flash, redirect, render_template, url_for
from flask import request as http
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from microtasks.core.errors import Forbidden, InputError, NotFound, TooMany
from microtasks.engine.volunteers import claims, teams
from microtasks.store.tables import Project
from microtasks.web.errors import status_of
from microtasks.web.request import account, contributor, current_site, known_person
from microtasks.web.requests.addresses import absolute
from microtasks.web.sentences import translated
from microtasks.web.volunteers.me.frame import blueprint


@blueprint.app_template_global()
def team_totals(project: Project) -> list[tuple[str, int]]:
    """Name and answers of teams, for the project's page, where its owner shows them."""
    return teams.in_project(current_site(), project.id) if project.shows_teams else []


@blueprint.get("/teams")
def my_teams() -> ResponseReturnValue:
    return _teams_page()


@blueprint.post("/teams")
def create_team() -> ResponseReturnValue:
    """Make a team: for owners, and for volunteers whose work is kept."""
    owner = account()
    try:
        code = teams.create(
            current_site(),
            http.form.get("name", ""),
            contributor=None if owner else contributor(),
            account_id=owner.id if owner else None,
        )
    except (InputError, Forbidden, TooMany) as error:
        return _teams_page(wrong=translated(error.message)), status_of(error)
    return redirect(url_for("me.team", code=code), 303)


@blueprint.get("/join")
def find_team() -> ResponseReturnValue:
    """A code that was typed."""
    code = teams.normalized_code(http.args.get("code", ""))
    try:
        teams.team_page(current_site(), code, None)
    except NotFound as error:
        return _teams_page(wrong_code=translated(error.message), code=http.args.get("code", "")), 404
    return redirect(url_for("me.team", code=code), 303)


@blueprint.get("/join/<code>")
def team(code: str) -> ResponseReturnValue:
    """A team's totals, and to join or leave it."""
    team = teams.team_page(current_site(), code, known_person())
    address = absolute(url_for("me.team", code=team.team.code))
    return render_template("volunteer/team.html", it=team, address=address)


@blueprint.post("/join/<code>")
def join_team(code: str) -> ResponseReturnValue:
    joined = teams.join(current_site(), code, contributor())
    flash(_("You are in. What you answer from now on counts for the team, too."), "ok")
    return redirect(url_for("me.team", code=joined.code), 303)


@blueprint.post("/join/<code>/leave")
def leave_team(code: str) -> ResponseReturnValue:
    teams.leave(current_site(), code, contributor())
    flash(_("You have left the team. What you gave until now stays in its total."), "ok")
    return redirect(url_for("me.mine"), 303)


def _teams_page(wrong: str = "", wrong_code: str = "", code: str = "") -> str:
    who, owner = known_person(), account()
    joined, made = teams.teams_of(current_site(), who, owner.id if owner else None)
    return render_template(
        "volunteer/teams.html",
        teams=joined,
        made=[team for team in made if team not in joined],
        may_make=owner is not None or (who is not None and claims.is_claimed(current_site(), who)),
        wrong=wrong,
        wrong_code=wrong_code,
        code=code,
        name=http.form.get("name", ""),
    )
