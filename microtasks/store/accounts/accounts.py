"""Accounts of owners, their one-time links and signed-in browsers. Tokens are kept as SHA-256 alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple, cast

import sqlalchemy
from sqlalchemy import delete, func, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from microtasks.core.errors import Conflict
from microtasks.store.tables import (
    Account,
    ApiToken,
    Audit,
    ExpertDecision,
    Export,
    Mail,
    OwnerSession,
    Project,
    ProjectMember,
    SigninLink,
)


def get(session: Session, account_id: int) -> Account | None:
    return session.get(Account, account_id)


def locked(session: Session, account_id: int) -> Account | None:
    """The account, locked until the transaction ends."""
    return session.get(Account, account_id, with_for_update=True)


def by_email(session: Session, email: str) -> Account | None:
    """The account of that address, whatever its case."""
    return session.exec(select(Account).where(func.lower(col(Account.email)) == email.lower())).first()


def operator(session: Session) -> Account | None:
    """The site's first operator, if there is one."""
    return session.exec(select(Account).where(Account.is_operator).order_by(col(Account.id)).limit(1)).first()


class Listed(NamedTuple):
    """One account, as operators see it. seen_at: when its last session began."""

    account: Account
    n_projects: int
    n_memberships: int
    n_tokens: int
    seen_at: datetime | None


def listed(session: Session) -> Sequence[Listed]:
    """Every account, by address."""
    project = select(func.count()).where(
        col(Project.account_id) == col(Account.id), col(Project.trial_of).is_(None)
    )
    member = select(func.count()).where(col(ProjectMember.account_id) == col(Account.id))
    token = select(func.count()).where(
        col(ApiToken.account_id) == col(Account.id), col(ApiToken.expires_at) > func.now()
    )
    seen = select(func.max(col(OwnerSession.created_at))).where(
        col(OwnerSession.account_id) == col(Account.id)
    )
    rows = session.execute(
        sqlalchemy.select(
            Account,
            project.scalar_subquery(),
            member.scalar_subquery(),
            token.scalar_subquery(),
            seen.scalar_subquery(),
        ).order_by(func.lower(col(Account.email)))
    )
    return [Listed(*row) for row in rows]


def owned(session: Session, account_id: int) -> Sequence[str]:
    """Slugs of the account's projects, sorted."""
    return session.exec(
        select(Project.slug).where(col(Project.account_id) == account_id).order_by(col(Project.slug))
    ).all()


def n_other_operators(session: Session, account_id: int) -> int:
    """How many operators there are besides this account; disabled ones do not count."""
    return session.exec(
        select(func.count())
        .select_from(Account)
        .where(Account.is_operator, col(Account.id) != account_id, col(Account.disabled_at).is_(None))
    ).one()


def delete_account(session: Session, account: Account, expert: str) -> None:
    """Delete it and what is its alone. Its decisions stay as those of `expert`, its entries as nobody's."""
    for table in (Audit, Export):
        session.execute(update(table).where(col(table.account_id) == account.id).values(account_id=None))
    session.execute(
        update(ExpertDecision)
        .where(col(ExpertDecision.account_id) == account.id)
        .values(account_id=None, expert=expert)
    )
    session.execute(delete(Mail).where(func.lower(col(Mail.recipient)) == account.email.lower()))
    session.delete(account)
    session.flush()


def add(session: Session, email: str, *, is_operator: bool | None = None) -> Account:
    """Add an account; the very first one is the operator's unless said otherwise. Conflict: it exists."""
    if is_operator is None:
        is_operator = session.exec(select(col(Account.id)).limit(1)).first() is None
    account = Account(email=email, is_operator=is_operator)
    session.add(account)
    try:
        session.flush()
    except IntegrityError as error:
        if "uq_account_email" not in str(error.orig):
            raise
        raise Conflict(f"There is an account for {email} already.") from None
    return account


def add_link(session: Session, token_hash: bytes, account_id: int, lifetime: timedelta) -> None:
    """Keep a one-time link."""
    session.add(
        SigninLink(token_hash=token_hash, account_id=account_id, expires_at=cast(Any, func.now() + lifetime))
    )
    session.flush()


def link_is_good(session: Session, token_hash: bytes) -> bool:
    """Would this link sign somebody in? Changes nothing."""
    return (
        session.exec(
            select(SigninLink)
            .join(Account, col(Account.id) == col(SigninLink.account_id))
            .where(
                SigninLink.token_hash == token_hash,
                col(SigninLink.used_at).is_(None),
                col(SigninLink.expires_at) > func.now(),
                col(Account.disabled_at).is_(None),
            )
        ).first()
        is not None
    )


def use_link(session: Session, token_hash: bytes) -> int | None:
    """Spend the link; its account, or None if it is not good (any more). Only one caller wins."""
    row = session.execute(
        update(SigninLink)
        .where(
            col(SigninLink.token_hash) == token_hash,
            col(SigninLink.used_at).is_(None),
            col(SigninLink.expires_at) > func.now(),
        )
        .values(used_at=func.now())
        .returning(col(SigninLink.account_id))
    ).scalar()
    return None if row is None else int(row)


def add_session(
    session: Session, token_hash: bytes, account_id: int, lifetime: timedelta, *, by_link: bool
) -> None:
    session.add(
        OwnerSession(
            token_hash=token_hash,
            account_id=account_id,
            expires_at=cast(Any, func.now() + lifetime),
            by_link=by_link,
        )
    )
    session.flush()


def of_session(session: Session, token_hash: bytes) -> tuple[Account, OwnerSession] | None:
    """Who is signed in with this token; None when the session ended or the account is disabled."""
    return session.exec(
        select(Account, OwnerSession)
        .join(OwnerSession, col(OwnerSession.account_id) == col(Account.id))
        .where(
            OwnerSession.token_hash == token_hash,
            col(OwnerSession.expires_at) > func.now(),
            col(Account.disabled_at).is_(None),
        )
    ).first()


def end_session(session: Session, token_hash: bytes) -> None:
    session.execute(delete(OwnerSession).where(col(OwnerSession.token_hash) == token_hash))


def end_all(session: Session, account_id: int) -> None:
    """End every session of the account and void its unused links."""
    session.execute(delete(OwnerSession).where(col(OwnerSession.account_id) == account_id))
    session.execute(delete(SigninLink).where(col(SigninLink.account_id) == account_id))
