"""My work: what this browser gave, how it was, and being forgotten."""

from __future__ import annotations

from flask import flash, redirect, render_template, url_for
from flask import request as http
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from microtasks.engine.volunteers import certificates, claims, teams
from microtasks.web.request import become, contributor, current_site, known_person
from microtasks.web.volunteers.me.frame import blueprint


@blueprint.post("/p/<slug>/rate")
def rate(slug: str) -> ResponseReturnValue:
    """How it was to help here; may be changed."""
    score = http.form.get("score", "")
    teams.rate(current_site(), slug, contributor(), int(score) if score in ("1", "2", "3") else 0)
    flash(_("Thank you for telling us."), "ok")
    return redirect(url_for("volunteer.thank", slug=slug), 303)


@blueprint.get("/me")
def mine() -> ResponseReturnValue:
    """What this browser's volunteer gave, what is kept of them, and how to be forgotten."""
    who = known_person()
    joined, made = teams.teams_of(current_site(), who)
    return render_template(
        "volunteer/me.html",
        mine=claims.contributions_of(current_site(), who),
        teams=joined,
        made=[team for team in made if team not in joined],
        certificates=certificates.of(current_site(), who) if who else [],
    )


@blueprint.post("/me/disconnect")
def disconnect() -> ResponseReturnValue:
    """Delete the address; the work stays on this device."""
    claims.disconnect(current_site(), contributor())
    flash(_("Your address is deleted. Your work is still known on your devices."), "ok")
    return redirect(url_for("me.mine"), 303)


@blueprint.post("/me/forget")
def forget() -> ResponseReturnValue:
    """Cut the answers loose from this volunteer, for good."""
    if http.form.get("sure") != "1":
        flash(_("Please tick the box first: this cannot be undone."), "warn")
        return redirect(url_for("me.mine"), 303)
    claims.forget(current_site(), contributor())
    become(None)
    flash(_("Done. Your answers go on helping, and nothing here says any more that they were yours."), "ok")
    return redirect(url_for("me.mine"), 303)
