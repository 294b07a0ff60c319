"""The people of a project: members and their roles, invitations by link, and the log of who changed what."""

from __future__ import annotations

import re

from flask import Response, flash, redirect, render_template, url_for
from flask import request as http
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from microtasks.core.errors import Conflict, Forbidden, InputError, MicrotasksError, NotFound, TooMany
from microtasks.engine import audit
from microtasks.engine.accounts import accounts
from microtasks.engine.accounts import members as engine
from microtasks.engine.tabular.table import to_json
from microtasks.store.tables import Project
from microtasks.web.errors import status_of
from microtasks.web.owner.accounts import letters
from microtasks.web.owner.frame import PAGE, after, blueprint, mine, owner
from microtasks.web.request import account, current_site, owner_required, set_owner_cookie
from microtasks.web.requests.addresses import absolute

#: What an owner may do with a member, by the name of the button.
STEPS = ("role", "remove", "transfer")
#: Characters of one value of the log that a page shows; the file has all.
CELL = 200


@blueprint.get("/projects/<slug>/people")
@owner_required
def people(slug: str) -> ResponseReturnValue:
    """Who is in the project, and who is invited."""
    return _page(mine(slug, "researcher"))


@blueprint.post("/projects/<slug>/people")
@owner_required
def invite(slug: str) -> ResponseReturnValue:
    """Make an invitation; its link is on this page, this once."""
    project, form = mine(slug, "owner"), http.form
    days = form.get("days", "").strip() or str(engine.DAYS)
    try:
        token = engine.invite(
            current_site(),
            project.id,
            owner().id,
            form.get("role", ""),
            note=form.get("note", ""),
            days=int(days) if re.fullmatch("[0-9]{1,4}", days, re.ASCII) else 0,
        )
    except (InputError, Conflict) as error:
        return _page(project, wrong=error.message), status_of(error)
    return _page(project, link=absolute(url_for("owner.invitation", token=token)))


@blueprint.post("/projects/<slug>/people/invitations/<int:invitation_id>")
@owner_required
def revoke_invitation(slug: str, invitation_id: int) -> ResponseReturnValue:
    engine.revoke(current_site(), mine(slug, "owner").id, invitation_id, owner().id)
    flash(_("The invitation does not work any more."), "ok")
    return redirect(url_for("owner.people", slug=slug), 303)


@blueprint.post("/projects/<slug>/people/<int:account_id>")
@owner_required
def change_member(slug: str, account_id: int) -> ResponseReturnValue:
    """Change a member's role, remove them, or hand the project over to them."""
    project_id, site, by = mine(slug, "owner").id, current_site(), owner().id
    step = http.form.get("step", "")
    if step not in STEPS:
        raise InputError(_("There is no such step."))
    if step == "role":
        engine.change_role(site, project_id, account_id, http.form.get("role", ""), by)
        flash(_("The role is changed."), "ok")
    elif step == "remove":
        engine.remove(site, project_id, account_id, by)
        flash(_("They are no longer in the project."), "ok")
    else:
        engine.transfer(site, project_id, account_id, by)
        flash(_("The project is handed over. You stay in it as a collaborator."), "ok")
    return redirect(url_for("owner.people", slug=slug), 303)


@blueprint.post("/projects/<slug>/leave")
@owner_required
def leave(slug: str) -> ResponseReturnValue:
    """Leave a project that somebody else owns."""
    project, who = mine(slug, "researcher"), owner().id
    if project.account_id == who:
        flash(_("Hand the project over to somebody first: it cannot be without an owner."), "warn")
        return redirect(url_for("owner.people", slug=slug), 303)
    try:
        engine.remove(current_site(), project.id, who, who)
        flash(_("You have left the project."), "ok")
    except NotFound:
        flash(_("You see this project as the site’s operator: there is nothing to leave."), "warn")
    return redirect(url_for("owner.home"), 303)


# -- an invitation, as the invited see it --------------------------------------------------------------


@blueprint.get("/invitation/<token>")
def invitation(token: str) -> ResponseReturnValue:
    """What is offered. It is accepted by a button: mail programs and chats open links to show a preview."""
    return _invitation(token)


