"""The site's languages: which one a page speaks, and its texts from `translations/<code>`.

Every text in templates and web code is English, through gettext `_()`. After changing texts, run
`python -m microtasks.web.translations`: it gathers them into the catalogues and names what lacks.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from babel import Locale
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations
from flask import Flask
from flask import request as http
from flask_babel import Babel, Domain, get_locale

FOLDER = Path(__file__).parent / "translations"
DEFAULT = "en"
LANGUAGE_COOKIE = "lang"
#: Code -> the language's name in itself, for the switch.
LANGUAGES = {DEFAULT: "English"} | {
    folder.name: str(Locale.parse(folder.name).get_display_name()).capitalize()
    for folder in sorted(FOLDER.iterdir())
    if (folder / "LC_MESSAGES/messages.po").is_file()
}


class Catalogues(Domain):
    """Reads .po files as they are: what is written is what is shown, with no compile step to forget."""

    def get_translations(self) -> Any:
        code = str(get_locale() or DEFAULT)
        if code not in self.cache:
            self.cache[code] = Translations()
            if code != DEFAULT:
                compiled = io.BytesIO()
                write_mo(compiled, read_catalogue(code))
                compiled.seek(0)
                self.cache[code] = Translations(compiled)
        return self.cache[code]


def init_app(app: Flask) -> None:
    babel = Babel(app, locale_selector=choose, default_locale=DEFAULT)
    babel.domain_instance = Catalogues()
    app.jinja_env.globals.update(
        languages=LANGUAGES, language=lambda: str(get_locale()), direction=lambda: get_locale().text_direction
    )


def choose() -> str:
    """The language asked for on this browser, or else the best of those it prefers."""
    chosen = http.cookies.get(LANGUAGE_COOKIE, "")
    return chosen if chosen in LANGUAGES else http.accept_languages.best_match(LANGUAGES, DEFAULT) or DEFAULT


def catalogue_path(code: str) -> Path:
    return FOLDER / code / "LC_MESSAGES" / "messages.po"


def read_catalogue(code: str) -> Catalog:
    with catalogue_path(code).open("rb") as file:
        return read_po(file, locale=code)
