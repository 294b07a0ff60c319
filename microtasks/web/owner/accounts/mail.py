"""Letters that the site sends: for its operators alone."""

from __future__ import annotations

from flask import flash, redirect, render_template, url_for
from flask import request as http
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from microtasks.core.errors import InputError
from microtasks.engine.accounts import mail as engine
from microtasks.store.accounts import mail as outbox
from microtasks.web.owner.frame import PAGE, blueprint, operator_only
from microtasks.web.request import current_site, owner_required


@blueprint.get("/mail")
@owner_required
def mail() -> ResponseReturnValue:
    """The last letters and how sending them went; without a mail server also what they say."""
    operator_only()
    before = http.args.get("before", "")
    if before and not (before.isdecimal() and len(before) < 19):
        raise InputError("The page asked for does not exist.")
    with current_site().db.connection() as connection:
        rows = outbox.page(connection, int(before) if before else None, PAGE + 1)
    return render_template(
        "owner/mail.html",
        rows=rows[:PAGE],
        next_before=rows[PAGE - 1].id if len(rows) > PAGE else None,
        has_server=bool(current_site().settings.smtp_url.get_secret_value()),
        folder=current_site().settings.data / "mail",
        kept_days=engine.KEPT_DAYS,
    )


@blueprint.post("/mail/<int:mail_id>/again")
@owner_required
def send_again(mail_id: int) -> ResponseReturnValue:
    operator_only()
    engine.try_again(current_site(), mail_id)
    flash(_("It is tried again now."), "ok")
    return redirect(url_for("owner.mail"), 303)
