"""What a volunteer does besides tasks: rate, keep their work, a certificate, teams, being forgotten.

All opt-in, all plain forms. A GET changes nothing: programs that look at mail open every link in it.
"""

from __future__ import annotations

from flask import Blueprint, Response, flash, redirect, render_template, url_for
from flask import request as http
from flask.typing import ResponseReturnValue
from flask_babel import force_locale, format_date, format_decimal, get_locale, ngettext
from flask_babel import gettext as _

from microtasks.core.errors import Conflict, Forbidden, InputError, NotFound, TooMany
from microtasks.engine.volunteers import certificates, claims, teams
from microtasks.engine.volunteers.certificates import Certificate, Sheet
from microtasks.store.tables import Project
from microtasks.web import letters, texts
from microtasks.web.errors import status_of
from microtasks.web.request import account, become, contributor, current_site, known_person
from microtasks.web.sentences import translated

blueprint = Blueprint("me", __name__)

#: Projects on a certificate, one a line; the rest in one line.
ROWS_MAX = 12


@blueprint.app_template_global()
def duration(seconds: float) -> str:
    """An honest length of time: minutes below an hour and a half, then hours."""
    if seconds < 30:
        return _("less than a minute") if seconds else ngettext("%(num)s minute", "%(num)s minutes", 0)
    if seconds < 5400:
        return ngettext("%(num)s minute", "%(num)s minutes", round(seconds / 60))
    n = format_decimal(round(seconds / 3600, 1))
    return _("%(n)s hours", n=n)


@blueprint.app_template_global()
def isolated(text: str) -> str:
    """A text inside a sentence of another direction: neither takes the other's full stop (FSI, PDI)."""
    return f"\u2068{text}\u2069"


@blueprint.after_request
def private(response: Response) -> Response:
    """Keep own pages out of caches and search engines."""
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers["X-Robots-Tag"] = "noindex"
    return response


# -- in one tap ---------------------------------------------------------------------------------------


@blueprint.post("/p/<slug>/rate")
def rate(slug: str) -> ResponseReturnValue:
    """How it was to help here; may be changed."""
    score = http.form.get("score", "")
    teams.rate(current_site(), slug, contributor(), int(score) if score in ("1", "2", "3") else 0)
    flash(_("Thank you for telling us."), "ok")
    return redirect(url_for("volunteer.thank", slug=slug), 303)


# -- keep my work -------------------------------------------------------------------------------------


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


@blueprint.get("/keep")
def keep() -> ResponseReturnValue:
    return _keep_page()


@blueprint.post("/keep")
def ask() -> ResponseReturnValue:
    """Send the link. The page is the same whether or not the address is known."""
    try:
        email = claims.request_link(
            current_site(), contributor(), http.form.get("email", ""), _letter, address=http.remote_addr or ""
        )
    except (InputError, TooMany) as error:
        return _keep_page(wrong=translated(error.message), email=http.form.get("email", "")), status_of(error)
    return _keep_page(sent_to=email)


@blueprint.post("/keep/code")
def keep_by_code() -> ResponseReturnValue:
    """The letter's code, typed on the device that asked for it."""
    try:
        kept = claims.keep_by_code(
            current_site(), http.form.get("code", ""), contributor(), address=http.remote_addr or ""
        )
    except Forbidden:
        wrong = _("This code is not right, or too old. Look at the last message, or ask for a new one.")
        return _keep_page(sent_to=http.form.get("email", ""), wrong_code=wrong), 403
    return _kept(kept)


@blueprint.get("/keep/<token>")
def link(token: str) -> ResponseReturnValue:
    """Ask before the link is spent."""
    link = claims.preview_link(current_site(), token, known_person())
    return render_template("volunteer/keep_link.html", link=link, token=token), 200 if link else 403


@blueprint.post("/keep/<token>")
def keep_by_link(token: str) -> ResponseReturnValue:
    try:
        kept = claims.keep_by_link(current_site(), token, contributor(), address=http.remote_addr or "")
    except Forbidden:
        return render_template("volunteer/keep_link.html", link=None, token=token), 403
    return _kept(kept)


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


def _keep_page(sent_to: str = "", wrong: str = "", wrong_code: str = "", email: str = "") -> str:
    who = known_person()
    return render_template(
        "volunteer/keep.html",
        emails=claims.contributions_of(current_site(), who).emails,
        sent_to=sent_to,
        wrong=wrong,
        wrong_code=wrong_code,
        email=email,
        hours=claims.LINK_HOURS,
    )


def _kept(kept: claims.KeptIdentity) -> ResponseReturnValue:
    become(kept.person)
    if kept.is_joined:
        flash(_("This device now belongs to your work. What you gave on each of them counts together."), "ok")
    else:
        flash(_("Your work is kept. To go on with it on another device, ask for a link there."), "ok")
    return redirect(url_for("me.mine"), 303)