@blueprint.post("/invitation/<token>")
def accept_invitation(token: str) -> ResponseReturnValue:
    """Join as who is signed in; who is new gets a letter first, which proves their address."""
    site, who, email = current_site(), account(), http.form.get("email", "")
    try:
        if who is None:
            engine.ask_to_join(site, token, email, letters.join, address=http.remote_addr or "")
            return _invitation(token, typed_email=email)
        project = engine.accept(site, token, who.id)
    except (InputError, Conflict, Forbidden, TooMany) as error:
        return _invitation(token, error)
    flash(_("Welcome to the project."), "ok")
    return redirect(url_for("owner.project", slug=project.slug), 303)


def _invitation(
    token: str, error: MicrotasksError | None = None, *, typed_email: str = ""
) -> ResponseReturnValue:
    settings = current_site().settings
    offer = engine.look(current_site(), token)
    page = render_template(
        "owner/invitation.html",
        token=token,
        found=offer,
        asked=typed_email,
        hours=accounts.PROOF_HOURS,
        has_server=bool(settings.smtp_url.get_secret_value()),
        wrong=error.message if error else "",
        email=http.form.get("email", ""),
    )
    return page, 403 if offer is None else status_of(error) if error else 200


@blueprint.get("/join/<proof>")
def join(proof: str) -> ResponseReturnValue:
    """Set the password of a new account: whoever has this link has its address."""
    return _join_page(proof)


@blueprint.post("/join/<proof>")
def make_account(proof: str) -> ResponseReturnValue:
    site, form = current_site(), http.form
    try:
        if form.get("password", "") != form.get("again", ""):
            raise InputError(_("The two entries are not the same."))
        session, project = engine.join(site, proof, form.get("password", ""), address=http.remote_addr or "")
    except (InputError, Conflict, Forbidden, TooMany) as error:
        return _join_page(proof, error)
    flash(_("Welcome to the project."), "ok")
    response = redirect(url_for("owner.project", slug=project.slug), 303)
    return set_owner_cookie(response, session)  # type: ignore[arg-type]


def _join_page(proof: str, error: MicrotasksError | None = None) -> ResponseReturnValue:
    email, offer = engine.proven(current_site(), proof) or ("", None)
    page = render_template(
        "owner/join.html",
        proof=proof,
        email=email,
        found=offer,
        wrong=error.message if error else "",
        password_min=accounts.PASSWORD_MIN,
    )
    return page, 403 if offer is None else status_of(error) if error else 200


# -- who changed what ---------------------------------------------------------------------------------


@blueprint.get("/projects/<slug>/audit")
@owner_required
def audit_log(slug: str) -> ResponseReturnValue:
    """The log, newest first, a page at a time by key."""
    project, site = mine(slug, "owner"), current_site()
    action, email = _filter()
    rows = audit.page(site, project.id, after() or None, PAGE + 1, action, email)
    page = rows[:PAGE]
    return render_template(
        "owner/audit.html",
        project=project,
        rows=page,
        actions=audit.ACTIONS,
        groups=sorted({name.partition(".")[0] for name in audit.ACTIONS}),
        doers=audit.people(site, project.id),
        wanted={"action": action, "who": email},
        short=_short,
        next_after=page[-1].id if len(rows) > PAGE else None,
    )


@blueprint.get("/projects/<slug>/audit.csv")
@owner_required
def audit_file(slug: str) -> ResponseReturnValue:
    project = mine(slug, "owner")
    chunks = audit.csv(current_site(), project.id, *_filter())
    response = Response(chunks, content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{project.slug}-audit.csv"'
    return response


def _short(value: object) -> str:
    """A value of an entry's detail in one cell."""
    words = value if isinstance(value, str) else to_json(value).decode()
    return words if len(words) <= CELL else words[: CELL - 1] + "…"


def _filter() -> tuple[str, str]:
    return tuple(http.args.get(name, "").replace("\x00", "")[:200] for name in ("action", "who"))  # type: ignore[return-value]


def _page(project: Project, *, link: str = "", wrong: str = "") -> str:
    listed, invitations = engine.listed(current_site(), project)
    return render_template(
        "owner/people.html",
        project=project,
        members=listed,
        invitations=invitations,
        roles=engine.GIVEN,
        days=engine.DAYS,
        days_max=engine.DAYS_MAX,
        link=link,
        wrong=wrong,
    )
