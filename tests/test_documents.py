"""Documents keep their word: what they point to exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "sample_images/README.md"]
#: A path in backticks is checked when it begins with one of these. With a `*`, one match is enough.
FOLDERS = ("microtasks/", "workers/", "tests/", "benchmarks/", "docs/", "sample_images/", "typings/")


def name_of(document: Path) -> str:
    return document.relative_to(ROOT).as_posix()


def anchors(document: Path) -> set[str]:
    """The anchors of its headings, as forges make them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_links_inside_the_repository_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if "://" in target or target.startswith("mailto:"):
            continue
        path, _, anchor = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        assert file.exists(), f"{name_of(document)} points to {target}"
        assert not anchor or file.suffix != ".md" or anchor in anchors(file), f"{name_of(document)}: {target}"


@pytest.mark.parametrize("document", [it for it in DOCUMENTS if it.name != "CHANGELOG.md"], ids=name_of)
def test_paths_that_documents_name_exist(document: Path) -> None:
    for quoted in re.findall(r"`([\w./{},*-]+)`", document.read_text()):
        is_script = quoted.startswith("microtasks/") and quoted.endswith(
            ".js"
        )  # as scripts import one another
        if quoted.startswith(FOLDERS) and not is_script and not re.search(r"[<{]", quoted):
            assert any(ROOT.glob(quoted.rstrip("/"))), f"{name_of(document)} names {quoted}"


def test_make_targets_that_documents_name_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for document in DOCUMENTS:
        for target in re.findall(r"`make ([a-z]+)", document.read_text()):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{name_of(document)}: make {target}"


def test_every_decision_is_listed_with_its_title() -> None:
    index = (ROOT / "docs/decisions/README.md").read_text()
    records = sorted((ROOT / "docs/decisions").glob("0*.md"))
    assert [int(record.name[:4]) for record in records] == list(range(1, len(records) + 1))
    for record in records:
        number, title = re.findall(r"^# (\d+)\. (.+)$", record.read_text(), re.MULTILINE)[0]
        assert f"{number}. [{title}]({record.name})" in index


def test_documents_speak_of_no_machine_of_ours() -> None:
    """Documents and code are for strangers: no path of a maintainer's disk."""
    endings = {".md", ".py", ".toml", ".lock", ".json", ".sql", ".html", ".js", ".css"}
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")] + list(ROOT.iterdir())
    for path in files:
        if path.suffix in endings:
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"[\s\"'`](/work|/home|/Users)/[a-z]", text), name_of(path)