def _letter(token: str, code: str) -> tuple[str, str]:
    """The letter with the link, in the reader's language."""
    text = _(
        "Hello,\n\n"
        "someone, probably you, asked to keep their volunteer work under this address.\n\n"
        "Open this link on the device whose work you want to keep, and press the button there:\n"
        "%(link)s\n\n"
        "Or type this code on the device on which you asked: %(code)s\n\n"
        "Both work once, for %(hours)s hours. If it was not you, do nothing: nothing happens then, "
        "and the address is deleted within a week.\n",
        link=letters.absolute(url_for("me.link", token=token)),
        code=code,
        hours=claims.LINK_HOURS,
    )
    return _("Keep your volunteer work"), text


# -- certificates -------------------------------------------------------------------------------------


@blueprint.get("/certificate")
def new_certificate() -> ResponseReturnValue:
    return _certificate_form()


@blueprint.post("/certificate")
def issue() -> ResponseReturnValue:
    name = http.form.get("name", "")
    try:
        made = certificates.issue(current_site(), contributor(), name, str(get_locale()))
    except (InputError, Conflict, TooMany) as error:
        return _certificate_form(translated(error.message), name), status_of(error)
    return redirect(url_for("me.certificate", certificate_id=made), 303)


@blueprint.get("/certificate/<certificate_id>")
def certificate(certificate_id: str) -> ResponseReturnValue:
    """The facts of a certificate, for whoever has its link."""
    certificate = certificates.get(current_site(), certificate_id)
    who = known_person()
    is_mine = who is not None and certificate.id in {one.id for one in certificates.of(current_site(), who)}
    return render_template(
        "volunteer/certificate.html",
        it=certificate,
        is_mine=is_mine,
        address=letters.absolute(url_for("me.certificate", certificate_id=certificate.id)),
        has_pdf=certificates.is_printable(_sheet(certificate)),
    )


@blueprint.get("/certificate/<certificate_id>.pdf")
def certificate_file(certificate_id: str) -> ResponseReturnValue:
    sheet = _sheet(certificates.get(current_site(), certificate_id))
    if not certificates.is_printable(sheet):
        raise NotFound(_("The certificate’s font lacks letters of this name. Print the page instead."))
    response = Response(certificates.pdf(sheet), content_type="application/pdf")
    response.headers["Content-Disposition"] = 'attachment; filename="certificate.pdf"'
    return response


@blueprint.post("/certificate/<certificate_id>/delete")
def delete_certificate(certificate_id: str) -> ResponseReturnValue:
    certificates.delete(current_site(), contributor(), certificate_id)
    flash(_("The certificate is deleted. Its link shows nothing any more."), "ok")
    return redirect(url_for("me.mine"), 303)


def _certificate_form(wrong: str = "", name: str = "") -> str:
    contributions = claims.contributions_of(current_site(), known_person())
    return render_template("volunteer/certificate_form.html", mine=contributions, wrong=wrong, name=name)


def counted_how() -> str:
    """How time is counted, in a sentence or two (store/volunteers/contributions.py)."""
    return _(
        "Time: each answer counts with the time spent on it as the volunteer’s device measured it, at most "
        "five minutes; a sitting never counts for more than the time from its first to its last answer and "
        "ten minutes."
    )


def _sheet(it: Certificate) -> Sheet:
    """The certificate in the language that it was asked for in."""
    language = it.language if it.language in texts.LANGUAGES else texts.DEFAULT
    with force_locale(language):
        locale = get_locale()
        rows = [(name, format_decimal(n), duration(seconds)) for name, n, seconds in it.projects]
        if len(rows) > ROWS_MAX:
            rest = it.projects[ROWS_MAX - 1 :]
            more = _("and %(n)s more projects", n=format_decimal(len(rest)))
            sums = format_decimal(sum(n for _p, n, _s in rest)), duration(sum(s for _p, _n, s in rest))
            rows = [*rows[: ROWS_MAX - 1], (more, *sums)]
        return Sheet(
            language=language,
            is_rtl=locale is not None and locale.text_direction == "rtl",
            title=_("Certificate of volunteering"),
            lead=_("This certifies that"),
            name=it.name,
            body=said(it),
            heads=(_("Project"), _("Answers"), _("Time")),
            rows=rows,
            notes=[
                _("The name is as the volunteer gave it; identity was not checked.")
                + " "
                + _("Issued on %(day)s.", day=format_date(it.created_at, "long")),
                counted_how(),
            ],
            link_text=_("Whoever has this address can check the certificate:"),
            link=letters.absolute(url_for("me.certificate", certificate_id=it.id)),
            made_at=it.created_at,
        )


def said(it: Certificate) -> str:
    """What a certificate says of its person, in a sentence that follows the name."""
    answers = ngettext("%(num)s answer", "%(num)s answers", it.n_answers)
    facts = {"answers": answers, "time": duration(it.seconds)}
    if it.first == it.last:
        return _(
            "gave %(answers)s to research as a volunteer, in %(time)s, on %(day)s.",
            day=format_date(it.first, "long"),
            **facts,
        )
    return _(
        "gave %(answers)s to research as a volunteer, in %(time)s, between %(first)s and %(last)s.",
        first=format_date(it.first, "long"),
        last=format_date(it.last, "long"),
        **facts,
    )


blueprint.add_app_template_global(counted_how)
blueprint.add_app_template_global(said, "certificate_said")


# -- teams --------------------------------------------------------------------------------------------


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
    address = letters.absolute(url_for("me.team", code=team.team.code))
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
