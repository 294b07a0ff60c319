"""Projects on the command line: create, list, show; import of tasks; export of results."""

from __future__ import annotations

import json
import sys
import time
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from microtasks.cli import Failure, main, open_cli_site

if TYPE_CHECKING:
    from collections.abc import Iterable

    from microtasks.engine.site import Site
    from microtasks.engine.tabular.table import File
    from microtasks.store.tables import Batch, Project

#: How long an import may wait for a worker before it is run in this process.
WORKER_SECONDS = 2.0
FAILURES_SHOWN = 20


@main.group()
def project() -> None:
    """Make and look at projects."""


@project.command("create")
@click.option("--type", "task_type", required=True, metavar="T", help="question, tagging, marking, ...")
@click.option("--name", required=True, metavar="N", help="What volunteers read; the slug is made from it.")
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE.json",
    help="The type's settings as a JSON object, as in docs: fields, tags, or shape and classes.",
)
@click.option("--purpose", default="", help="One line on the project's card.")
@click.option(
    "--redundancy", type=click.IntRange(1, 1000), default=5, show_default=True, help="Answers per task."
)
@click.option(
    "--answers-min",
    type=click.IntRange(1, 1000),
    metavar="M",
    help="Stop earlier, from M answers on, once they agree. Without it every task gets all its answers.",
)
@click.option(
    "--stop-rule",
    type=click.Choice(["redundancy", "agreement", "confidence"]),
    help="redundancy: all answers, always (without an option). agreement: see --answers-min. "
    "confidence: stop when sure; 2 answers at least, --redundancy at most.",
)
@click.option("--owner", metavar="EMAIL", help="Whose project it is; by default the operator's.")
@click.option("--publish", is_flag=True, help="Let volunteers in at once, even before there are tasks.")
def create(
    task_type: str,
    name: str,
    config: Path | None,
    purpose: str,
    redundancy: int,
    answers_min: int | None,
    stop_rule: str | None,
    owner: str | None,
    publish: bool,
) -> None:
    """Make a project; prints its slug."""
    from pydantic import ValidationError

    from microtasks.core.errors import ConfigInvalid
    from microtasks.core.parsing import jsonstrict
    from microtasks.core.tasktype import problems
    from microtasks.engine.accounts import accounts
    from microtasks.engine.projects import projects

    settings = jsonstrict.loads(config.read_bytes()) if config else {}
    with open_cli_site() as site:
        try:
            form = projects.ProjectIn(
                name=name,
                purpose=purpose,
                task_type=task_type,
                config=settings,
                redundancy=redundancy,
                answers_min=answers_min or 0,
                stop_rule=cast(Any, stop_rule or ""),
            )
            account_id = accounts.id_of(site, owner) if owner else None
            made = projects.create(site, account_id, form)
        except ValidationError as error:
            raise Failure(_listed("This project cannot be made:", problems(error))) from None
        except ConfigInvalid as error:
            raise Failure(_listed(error.message, error.details.get("problems", []))) from None
        if publish:
            projects.publish(site, made.id, allow_empty=True)
    click.echo(made.slug)


@project.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def list_projects(as_json: bool) -> None:
    """List all projects with state and progress."""
    from microtasks.store.projects import projects

    with open_cli_site() as site, site.db.session() as session:
        all_projects = projects.all_projects(session)
        progress = projects.progress_of(session, [item.id for item in all_projects])
    facts = [_facts(item, progress[item.id]) for item in all_projects]
    if as_json:
        click.echo(json.dumps(facts, ensure_ascii=False, indent=2))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("slug", no_wrap=True)  # to be copied
    for name in ("name", "type", "state"):
        table.add_column(name, overflow="fold")
    for name in ("tasks", "done", "answers", "wanted", "people"):
        table.add_column(name, justify="right")
    for item in facts:
        numbers = (
            item["progress"][key] for key in ("tasks", "retired", "answers", "answers_wanted", "contributors")
        )
        table.add_row(item["slug"], item["name"], item["type"], item["state"], *map(str, numbers))
    is_screen = sys.stdout.isatty()
    Console(width=None if is_screen else 200).print(table)


