"""Certificates: ask for one, show it, download it, delete it."""

from __future__ import annotations

from flask import Response, flash, redirect, render_template, url_for
from flask import request as http
from flask.typing import ResponseReturnValue
from flask_babel import force_locale, format_date, format_decimal, get_locale, ngettext
from flask_babel import gettext as _

from microtasks.core.errors import Conflict, InputError, NotFound, TooMany
from microtasks.engine.volunteers import certificates, claims
from microtasks.engine.volunteers.certificates import Certificate, Sheet
from microtasks.web import texts
from microtasks.web.errors import status_of
from microtasks.web.request import contributor, current_site, known_person
from microtasks.web.requests.addresses import absolute
from microtasks.web.sentences import translated
from microtasks.web.volunteers.me.frame import blueprint, duration

#: Projects on a certificate, one a line; the rest in one line.
ROWS_MAX = 12


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
        address=absolute(url_for("me.certificate", certificate_id=certificate.id)),
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
            body=certificate_sentence(it),
            heads=(_("Project"), _("Answers"), _("Time")),
            rows=rows,
            notes=[
                _("The name is as the volunteer gave it; identity was not checked.")
                + " "
                + _("Issued on %(day)s.", day=format_date(it.created_at, "long")),
                counted_how(),
            ],
            link_text=_("Whoever has this address can check the certificate:"),
            link=absolute(url_for("me.certificate", certificate_id=it.id)),
            made_at=it.created_at,
        )


def certificate_sentence(it: Certificate) -> str:
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
blueprint.add_app_template_global(certificate_sentence, "certificate_said")
