"""API tokens of who is signed in: made and shown once, listed, revoked."""

from __future__ import annotations

import re

from flask import flash, redirect, render_template, url_for
from flask import request as http
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from microtasks.core.errors import Conflict, InputError, NotFound
from microtasks.engine.accounts import tokens as engine
from microtasks.store.projects import projects
from microtasks.web.errors import status_of
from microtasks.web.owner.frame import blueprint, owner
from microtasks.web.request import current_site, owner_required


@blueprint.get("/tokens")
@owner_required
def tokens() -> ResponseReturnValue:
    """My tokens."""
    return _page()


@blueprint.post("/tokens")
@owner_required
def make_token() -> ResponseReturnValue:
    """Make a token; it is on this page, this once."""
    who, form = owner(), http.form
    days = form.get("days", "").strip() or str(engine.DAYS)
    try:
        made = engine.make(
            current_site(),
            who.id,
            name=form.get("name", ""),
            scope=form.get("scope", ""),
            slug=form.get("project", ""),
            days=int(days) if re.fullmatch("[0-9]{1,4}", days, re.ASCII) else 0,
            is_operator=who.is_operator,
        )
    except (InputError, Conflict, NotFound) as error:
        return _page(wrong=error.message), status_of(error)
    return _page(made=made)


@blueprint.post("/tokens/<int:token_id>")
@owner_required
def revoke_token(token_id: int) -> ResponseReturnValue:
    engine.revoke(current_site(), owner().id, token_id)
    flash(_("The token does not work any more."), "ok")
    return redirect(url_for("owner.tokens"), 303)


def _page(*, made: str = "", wrong: str = "") -> str:
    who, site = owner(), current_site()
    with site.db.session() as session:
        mine = projects.list_for_account(session, who.id, who.is_operator)
    return render_template(
        "owner/tokens.html",
        tokens=engine.listed(site, who.id),
        projects=mine,
        made=made,
        wrong=wrong,
        days=engine.DAYS,
        days_max=engine.DAYS_MAX,
        given=http.form,
    )