@project.command("show")
@click.argument("slug")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def show(slug: str, as_json: bool) -> None:
    """Show one project: state, policy, config, progress."""
    from microtasks.store.projects import projects

    with open_cli_site() as site, site.db.session() as session:
        found = projects.by_slug(session, slug)
        facts = _facts(found, projects.progress(session, found.id))
    facts |= {
        name: getattr(found, name)
        for name in (
            "purpose",
            "language",
            "redundancy",
            "answers_min",
            "stop_rule",
            "stop_threshold",
            "method",
        )
    }
    facts["config"] = found.config
    if as_json:
        click.echo(json.dumps(facts, ensure_ascii=False, indent=2))
        return
    for name, value in facts.items():
        click.echo(f"{name:15} {json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else value}")


@project.command("import")
@click.argument("package", type=click.Path(exists=True, path_type=Path))
@click.option("--name", default="", metavar="N", help="Another name than in the package.")
@click.option("--owner", metavar="EMAIL", help="Whose project it is; by default the operator's.")
@click.option(
    "--answers/--no-answers", default=True, show_default=True, help="With what was answered, or not."
)
def import_package(package: Path, name: str, owner: str | None, answers: bool) -> None:
    """Make a project again from a package (export --what all): ZIP or folder. Prints its slug; it is a draft.

    With answers it gives the same consensus, and has decisions, reports, skips and earlier versions of
    answers. Its slug, the numbers of its tasks and the pseudonyms of its contributors are new. Images are
    found where this site has them. What is wrong with a package is said, and then nothing is made.
    """
    from microtasks.engine.accounts import accounts
    from microtasks.engine.exports import restore

    with open_cli_site() as site:
        account_id = accounts.id_of(site, owner) if owner else None
        made = restore.restore_package(site, package, name=name, account_id=account_id, with_answers=answers)
    click.echo(made.project.slug)
    click.echo(f"{made.n_tasks} tasks, {made.n_answers} answers.", err=True)
    if made.n_lost:
        click.echo(f"{made.n_lost} tasks have no picture: this site does not have it.", err=True)
    for notice in made.notices:
        click.echo(notice, err=True)


@main.command("import")
@click.argument("slug")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path), metavar="FILE..."
)
@click.option(
    "--tile", type=click.IntRange(16, 20_000), metavar="PX", help="Cut images into tiles of this size."
)
@click.option(
    "--overlap", type=click.IntRange(0, 10_000), metavar="PX", default=0, help="Overlap of the tiles."
)
@click.option(
    "--encoding",
    metavar="NAME",
    default="",
    help="Of the table, as Python names it: cp1251, cp932.",
)
@click.option(
    "--header-line", type=click.IntRange(1, 1000), metavar="N", help="The line that names the columns."
)
@click.option("--sheet", metavar="NAME", default="", help="The sheet of a spreadsheet; otherwise the first.")
@click.option("--wait/--no-wait", default=True, help="Wait until the tasks are made.", show_default=True)
def import_files(
    slug: str,
    files: tuple[Path, ...],
    tile: int | None,
    overlap: int,
    encoding: str,
    header_line: int | None,
    sheet: str,
    wait: bool,
) -> None:
    """Make tasks from ZIP, folder, images, CSV, TSV, JSONL, XLSX or ODS: one upload of all FILEs together."""
    from microtasks.core.parsing.rows import Choices
    from microtasks.engine.imports import importing
    from microtasks.store.projects import projects

    with open_cli_site() as site:
        with site.db.session() as session:
            project_id = projects.by_slug(session, slug).id
        uploads = [importing.Upload(name, path) for name, path in _files(files)]
        if not uploads:
            raise Failure("There is no file in this folder.")
        choices = Choices(encoding, header_line or 0, sheet)
        batch_id = importing.create_batch(
            site, project_id, uploads, tile_px=tile, overlap_px=overlap, choices=choices
        )
        if not wait:
            click.echo(f"The upload is batch {batch_id}; a worker makes its tasks.", err=True)
            return
        batch, failures = _watch(site, batch_id)
    click.echo(f"{batch.n_tasks} tasks made, {batch.n_failed} rows failed.")
    for failure in failures:
        click.echo(f"  {failure.row_no}: {failure.name}: {failure.reason}", err=True)
    if batch.n_failed > len(failures):
        click.echo(f"  ... and {batch.n_failed - len(failures)} more", err=True)
    for notice in batch.notices or ():
        click.echo(notice, err=True)
    if batch.error:
        click.echo(batch.error, err=True)
    if batch.n_tasks == 0:
        raise Failure("Nothing was imported.")


