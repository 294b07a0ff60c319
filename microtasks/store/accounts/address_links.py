"""Links in letters that prove an address: of who joins, and of an account that changes its own."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal, cast

from sqlalchemy import delete, func, update
from sqlmodel import Session, col, select

from microtasks.store.tables import AddressLink

#: join: of somebody invited. old, new: of an account that changes its address; both have to say yes.
Purpose = Literal["join", "old", "new"]


def add(
    session: Session,
    token_hash: bytes,
    purpose: Purpose,
    email: str,
    lifetime: timedelta,
    *,
    account_id: int | None = None,
    invitation_id: int | None = None,
) -> None:
    """Keep a link. email: the address that the account is to have."""
    session.add(
        AddressLink(
            token_hash=token_hash,
            purpose=purpose,
            email=email,
            account_id=account_id,
            invitation_id=invitation_id,
            expires_at=cast(Any, func.now() + lifetime),
        )
    )
    session.flush()


def good(session: Session, token_hash: bytes) -> AddressLink | None:
    """A link that was not used and has not expired. Changes nothing."""
    return session.exec(
        select(AddressLink).where(
            AddressLink.token_hash == token_hash,
            col(AddressLink.used_at).is_(None),
            col(AddressLink.expires_at) > func.now(),
        )
    ).first()


def use(session: Session, token_hash: bytes) -> AddressLink | None:
    """Spend a link; None if it is not good (any more). Only one caller wins."""
    return session.execute(
        update(AddressLink)
        .where(
            col(AddressLink.token_hash) == token_hash,
            col(AddressLink.used_at).is_(None),
            col(AddressLink.expires_at) > func.now(),
        )
        .values(used_at=func.now())
        .returning(AddressLink)
    ).scalar()


def n_waiting(session: Session, account_id: int) -> int:
    """How many of the links of an account's change of address nobody has used yet."""
    return session.exec(
        select(func.count())
        .select_from(AddressLink)
        .where(AddressLink.account_id == account_id, col(AddressLink.used_at).is_(None))
    ).one()


def drop_of_account(session: Session, account_id: int) -> None:
    session.execute(delete(AddressLink).where(col(AddressLink.account_id) == account_id))
