"""`python -m microtasks.web.translations`: gather the texts into the catalogues, and name what lacks."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import write_po

from microtasks import tasktypes
from microtasks.web.texts import DEFAULT, LANGUAGES, catalogue_path, read_catalogue


def gather() -> Catalog:
    """Every text of the package that is marked for translation."""
    package = Path(__file__).parent.parent.parent
    # A fixed date: running it again without new texts must change nothing.
    texts = Catalog(project="microtasks", charset="utf-8", creation_date=datetime(2026, 11, 1, tzinfo=UTC))
    extracted = extract_from_dir(
        str(package),
        [("web/**.py", "python"), ("**.html", "jinja2")],
        {"**.html": {"trimmed": "true", "silent": "false"}},
        keywords={"_": None, "gettext": None, "ngettext": (1, 2), "N_": None},
    )
    for path, _line, message, comments, context in extracted:
        texts.add(message, locations=[(path, 0)], auto_comments=comments, context=context)
    for task_type in tasktypes.all_types().values():
        texts.add(task_type.label, locations=[(f"tasktypes/{task_type.name}", 0)])
    return texts


def missing(code: str, texts: Catalog) -> list[str]:
    """The texts that a language lacks or has only as a guess."""
    known = read_catalogue(code)
    lacking = []
    for message in texts:
        if message.id:
            entry = known.get(message.id, message.context)
            strings = entry.string if entry and isinstance(entry.string, tuple) else (entry and entry.string,)
            if not entry or entry.fuzzy or not all(strings):
                lacking.append(message.id if isinstance(message.id, str) else message.id[0])
    return lacking


def main() -> int:
    """Bring every catalogue up to date; return how many texts are missing."""
    texts, n_missing = gather(), 0
    for code in LANGUAGES:
        if code == DEFAULT:
            continue
        known = read_catalogue(code)
        known.update(texts, no_fuzzy_matching=True)
        known.obsolete.clear()
        with catalogue_path(code).open("wb") as file:
            write_po(file, known, width=100, sort_output=True, omit_header=False, include_lineno=False)
        lacking = missing(code, texts)
        n_missing += len(lacking)
        for text in lacking:
            print(f"{code}: {text!r}")
    return n_missing


if __name__ == "__main__":
    sys.exit(min(main(), 1))