@main.command()
@click.argument("slug")
@click.option(
    "--what",
    metavar="WHAT",
    help="answers (where a format has no other), items, consensus, marks, tasks, contributors, sources; "
    "all: every table.",
)
@click.option(
    "--format",
    "format",
    default="csv",
    show_default=True,
    metavar="FORMAT",
    help="csv, jsonl, parquet, xlsx, excel-csv, crowdkit, zooniverse, labelstudio, coco, yolo, imagefolder, "
    "labels, geojson, tei, iiif, camtrapdp or darwincore.",
)
@click.option(
    "--out",
    default="-",
    show_default=True,
    metavar="FILE|DIR|-",
    help="A file (.gz, .zst: compressed), a folder or .zip (then a package: with code book, "
    "datapackage.json, README, citation and checksums), or stdout.",
)
@click.option("--licence", "--license", metavar="ID", help="Licence that a package names, as CC-BY-4.0.")
@click.option("--raw", is_flag=True, help="CSV for programs: texts that look like formulas as they are.")
@click.option(
    "--compress",
    type=click.Choice(["gzip", "zstd"]),
    help="Compress a file; otherwise as its name ends: .gz, .zst.",
)
@click.option(
    "--same-names",
    is_flag=True,
    help="Contributors have the names they have in every export made so. Otherwise their names are those of "
    "this state of the answers alone.",
)
@click.option("--gold", is_flag=True, help="With --what all: known answers too, to make the project again.")
@click.option("--images", is_flag=True, help="The images' files too (coco, yolo, imagefolder, labels).")
@click.option(
    "--language",
    default="en",
    metavar="TAG",
    help="excel-csv: whose separator and decimal sign, as de or fr.",
)
def export(
    slug: str,
    what: str | None,
    format: str,
    out: str,
    licence: str | None,
    raw: bool,
    compress: str | None,
    same_names: bool,
    gold: bool,
    images: bool,
    language: str,
) -> None:
    """Write results, streamed: every answer, the consensus, marks, tasks. All of one state of the project.

    A format of several files (zooniverse, labelstudio) needs a folder or .zip for all of them; into a file
    and onto stdout goes the main one alone: the classifications, the tasks.
    """
    from microtasks.engine.exports import download, package, registry, snapshots
    from microtasks.engine.exports.format import Options
    from microtasks.engine.exports.snapshots import View
    from microtasks.engine.tabular import archive
    from microtasks.store.projects import projects

    target = Path(out)
    options = Options(raw=raw, images=images, language=language)
    chosen = registry.FORMATS.get(format)
    is_workbook = what == "all" and format == "xlsx"
    has_files = not is_workbook and (what == "all" or (chosen is not None and chosen.in_zip(options)))
    is_folder = out != "-" and (
        target.is_dir() or out.endswith("/") or (has_files and not target.suffix and not target.exists())
    )
    is_package = is_folder or target.suffix == ".zip"
    if what == "all" and not is_package and not is_workbook:
        raise Failure("All tables are several files: give a folder (ending in /) or a .zip for --out.")
    if licence and not is_package:
        raise Failure("A licence is named in a package: give a folder (ending in /) or a .zip for --out.")
    if images and chosen is not None and not chosen.takes_images:
        raise Failure(f"The format {format} holds no images.")
    if images and not is_package:
        raise Failure("Images are many files: give a folder (ending in /) or a .zip for --out.")
    is_packed = is_package or (chosen is not None and chosen.packs(options))
    if compress and is_packed:
        raise Failure("This is compressed already: leave --compress away.")
    compress = compress or {".gz": "gzip", ".zst": "zstd"}.get(target.suffix, "") if not is_packed else ""
    archive.check_compression(compress or "")
    with open_cli_site() as site:
        with site.db.session() as session:
            project = projects.by_slug(session, slug)
        if what != "all":
            registry.check(site, project, what, format)
        snapshot = snapshots.take(site, project, same_names=same_names)
        if is_workbook:
            files: Iterable[File] = [download.workbook(View(site, project, snapshot))]
        elif what == "all":
            files = package.whole(site, project, format, options=options, snapshot=snapshot, with_gold=gold)
        else:
            files = download.files(site, project, what, format, options=options, snapshot=snapshot)
        if is_package:
            whole = package.package(site, project, files, licence, snapshot=snapshot)
            if is_folder:
                _make_folder(target)
                for file in whole:
                    (target / file.name).parent.mkdir(parents=True, exist_ok=True)
                    _write(target / file.name, file.chunks)
            else:
                _write(target, archive.zipped(whole, snapshot.cut.at))
            click.echo(f"Written: {target}", err=True)
            return
        remaining = iter(files)
        main_file = archive.compressed(next(remaining), compress or "")
        if out == "-":
            for chunk in main_file.chunks:
                sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
            return
        _write(target, main_file.chunks)
        left_out = [file.name for file in islice(remaining, 4)]
        if left_out:
            others = ", ".join(left_out[:3]) + (", ..." if len(left_out) > 3 else "")
            click.echo(f"Left out: {others}. A folder or .zip for --out gets all.", err=True)
    click.echo(f"Written: {target}", err=True)


