"""Accounts of owners: one-time links, passwords, sessions. A token is random; only its SHA-256 is stored."""

from __future__ import annotations

import gzip
import hashlib
import re
import secrets
from datetime import timedelta
from functools import cache
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from microtasks.core.errors import Conflict, Forbidden, InputError, TooMany
from microtasks.engine.site import Site
from microtasks.store.accounts import accounts
from microtasks.store.db import Session, now
from microtasks.store.operations import limits
from microtasks.store.tables import Account, OwnerSession

PASSWORD_MIN, PASSWORD_MAX = 8, 256
#: The 3,000 most common passwords that the length rule lets pass, from lists of leaked ones: OWASP ASVS 6.2.4
#: (those of zxcvbn 4.5, MIT licence, in its order). And words of this site.
COMMON_FILE = Path(__file__).with_name("common_passwords.txt.gz")
OWN_WORDS = frozenset({"microtasks", "microtask", "volunteer", "volunteers", "changeme", "p@ssw0rd"})
_EMAIL = re.compile(r"[^@\s\x00-\x1f]{1,64}@[^@\s\x00-\x1f]{1,189}")


def create_owner(site: Site, email: str, *, is_operator: bool | None = None) -> str:
    """Make the account unless it exists, and a one-time sign-in link for it; return the link's token.

    The first account of a site is its operator's. Errors: InputError for what is no address, Forbidden for
    an account that was disabled.
    """
    email = _address(email)
    token = new_token()
    with site.db.session() as session:
        account = accounts.by_email(session, email) or accounts.add(session, email, is_operator=is_operator)
        if account.disabled_at is not None:
            raise Forbidden(f"The account {email} was disabled.")
        lifetime = timedelta(minutes=site.settings.signin_link_minutes)
        accounts.add_link(session, hashed(token), account.id, lifetime)
        session.commit()
    return token


def register(session: Session, email: str, password: str) -> Account:
    """Add an account with a password, in the caller's transaction. InputError; Conflict: there is one."""
    email = _address(email)
    check_password(password, email)
    if accounts.by_email(session, email) is not None:
        raise Conflict(f"There is an account for {email} already. Please sign in with it.")
    account = accounts.add(session, email, is_operator=False)
    account.password_hash = _hasher().hash(password)
    session.add(account)
    session.flush()
    return account


def link_is_good(site: Site, token: str) -> bool:
    """Would this link sign somebody in? Does not spend it: mail programs open links to preview them."""
    with site.db.session() as session:
        return accounts.link_is_good(session, hashed(token))


def sign_in_by_link(site: Site, token: str, *, address: str = "") -> str:
    """Spend a one-time link; return the token of a new session.

    Forbidden if it is not good (any more); TooMany after ten tries in five minutes from one IP address.
    """
    if address and not limits.allow(site, "link", address):
        raise TooMany("Too many tries to sign in. Please wait five minutes.")
    with site.db.session() as session:
        account_id = accounts.use_link(session, hashed(token))
        account = None if account_id is None else accounts.get(session, account_id)
        if account is None or account.disabled_at is not None:
            raise Forbidden("This sign-in link was used already or has expired. Ask for a new one.")
        session_token = begin(site, session, account, by_link=True)
        session.commit()
    return session_token


def sign_in_by_password(site: Site, email: str, password: str, *, address: str = "") -> str:
    """Check a password; return the token of a new session.

    An unknown address costs the same work and says the same as a wrong password: Forbidden. TooMany after
    ten tries in five minutes for one account or from one IP address, the right password too.
    """
    keys = [("login_all", "all"), ("login", email.strip()[:256])] + ([("login", address)] if address else [])
    if not all(limits.allow(site, scope, key) for scope, key in keys):
        raise TooMany("Too many tries to sign in. Please wait five minutes.")
    with site.db.session() as session:
        account = accounts.by_email(session, email.strip()[:256])
    stored = account.password_hash if account is not None and account.disabled_at is None else None
    is_right = _verify(stored or _nobody(), password[: PASSWORD_MAX + 1])
    if account is None or stored is None or not is_right:
        raise Forbidden("The email address or the password is not right.")
    with site.db.session() as session:
        current = accounts.get(session, account.id)
        if current is None or current.password_hash != stored or current.disabled_at is not None:
            raise Forbidden("The email address or the password is not right.")
        if _hasher().check_needs_rehash(stored):
            current.password_hash = _hasher().hash(password)
        session_token = begin(site, session, current, by_link=False)
        session.commit()
    return session_token


def set_password(site: Site, session_token: str, password: str, current: str = "") -> str:
    """Set the password of who is signed in, end all their sessions, return the token of a new one.

    The current password is asked for, except in a session that began with a one-time link (it is how a
    forgotten one is replaced). Errors: InputError when too short, too long or too common; Forbidden.
    """
    with site.db.session() as session:
        account, owner_session = _signed_in(session, session_token, current)
        check_password(password, account.email)
        account.password_hash = _hasher().hash(password)
        session.add(account)
        accounts.end_all(session, account.id)
        fresh = begin(site, session, account, by_link=owner_session.by_link)
        session.commit()
    return fresh


