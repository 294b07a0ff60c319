"""The project's texts in other languages, one beside the other."""

from __future__ import annotations

from flask import flash, redirect, render_template, url_for
from flask import request as http
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from microtasks.core.errors import NotFound
from microtasks.engine.projects import translations as project_translations
from microtasks.web import texts
from microtasks.web.owner.frame import blueprint, mine
from microtasks.web.request import current_site, owner_required


@blueprint.get("/projects/<slug>/translations")
@owner_required
def translations(slug: str) -> ResponseReturnValue:
    """Each text beside its translation into one language (`?language=`), and how far each language is."""
    project = mine(slug, "collaborator")
    stored = project_translations.read(current_site(), project)
    others = [code for code in texts.LANGUAGES if code != project_translations.base(project.language)]
    language = http.args.get("language", others[0])
    if language not in others:
        raise NotFound(_("The site does not speak this language."))
    return render_template(
        "owner/translations.html",
        project=project,
        language_now=language,
        others=others,
        lines={code: project_translations.lines(project, stored.get(code, {})) for code in others},
    )


@blueprint.post("/projects/<slug>/translations")
@owner_required
def save_translations(slug: str) -> ResponseReturnValue:
    """Keep what is written for one language; volunteers see it once every text is there."""
    project = mine(slug, "collaborator")
    language = http.form.get("language", "")
    if language not in texts.LANGUAGES:
        raise NotFound(_("The site does not speak this language."))
    given = {name.removeprefix("text:"): text for name, text in http.form.items() if name.startswith("text:")}
    project_translations.save(current_site(), project, language, given)
    flash(_("Saved."), "ok")
    return redirect(url_for("owner.translations", slug=slug, language=language), 303)
