"""The command line: `microtasks`. Data on stdout, talk on stderr; exit 0 only when the work was done.

Commands live in the modules imported at the end and register with `@main.command`. They import what is heavy
inside their functions, so that `--help` is quick.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from microtasks.core.errors import MicrotasksError, SettingsInvalid

if TYPE_CHECKING:
    from microtasks.engine.site import Site
    from microtasks.settings import Settings


class Failure(click.ClickException):
    """Ends the command: one plain sentence on stderr, exit code 1."""

    def show(self, file: Any = None) -> None:
        click.echo(self.message, file=file, err=file is None)


def _remember_data(context: click.Context, parameter: click.Parameter, value: Path | None) -> None:
    if value is not None:
        context.find_root().meta["data"] = value


def _data_option() -> click.Option:
    return click.Option(
        ["--data"],
        type=click.Path(file_okay=False, path_type=Path),
        metavar="DIR",
        expose_value=False,
        callback=_remember_data,
        help="Data folder (also MICROTASKS_DATA). Without DATABASE_URL its own servers are used.",
    )


class Command(click.Command):
    """A command that takes `--data` too: before or after its name, both are meant the same."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(_data_option())


class _Group(click.Group):
    command_class = Command
    group_class = type  # a group inside the group is of this class too

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except MicrotasksError as error:
            raise Failure(error.message) from error
        except Exception as error:
            if name := _server_away(error):
                reason = (str(getattr(error, "orig", error)).splitlines() or [""])[0]
                raise Failure(f"{name} does not answer: {reason}") from error
            raise


def _server_away(error: Exception) -> str | None:
    """Which server did not answer, if that is what the error says. Imports nothing: --help is to be quick."""
    away = (
        ("The database", "psycopg", "OperationalError"),
        ("The database", "sqlalchemy.exc", "OperationalError"),
        ("Redis", "redis", "ConnectionError"),
    )
    for server, module, kind in away:
        if module in sys.modules and isinstance(error, getattr(sys.modules[module], kind)):
            return server
    return None


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="microtasks", message="%(version)s")
def main() -> None:
    """Small tasks for many hands: volunteers, exact assignment, a consensus worth publishing.

    `microtasks up` starts everything on this machine and prints where to look.
    """


main.params.append(_data_option())


def read_settings() -> Settings:
    """Settings from the environment and `--data`. Errors: SettingsInvalid, naming the variable."""
    from microtasks import settings

    context = click.get_current_context(silent=True)
    data = context.find_root().meta.get("data") if context else None
    return settings.read(**({"data": data} if data else {}))


@contextmanager
def open_cli_site(*, any_schema: bool = False) -> Iterator[Site]:
    """A site for one command, on the configured servers or on the data folder's own.

    Those are joined where an `up` runs on the folder; otherwise started, migrated, and stopped at the end.
    `any_schema`: also give a site on a configured database that is not up to date.
    Errors: SettingsInvalid, also for a configured database that is not up to date.
    """
    from microtasks.engine.site import open_site
    from microtasks.local import embedded
    from microtasks.store.operations import migrate

    settings = embedded.with_secret(read_settings())
    with embedded.joined(settings) as (settings, is_ours):
        if is_ours:
            migrate.upgrade(settings.database_url)
        elif not any_schema and (sentence := migrate.problem(settings.database_url)):
            raise SettingsInvalid(sentence)
        site = open_site(settings)
        try:
            yield site
        finally:
            site.close()


# Each registers its commands with `main`, so it needs what stands above.
from microtasks.cli import accounts, consensus, newtype, projects, quality, serving, simulate  # noqa: E402, F401