def set_email(site: Site, session_token: str, email: str, current: str = "") -> None:
    """Change the address of who is signed in; asks for the current password as `set_password` does.

    Errors: InputError for what is no address, Conflict for another account's, Forbidden.
    """
    email = _address(email)
    with site.db.session() as session:
        account, _ = _signed_in(session, session_token, current)
        other = accounts.by_email(session, email)
        if other is not None and other.id != account.id:
            raise Conflict(f"There is another account for {email}.")
        account.email = email
        session.add(account)
        session.commit()


def check_password(password: str, email: str = "") -> None:
    """Raise InputError for a password that is too short, too long or easily guessed."""
    if len(password) < PASSWORD_MIN:
        raise InputError(f"A password needs at least {PASSWORD_MIN} characters; a few words make a good one.")
    if len(password) > PASSWORD_MAX:
        raise InputError(f"A password can have at most {PASSWORD_MAX} characters.")
    plain = password.casefold()
    names = {part for part in re.split(r"[@.+_-]", email.casefold()) if len(part) >= 4}
    if plain in _common() or len(set(plain)) < 4 or plain == email.casefold() or plain in names:
        raise InputError("This password is easily guessed. A few unusual words make a better one.")


def sign_out(site: Site, session_token: str) -> None:
    """End this session, on the server too."""
    with site.db.session() as session:
        accounts.end_session(session, hashed(session_token))
        session.commit()


def sign_out_everywhere(site: Site, account_id: int) -> None:
    """End every session of the account and void its unused links."""
    with site.db.session() as session:
        accounts.end_all(session, account_id)
        session.commit()


def who(site: Site, session_token: str) -> Account | None:
    """The account signed in with this session, if the session and the account still stand."""
    with site.db.session() as session:
        found = accounts.of_session(session, hashed(session_token))
    return found[0] if found else None


def needs_current_password(site: Site, session_token: str) -> bool:
    """Does `set_password` ask for the current password in this session?"""
    with site.db.session() as session:
        found = accounts.of_session(session, hashed(session_token))
    return found is not None and found[0].password_hash is not None and not found[1].by_link


def id_of(site: Site, email: str) -> int:
    """The id of an owner's account; InputError if there is none."""
    return id_and_power(site, email)[0]


def id_and_power(site: Site, email: str) -> tuple[int, bool]:
    """The id of an owner's account, and whether it is an operator's; InputError if there is none."""
    with site.db.session() as session:
        account = accounts.by_email(session, email.strip())
    if account is None:
        raise InputError(f"There is no account {email}. Make one: microtasks owner create {email}")
    return account.id, account.is_operator


def disable(site: Site, email: str) -> None:
    """Shut an account out, at once. InputError if there is none."""
    with site.db.session() as session:
        account = accounts.by_email(session, email)
        if account is None:
            raise InputError(f"There is no account {email}.")
        account.disabled_at = now()
        session.add(account)
        accounts.end_all(session, account.id)
        session.commit()


def begin(site: Site, session: Session, account: Account, *, by_link: bool = False) -> str:
    """Sign the account in: a new session in the caller's transaction; return its token."""
    token = new_token()
    lifetime = timedelta(days=site.settings.session_days)
    accounts.add_session(session, hashed(token), account.id, lifetime, by_link=by_link)
    return token


def new_token() -> str:
    """A random text of 256 bits that is safe in addresses."""
    return secrets.token_urlsafe(32)


def hashed(token: str) -> bytes:
    """What is stored of a token: its SHA-256. It is random and long, so it needs no salt."""
    return hashlib.sha256(token.encode(errors="replace")).digest()


def _signed_in(session: Session, session_token: str, current: str) -> tuple[Account, OwnerSession]:
    """Who is signed in, once more with the current password where one is needed; Forbidden."""
    found = accounts.of_session(session, hashed(session_token))
    if found is None:
        raise Forbidden("Please sign in again.")
    account, owner_session = found
    if account.password_hash and not owner_session.by_link and not _verify(account.password_hash, current):
        raise Forbidden("The current password is not right.")
    return account, owner_session


def _address(email: str) -> str:
    email = email.strip()
    if not _EMAIL.fullmatch(email):
        raise InputError(f"{email!r} is not an email address.")
    return email


@cache
def _common() -> frozenset[str]:
    return OWN_WORDS | frozenset(gzip.decompress(COMMON_FILE.read_bytes()).decode().split())


@cache
def _hasher() -> PasswordHasher:
    # argon2id as OWASP recommends (Password Storage Cheat Sheet): 19 MiB, 2 passes, 1 thread. A small
    # server stays up when many sign in at once.
    return PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


@cache
def _nobody() -> str:
    """A hash to work on when there is no account, so that time does not tell who has one."""
    return _hasher().hash(new_token())


def _verify(stored: str, password: str) -> bool:
    try:
        return _hasher().verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False
