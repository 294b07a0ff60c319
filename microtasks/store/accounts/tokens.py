"""API tokens: found by the SHA-256 of what a program sends."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, cast

from sqlalchemy import delete, func
from sqlmodel import Session, col, select

from microtasks.store.tables import Account, ApiToken, Project


def add(
    session: Session,
    token_hash: bytes,
    account_id: int,
    name: str,
    scope: str,
    project_id: int | None,
    lifetime: timedelta,
) -> ApiToken:
    token = ApiToken(
        token_hash=token_hash,
        account_id=account_id,
        project_id=project_id,
        name=name,
        scope=scope,
        expires_at=cast(Any, func.now() + lifetime),
    )
    session.add(token)
    session.flush()
    return token


def of_account(session: Session, account_id: int) -> Sequence[tuple[ApiToken, str | None]]:
    """The account's tokens that have not expired, newest first, each with the slug of its project."""
    return session.exec(
        select(ApiToken, Project.slug)
        .outerjoin(Project, col(Project.id) == col(ApiToken.project_id))
        .where(ApiToken.account_id == account_id, col(ApiToken.expires_at) > func.now())
        .order_by(col(ApiToken.id).desc())
    ).all()


def by_hash(session: Session, token_hash: bytes) -> tuple[ApiToken, Account] | None:
    """A token that is good, and its account; None when it expired or the account is disabled."""
    return session.exec(
        select(ApiToken, Account)
        .join(Account, col(Account.id) == col(ApiToken.account_id))
        .where(
            ApiToken.token_hash == token_hash,
            col(ApiToken.expires_at) > func.now(),
            col(Account.disabled_at).is_(None),
        )
    ).first()


def drop(session: Session, account_id: int, token_id: int) -> ApiToken | None:
    """Forget a token of this account; return what it was."""
    return session.execute(
        delete(ApiToken)
        .where(col(ApiToken.id) == token_id, col(ApiToken.account_id) == account_id)
        .returning(ApiToken)
    ).scalar()


def drop_all(session: Session, account_id: int) -> Sequence[ApiToken]:
    """Forget every token of this account; return what they were."""
    return session.scalars(
        delete(ApiToken).where(col(ApiToken.account_id) == account_id).returning(ApiToken)
    ).all()


def today() -> date:
    return datetime.now(UTC).date()
