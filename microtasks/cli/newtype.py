"""`microtasks new-task-type`: a folder that is a small working task type, to be changed into another one."""

from __future__ import annotations

import keyword
import re
from pathlib import Path

import click

from microtasks.cli import Failure, main

SKELETON = Path(__file__).with_name("skeleton")
#: The skeleton's own names, for which those of the new type are put.
NAME, CLASS = "keep", "Keep"


@main.command("new-task-type")
@click.option(
    "--into",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Where the folder goes; by default to the other task types, where the site finds it.",
)
@click.argument("name")
def new_task_type(name: str, into: Path | None) -> None:
    """Write a working task type to begin with: a folder NAME, such as `bird_count`.

    It asks yes or no of each task. docs/adding-a-task-type.md says what each file is and may be.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name) or keyword.iskeyword(name) or name == "id":
        raise Failure(f"{name!r} cannot be a name: small letters, digits and underscores, as in bird_count.")
    from microtasks import tasktypes

    if name in tasktypes.all_types():
        raise Failure(f"There is a task type called {name} already.")
    folder = (into or Path(tasktypes.__path__[0])) / name
    try:
        folder.mkdir()
    except FileExistsError:
        raise Failure(f"{folder} is there already; nothing was written.") from None
    for file, text in files(name).items():
        (folder / file).write_text(text, encoding="utf-8")
    click.echo(folder)
    click.echo(
        f"{name} is a working task type that asks yes or no. Change it file by file, run"
        " `pytest tests/contract tests/browser/test_every_task_type.py`, and restart the site.",
        err=True,
    )


def files(name: str) -> dict[str, str]:
    """The new type's files by name. A field, an input and a class bear the type's own name."""
    title = name.replace("_", " ").capitalize()
    names = {NAME: name, CLASS: "".join(part.capitalize() for part in name.split("_"))}
    texts = {}
    for path in sorted(SKELETON.glob("*.txt")):
        text = path.read_text(encoding="utf-8").replace(f'label = "{CLASS}"', f'label = "{title}"')
        text = re.sub(rf"\b({NAME}|{CLASS})(?=\b|_|Config|Value)", lambda match: names[match[0]], text)
        texts[path.name.removesuffix(".txt")] = text
    return texts
