"""`quality`: how people agree in a project, what stopping early measured, and its volunteers."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from microtasks.cli import Failure, main, open_cli_site

if TYPE_CHECKING:
    from microtasks.engine.results.replay import Setting


@main.command("quality")
@click.argument("slug")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option("--leave-out", multiple=True, metavar="NAME", help="A volunteer to exclude from the consensus.")
@click.option("--take-in", multiple=True, metavar="NAME", help="A volunteer to include again.")
@click.option(
    "--what-if",
    multiple=True,
    metavar="N[:SURE]",
    help="What N answers a task, or at most N and until SURE (as 0.9), would have needed and changed.",
)
def quality(
    slug: str, as_json: bool, leave_out: tuple[str, ...], take_in: tuple[str, ...], what_if: tuple[str, ...]
) -> None:
    """Review all answers of project SLUG: agreement, reliability, volunteers.

    Volunteers go by their pseudonyms, as in exports. Those whose way of answering cannot be real work (always
    the same, too fast, far too many marks) are excluded from the consensus from now on; their answers stay,
    and --take-in overrules the exclusion.
    """
    from microtasks.engine.results import replay, review
    from microtasks.store.projects import projects

    settings = [_setting(text) for text in what_if]
    with open_cli_site() as site:
        with site.db.session() as session:
            project = projects.by_slug(session, slug)
        assert project.id is not None  # noqa: S101  (stored)
        review.review(site, project.id)
        for names, is_excluded in ((leave_out, True), (take_in, False)):
            for name in names:
                review.set_excluded(site, project.id, name, is_excluded=is_excluded)
        if leave_out or take_in:
            review.review(site, project.id)
        overview = review.overview(site, project.id, limit=1_000_000)
        options = (
            [asdict(each) | {"saved": each.saved} for each in replay.replay(site, project.id, settings)]
            if settings
            else []
        )
    facts: dict[str, Any] = {
        "alpha": overview.agreement,
        "agreement": overview.quality.agreement if overview.quality else {},
        "for_reviewers": overview.n_disputed,
        "what_if": options or (overview.quality.replay.get("settings", []) if overview.quality else []),
        "stopping": {**overview.stops._asdict(), "flip_rate": overview.flip_rate},
        "volunteers": [
            {"name": name, **{k: v for k, v in one._asdict().items() if k != "contributor"}}
            for name, one in overview.records
        ],
    }
    if as_json:
        click.echo(json.dumps(facts, ensure_ascii=False, indent=2))
        return
    _print(facts)


def _setting(text: str) -> Setting:
    """`5` or `10:0.9`."""
    from microtasks.engine.results.replay import Setting

    n, colon, level = text.partition(":")
    try:
        setting = Setting(int(n), float(level) if colon else None)
    except ValueError:
        raise Failure(f"{text!r} is no setting: give a number of answers, or as 10:0.9.") from None
    if setting.redundancy < 1 or not 0.5 <= (1.0 if setting.sure is None else setting.sure) <= 1:
        raise Failure(f"{text!r}: at least one answer, and a level from 0.5 to 1.")
    return setting


def _print(facts: dict[str, Any]) -> None:
    def show(title: str, rows: list[dict[str, Any]]) -> None:
        lines = [[name.replace("_", " ") for name in rows[0]]] + [[*map(_cell, row.values())] for row in rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        click.echo(title)
        for line in lines:
            cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
            click.echo(("  " + "  ".join(cells)).rstrip())

    click.echo(f"Agreement in the project (alpha): {_cell(facts['alpha'])}")
    click.echo(f"Tasks that wait for a reviewer: {facts['for_reviewers']}")
    if facts["agreement"]:
        show("Agreement", [{"what": name, **statistics} for name, statistics in facts["agreement"].items()])
    if any(facts["stopping"].values()):
        show("Stopping when sure", [facts["stopping"]])
    if facts["what_if"]:
        show("With another setting", facts["what_if"])
    if facts["volunteers"]:
        show("Volunteers", facts["volunteers"])


def _cell(value: Any) -> str:
    match value:
        case None:
            return "–"
        case bool():
            return "yes" if value else ""
        case float():
            return f"{value:.3g}"
        case list():
            return ", ".join(map(str, value))
    return str(value)
