"""API tokens: keys for programs. Each acts for its account, within its scope and perhaps one project.

A token is "mt_" and 256 random bits; it is shown once, and only its SHA-256 is stored.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal, cast, get_args

from microtasks.core.errors import Conflict, InputError, NotFound
from microtasks.engine import audit
from microtasks.engine.accounts import accounts
from microtasks.engine.site import Site
from microtasks.store.accounts import members, tokens
from microtasks.store.accounts.members import Role
from microtasks.store.db import raw
from microtasks.store.operations import limits
from microtasks.store.tables import ApiToken, Project

#: Each may what those before it may: read; upload tasks too; publish, pause and archive too.
Scope = Literal["read", "import", "manage"]
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
PREFIX: Final = "mt_"
NAME_MAX = 80
DAYS, DAYS_MAX = 90, 366
TOKENS_MAX = 50


@dataclass(frozen=True, slots=True)
class Bearer:
    """Who a program acts for, and how far it may go. project_id: None for all of the account's projects."""

    account_id: int
    is_operator: bool
    email: str
    scope: Scope
    project_id: int | None

    def may(self, scope: Scope) -> bool:
        """Does the token's scope reach that far?"""
        return SCOPES.index(self.scope) >= SCOPES.index(scope)


def make(
    site: Site,
    account_id: int,
    *,
    name: str,
    scope: str = "read",
    slug: str = "",
    days: int = DAYS,
    is_operator: bool = False,
) -> str:
    """Make a token and return it, once. slug: the one project that it is for; "" for all of the account's.

    Errors: InputError; NotFound for a project that is not the account's; Conflict: too many tokens.
    """
    name = name.strip()
    if not 1 <= len(name) <= NAME_MAX or not name.isprintable():
        raise InputError(f"Give the token a name: one line of at most {NAME_MAX} characters.")
    if scope not in SCOPES:
        raise InputError(f"There is no scope {scope!r}. There are: {', '.join(SCOPES)}.")
    if not 1 <= days <= DAYS_MAX:
        raise InputError(f"A token is good for 1 to {DAYS_MAX} days.")
    token = PREFIX + accounts.new_token()
    with site.db.session() as session:
        project_id = None
        if slug:
            project_id = members.reached(session, account_id, is_operator, slug, "researcher")[0].id
        if len(tokens.of_account(session, account_id)) >= TOKENS_MAX:
            raise Conflict("You have very many tokens. Revoke some first.")
        hashed = accounts.hashed(token)
        tokens.add(session, hashed, account_id, name, scope, project_id, timedelta(days=days))
        audit.note(raw(session), account_id, project_id, "token.make", name=name, scope=scope, days=days)
        session.commit()
    return token


def listed(site: Site, account_id: int) -> Sequence[tuple[ApiToken, str | None]]:
    """The account's tokens that have not expired, newest first, each with the slug of its project."""
    with site.db.session() as session:
        return tokens.of_account(session, account_id)


def revoke(site: Site, account_id: int, token_id: int) -> None:
    """Forget a token, at once. NotFound for what is not the account's."""
    with site.db.session() as session:
        token = tokens.drop(session, account_id, token_id)
        if token is None:
            raise NotFound("There is no such token.")
        audit.note(raw(session), account_id, token.project_id, "token.revoke", name=token.name)
        session.commit()


def who(site: Site, token: str) -> Bearer | None:
    """Whom a program acts for that sends this token; None if it is not good. Notes the day of its use."""
    if not token.startswith(PREFIX) or len(token) > 100:
        return None
    hashed = accounts.hashed(token)
    with site.db.session() as session:
        found = tokens.by_hash(session, hashed)
        # The index found it by its hash, which tells nothing of the token; compared once more all the same.
        if found is None or not hmac.compare_digest(found[0].token_hash, hashed):
            return None
        row, account = found
        bearer = Bearer(
            row.account_id, account.is_operator, account.email, cast(Scope, row.scope), row.project_id
        )
        if row.used_on != (today := tokens.today()):
            row.used_on = today
            session.add(row)
            session.commit()
    return bearer


def reached(site: Site, bearer: Bearer, slug: str, needed: Role) -> tuple[Project, Role]:
    """The project, if token and account both reach it with that role. NotFound, Forbidden."""
    with site.db.session() as session:
        project, role = members.reached(session, bearer.account_id, bearer.is_operator, slug, needed)
    if bearer.project_id not in (None, project.id):
        raise NotFound("There is no such project, or it is not yours.")
    return project, role


def allow(site: Site, bearer: Bearer) -> bool:
    """Count one request of this account; False when it is too many."""
    return limits.allow(site, "token", f"account {bearer.account_id}")
