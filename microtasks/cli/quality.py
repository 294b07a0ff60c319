"""`quality`: how people agree in a project, what stopping early measured, and its volunteers."""

from __future__ import annotations

import json
from typing import Any

import click

from microtasks.cli import main, open_cli_site


@main.command("quality")
@click.argument("slug")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.option(
    "--leave-out", multiple=True, metavar="NAME", help="A volunteer whose answers shall weigh nothing."
)
@click.option("--take-in", multiple=True, metavar="NAME", help="A volunteer whose answers shall weigh again.")
def quality(slug: str, as_json: bool, leave_out: tuple[str, ...], take_in: tuple[str, ...]) -> None:
    """Look through all answers of project SLUG: agreement, reliability, volunteers.

    Volunteers go by their pseudonyms, as in exports. Whose way of answering cannot be real work (always the
    same, too fast, far too many marks) weighs nothing in the consensus from now on; their answers stay, and
    --take-in is the last word.
    """
    from microtasks.engine import standing
    from microtasks.store import projects

    with open_cli_site() as site:
        with site.db.session() as session:
            found = projects.by_slug(session, slug)
        assert found.id is not None  # noqa: S101  (stored)
        standing.review(site, found.id)
        for names, is_excluded in ((leave_out, True), (take_in, False)):
            for name in names:
                standing.weigh(site, found.id, name, is_excluded=is_excluded)
        if leave_out or take_in:
            standing.review(site, found.id)
        overview = standing.overview(site, found.id, limit=1_000_000)
    facts: dict[str, Any] = {
        "agreement": overview.quality.agreement if overview.quality else {},
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


def _print(facts: dict[str, Any]) -> None:
    def show(title: str, rows: list[dict[str, Any]]) -> None:
        lines = [[name.replace("_", " ") for name in rows[0]]] + [[*map(_cell, row.values())] for row in rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        click.echo(title)
        for line in lines:
            cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
            click.echo(("  " + "  ".join(cells)).rstrip())

    if facts["agreement"]:
        show("Agreement", [{"what": name, **found} for name, found in facts["agreement"].items()])
    if any(facts["stopping"].values()):
        show("Stopping when sure", [facts["stopping"]])
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
