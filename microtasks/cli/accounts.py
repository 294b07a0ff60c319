"""Owners' accounts from the command line, with an operator's power: make, list, disable, delete."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from microtasks.cli import main, open_cli_site
from microtasks.cli.serving import say

if TYPE_CHECKING:
    from microtasks.engine.site import Site

#: How truth and nothing read in a table.
WORDS = {"True": "yes", "False": "no", "None": ""}


@main.group()
def owner() -> None:
    """Owners' accounts."""


@owner.command()
@click.argument("email")
def create(email: str) -> None:
    """Make an owner's account, and print a one-time sign-in link.

    For an account that exists, everything that could open it before is void: its password, its sessions and
    its API tokens. `owner link` leaves them.
    """
    from microtasks.engine.accounts import accounts

    with open_cli_site() as site:
        given = accounts.give(site, email)
        address = _sign_in_address(site, given.token)
    if not given.is_new:
        say(
            f"There is an account {email} already. Whoever used it is signed out, its password and"
            f" {given.n_tokens or 'no'} API token{'s' if given.n_tokens != 1 else ''} are void:"
            " only this link opens it."
        )
    click.echo(address)


@owner.command()
@click.argument("email")
def link(email: str) -> None:
    """Print one more one-time sign-in link of an account, which stays as it is."""
    from microtasks.engine.accounts import accounts

    with open_cli_site() as site:
        address = _sign_in_address(site, accounts.link_for(site, email))
    click.echo(address)


@owner.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
def list_accounts(as_json: bool) -> None:
    """Print every account: address, operator or not, projects, API tokens, last sign-in."""
    from microtasks.engine.accounts import accounts

    with open_cli_site() as site:
        rows = accounts.listed(site)
    facts = [
        {
            "email": row.account.email,
            "is_operator": row.account.is_operator,
            "is_disabled": row.account.disabled_at is not None,
            "projects": row.n_projects,
            "memberships": row.n_memberships,
            "tokens": row.n_tokens,
            "signed_in_at": row.seen_at.isoformat() if row.seen_at else None,
        }
        for row in rows
    ]
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return
    click.echo("\t".join(name.removeprefix("is_") for name in facts[0]) if facts else "email")
    for fact in facts:
        click.echo("\t".join(WORDS.get(str(value), str(value)) for value in fact.values()))


@owner.command()
@click.argument("email")
def disable(email: str) -> None:
    """Shut an account out, at once. What it owns stays."""
    from microtasks.engine.accounts import accounts

    with open_cli_site() as site:
        accounts.disable(site, email)
    say(f"{email} is shut out.")


@owner.command()
@click.argument("email")
def enable(email: str) -> None:
    """Let a disabled account in again."""
    from microtasks.engine.accounts import accounts

    with open_cli_site() as site:
        accounts.enable(site, email)
    say(f"{email} may sign in again.")


@owner.command()
@click.argument("email")
@click.option("--revoke", is_flag=True, help="No longer.")
def operator(email: str, revoke: bool) -> None:
    """Let an account run the whole site."""
    from microtasks.engine.accounts import accounts

    with open_cli_site() as site:
        accounts.set_operator(site, email, is_operator=not revoke)
    say(f"{email} is {'no longer ' if revoke else ''}an operator of this site.")


@owner.command()
@click.argument("email")
@click.argument("new")
def address(email: str, new: str) -> None:
    """Change an account's address, for somebody who has lost the old one."""
    from microtasks.engine.accounts import accounts

    with open_cli_site() as site:
        accounts.set_address(site, email, new)
    say(f"The account {email} has the address {new} now.")


@owner.command()
@click.argument("email")
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(email: str, yes: bool) -> None:
    """Delete an account for good. It must own no project; what it did stays, without its name."""
    from microtasks.engine.accounts import accounts

    if not yes:
        click.confirm(f"Delete the account {email} for good?", abort=True, err=True)
    with open_cli_site() as site:
        accounts.delete(site, email)
    say(f"The account {email} is deleted.")


@owner.command()
@click.argument("email")
@click.option("--name", required=True, help="What the token is for.")
@click.option("--scope", type=click.Choice(["read", "import", "manage"]), default="read", show_default=True)
@click.option("--project", "slug", default="", metavar="SLUG", help="For this project alone.")
@click.option("--days", type=int, default=90, show_default=True, help="How long it is good.")
def token(email: str, name: str, scope: str, slug: str, days: int) -> None:
    """Make an API token of that account, and print it: it is never shown again."""
    from microtasks.engine.accounts import accounts, tokens

    with open_cli_site() as site:
        account_id, is_operator = accounts.id_and_power(site, email)
        made = tokens.make(
            site, account_id, name=name, scope=scope, slug=slug, days=days, is_operator=is_operator
        )
    click.echo(made)


def _sign_in_address(site: Site, token: str) -> str:
    from microtasks.local import embedded

    running = embedded.state(site.settings.data) or {}
    base = site.settings.base_url or running.get("address") or "http://127.0.0.1:8000"
    return f"{base.rstrip('/')}/owner/sign-in/{token}"