def _make_folder(target: Path) -> None:
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Failure(f"The folder {target} cannot be made: {error.strerror}.") from error


def _write(target: Path, chunks: Any) -> None:
    """Write beside the target and rename: a broken export leaves no half file under its name."""
    part = target.with_name(target.name + ".part")
    try:
        with part.open("wb") as file:
            file.writelines(chunks)
        part.replace(target)
    except OSError as error:
        raise Failure(f"{target} cannot be written: {error.strerror}.") from error
    finally:
        part.unlink(missing_ok=True)


def _files(paths: tuple[Path, ...]) -> list[tuple[str, Path]]:
    """(name, path) of each file; those of a folder by their path inside it."""
    files: list[tuple[str, Path]] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(item for item in path.rglob("*") if item.is_file())
            files += [(item.relative_to(path).as_posix(), item) for item in inside]
        else:
            files.append((path.name, path))
    return files


def _watch(site: Site, batch_id: int) -> tuple[Batch, list[Any]]:
    """Follow the import with a bar on stderr; where no worker takes it up in time, do its work here."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from microtasks.engine.operations import jobs as running
    from microtasks.store import jobs
    from microtasks.store.imports import batches

    def look() -> Batch:
        with site.db.session() as session:
            return batches.get(session, batch_id)

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        progress = bar.add_task("received", total=None)
        began = time.monotonic()
        while (batch := look()).state not in ("done", "failed"):
            bar.update(progress, description=batch.phase, total=batch.n_rows, completed=batch.rows_done)
            if batch.state == "queued" and time.monotonic() - began > WORKER_SECONDS:
                with site.db.connection() as connection:
                    job = jobs.add(connection, "import", batch_id)  # the one that waits already
                running.run(site, job)
            else:
                time.sleep(0.1)
    with site.db.session() as session:
        return batch, list(batches.failures(session, batch_id, 0, FAILURES_SHOWN))


def _facts(project: Project, progress: dict[str, int]) -> dict[str, Any]:
    return {
        "slug": project.slug,
        "name": project.name,
        "type": project.task_type,
        "state": project.state,
        "progress": progress,
    }


def _listed(message: str, problems: list[dict[str, str]]) -> str:
    return "\n".join([message, *(f"  {item['where']}: {item['what']}" for item in problems)])
