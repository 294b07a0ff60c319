"""A project in other languages: which texts it has, and the project as somebody of another language reads it.

A text is named by its path: `name`, `config/fields/answer/choices/yes/label`. Ids are never translated, so
answers and results are the same in every language. Volunteers see a language once each text has its
translation: a page half in one language and half in another helps nobody. A translation of a text that the
owner has changed since is shown to the owner as to be looked at, and counts as missing.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from microtasks.core.errors import InputError
from microtasks.engine.projects.projects import Text
from microtasks.engine.site import Site
from microtasks.store.db import raw
from microtasks.store.projects import translations
from microtasks.store.projects.translations import Translated
from microtasks.store.tables import Project

#: Texts of the project itself, and the keys of words in its config and its tutorial.
OWN = ("name", "purpose", "instructions", "thanks")
WORDS = {
    "config": ("label", "help", "min_label", "max_label", "unit"),
    "tutorial": ("text", "right", "wrong"),
}
LONGEST = 20_000
#: From this length on a text is written into a box of several lines.
LONG = 80

_TEXT: TypeAdapter[str] = TypeAdapter(Text)

Texts = Mapping[str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Line:
    """One text to translate. text: what there is of it; is_stale: the original has changed since."""

    path: str
    original: str
    text: str = ""
    is_stale: bool = False

    @property
    def is_long(self) -> bool:
        return len(self.original) > LONG or "\n" in self.original


def originals(project: Project) -> dict[str, str]:
    """The owner's own texts by path, without empty ones."""
    texts = {name: str(getattr(project, name)) for name in OWN}
    for part, words in WORDS.items():
        texts |= {path: node[key] for path, node, key in _walk(getattr(project, part) or {}, part, words)}
    return {path: text for path, text in texts.items() if text.strip()}


def lines(project: Project, texts: Texts) -> list[Line]:
    """What there is to translate, with what was translated before."""
    return [
        Line(path, original, *_known(texts.get(path), original))
        for path, original in originals(project).items()
    ]


def is_whole(project: Project, texts: Texts) -> bool:
    """Has every text its translation?"""
    return all(line.text and not line.is_stale for line in lines(project, texts))


def languages(project: Project, translated: Translated) -> tuple[str, ...]:
    """The languages that the project is wholly translated into."""
    return tuple(sorted(code for code, texts in translated.items() if is_whole(project, texts)))


def read(site: Site, project: Project) -> Translated:
    """All that is translated of one project."""
    with site.db.connection() as connection:
        return translations.of(connection, [project.id]).get(project.id, {})


def save(site: Site, project: Project, language: str, given: Mapping[str, str]) -> None:
    """Keep the translations into one language: text by path; empty ones are taken out.

    Errors: InputError for a language that is the project's own, and for a text that is too long.
    """
    if language == base(project.language):
        raise InputError("This is the language of the project's own texts.")
    kept: dict[str, tuple[str, str]] = {}
    for path, original in originals(project).items():
        text = _clean(given.get(path, ""))
        if len(text) > LONGEST:
            raise InputError(f"A text has at most {LONGEST} characters.")
        if text:
            kept[path] = (original, text)
    with site.db.session() as session:
        translations.replace(raw(session), project.id, language, kept)
        session.commit()


def in_language(project: Project, language: str, texts: Texts) -> Project:
    """The project as it is read in that language: a copy that belongs to no session; ids are as they were."""
    values = {name: copy.deepcopy(value) for name, value in project.model_dump().items()}
    for name in OWN:
        values[name] = _said(name, values[name], texts)
    for part in WORDS:
        values[part] = localized(values[part] or {}, part, texts)
    return Project(**values | {"language": language})


def localized(node: Mapping[str, Any], part: str, texts: Texts) -> dict[str, Any]:
    """A config (part "config") or a tutorial with its words translated; those of no translation stay."""
    made = copy.deepcopy(dict(node))
    for path, holder, key in list(_walk(made, part, WORDS[part])):
        holder[key] = _said(path, holder[key], texts)
    return made


def base(language: str) -> str:
    """pt of pt-BR."""
    return language.split("-")[0].lower()


def _walk(
    node: dict[str, Any], path: str, words: tuple[str, ...]
) -> Iterator[tuple[str, dict[str, Any], str]]:
    """(path, holder, key) of each word; the rows of a list are named by their id, or else by their number."""
    for key, value in node.items():
        here = f"{path}/{key}"
        if isinstance(value, str):
            if key in words and value:
                yield here, node, key
        elif isinstance(value, list):
            for n, item in enumerate(value):
                if isinstance(item, dict):
                    yield from _walk(item, f"{here}/{item.get('id', n)}", words)
        elif isinstance(value, dict):
            yield from _walk(value, here, words)


def _known(translated: tuple[str, str] | None, original: str) -> tuple[str, bool]:
    return (translated[1], translated[0] != original) if translated else ("", False)


def _said(path: str, original: str, texts: Texts) -> str:
    before, text = texts.get(path, ("", ""))
    return text if text and before == original else original


def _clean(text: str) -> str:
    return str(_TEXT.validate_python(text))
