"""Accounts of owners, their one-time links and signed-in browsers. Tokens are kept as SHA-256 alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

from sqlalchemy import delete, func, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from microtasks.core.errors import Conflict
from microtasks.store.tables import Account, OwnerSession, SigninLink


def get(session: Session, account_id: int) -> Account | None:
    return session.get(Account, account_id)


def by_email(session: Session, email: str) -> Account | None:
    """The account of that address, whatever its case."""
    return session.exec(select(Account).where(func.lower(col(Account.email)) == email.lower())).first()


def operator(session: Session) -> Account | None:
    """The site's first operator, if there is one."""
    return session.exec(select(Account).where(Account.is_operator).order_by(col(Account.id)).limit(1)).first()


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
    found = session.execute(
        update(SigninLink)
        .where(
            col(SigninLink.token_hash) == token_hash,
            col(SigninLink.used_at).is_(None),
            col(SigninLink.expires_at) > func.now(),
        )
        .values(used_at=func.now())
        .returning(col(SigninLink.account_id))
    ).scalar()
    return None if found is None else int(found)


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
