"""Consensus on the command line: of a plain file without any server, and of a project anew."""

from __future__ import annotations

import csv
import json
import sys
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from microtasks.cli import Command, Failure, main, open_cli_site

if TYPE_CHECKING:
    from microtasks.core.parsing.plainfile import Rows
    from microtasks.core.parsing.rows import Choices
    from microtasks.core.values import Consensus, Method

METHODS = click.Choice(["majority", "model", "committee"])
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


class _Consensus(Command):
    """The command, whose help lists the columns that each task type reads."""

    def format_help_text(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        from microtasks import tasktypes

        super().format_help_text(context, formatter)
        readers = [tasktypes.module(name, "plainfile") for name in tasktypes.all_types()]
        with formatter.section("ANSWERS.csv has a row an answer (worker may be called contributor)"):
            formatter.write_dl([pair for reader in readers if reader for pair in reader.COLUMNS])


@main.command("consensus", cls=_Consensus)
@click.option("--type", "type_name", required=True, metavar="T", help="The task type.")
@click.option("--config", type=FILE, metavar="FILE.json", help="The type's settings, as for a project.")
@click.option(
    "--method",
    type=METHODS,
    default="majority",
    show_default=True,
    help="majority: every answer weighs the same. model: volunteers weigh by their track record. "
    "committee: three models together, for choices; slower, and no better on most crowds.",
)
@click.option("--views", type=FILE, metavar="VIEWS.csv", help="Marking: task,worker: who saw which image.")
@click.option(
    "--gold",
    type=FILE,
    metavar="GOLD.csv",
    help="Known right answers (task,label): the model learns from them. Marking: right marks (task,x,y,r); "
    "from 20 on, the 95 % regions become as wide as they need.",
)
@click.option("--possible", is_flag=True, help="Marking: list also what only few saw (status: possible).")
@click.option(
    "--encoding", metavar="NAME", default="", help="Of ANSWERS, as Python names it: cp1251. Otherwise found."
)
@click.option("--out", default="-", metavar="FILE", help="Where the result goes; - is standard output.")
@click.argument("answers", type=FILE, metavar="ANSWERS.csv")
def consensus(
    type_name: str,
    config: Path | None,
    method: str,
    views: Path | None,
    gold: Path | None,
    possible: bool,
    encoding: str,
    out: str,
    answers: Path,
) -> None:
    """What the answers in a file add up to. No server is needed; the order of the rows does not matter.

    With --config the file may also have a column a field, as in the answers export.
    Commas, semicolons or tabs part its columns; it may be compressed (.gz).
    """
    from microtasks import tasktypes
    from microtasks.core.parsing import jsonstrict
    from microtasks.core.parsing.plainfile import Options
    from microtasks.core.parsing.rows import Choices

    task_type = tasktypes.get(type_name)
    reader = tasktypes.module(type_name, "plainfile")
    if reader is None:
        raise Failure(f"Tasks of type {type_name} cannot be read from a plain file.")
    choices = Choices(encoding).checked()
    settings = jsonstrict.loads(config.read_bytes()) if config else None
    with ExitStack() as files:
        rows = _rows(answers, files, choices)
        seen = _rows(views, files) if views else None
        gold_rows = _rows(gold, files) if gold else None
        plain = reader.read(task_type, settings, rows, Options(seen, possible))
        right = plain.read_gold(gold_rows) if gold_rows else None
    for notice in chain.from_iterable(each.notices for each in (rows, seen, gold_rows) if each):
        click.echo(notice, err=True)
    if gold_rows:
        click.echo(f"{plain.n_gold_fitted} of {plain.n_gold_rows} gold rows fitted the answers.", err=True)
    reduced = task_type.reduce_project(plain, plain.config, cast("Method", method), gold=right)
    with ExitStack() as files:
        target = (
            sys.stdout if out == "-" else files.enter_context(open(out, "w", newline="", encoding="utf-8"))
        )
        writer = csv.writer(target, lineterminator="\n")
        writer.writerow(plain.header(method))
        decided_by: dict[str, str] = {}
        n_tasks = n_differ = 0
        for task, result in reduced:
            n_tasks += 1
            n_differ += _differs(result)
            decided_by |= result.detail.get("decided_by", {})
            writer.writerows([_cell(value) for value in row] for row in plain.rows_of(task, result, method))
    if method != "majority":
        click.echo(_changed(method, n_differ, n_tasks), err=True)
    by_vote = [name for name, word in decided_by.items() if word == "vote"]
    if by_vote and method != "majority":
        click.echo(
            f"The vote decides ({', '.join(by_vote)}): too few tasks, or too few answers of each volunteer, "
            "to learn who is right.",
            err=True,
        )
    if plain.n_contradictions:
        click.echo(
            f"{plain.n_contradictions} times a worker answered the same task twice and differently: "
            "these count as “can't tell”.",
            err=True,
        )


@main.command("aggregate")
@click.option("--method", type=METHODS, help="Only this time; by default the project's own.")
@click.argument("slug")
def aggregate(slug: str, method: str | None) -> None:
    """Make the consensus of a whole project anew."""
    from microtasks.engine.results import aggregate as engine
    from microtasks.store.projects import projects

    with open_cli_site() as site:
        with site.db.session() as session:
            project = projects.by_slug(session, slug)
        done = engine.aggregate(site, project.id, cast("Method | None", method))
    click.echo(f"{done.n_tasks - done.n_left} tasks, method {method or project.method}.", err=True)
    if done.n_sources:
        click.echo(f"{done.n_sources} tiled images merged.", err=True)


def _differs(result: Consensus) -> bool:
    """Does a field or a tag of this task have another value by the model than by the vote?"""
    parts = [*result.detail.get("fields", {}).values(), *result.detail.get("tags", {}).values()]
    return any(part.get("differs") for part in parts)


def _changed(method: str, n_differ: int, n_tasks: int) -> str:
    if not n_differ:
        return f"Method {method} changes nothing here: every result is what the plain vote says."
    return f"Method {method} differs from the plain vote in {n_differ} of {n_tasks} tasks."


def _rows(path: Path, files: ExitStack, choices: Choices | None = None) -> Rows:
    """The rows of a file; closed with `files`."""
    from microtasks.core.errors import FileInvalid
    from microtasks.core.parsing.plainfile import Rows
    from microtasks.core.parsing.rows import Choices, TableFile

    try:
        table = TableFile.survey_of(path.name, lambda: path.open("rb"), choices or Choices())
        files.callback(table.close)
        grid = table.grid()
    except FileInvalid as error:
        raise FileInvalid(f"{path.name}: {error.message}") from None
    rows = Rows(grid, path.name)
    if table.survey and table.survey.notice:
        rows.notices.insert(0, f"{path.name}: {table.survey.notice}")
    return rows


def _cell(value: Any) -> Any:
    """Numbers in their shortest form, so that the same result has the same bytes; truth as true, false."""
    if isinstance(value, (dict, list, tuple)):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return "" if value is None else value
