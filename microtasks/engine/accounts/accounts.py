"""Accounts of owners: one-time links, passwords, sessions. A token is random; only its SHA-256 is stored."""

from __future__ import annotations

import gzip
import hashlib
import re
import secrets
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import NamedTuple

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from microtasks.core.errors import Conflict, Forbidden, InputError, NotFound, TooMany
from microtasks.engine import audit
from microtasks.engine.accounts import mail
from microtasks.engine.site import Site
from microtasks.store.accounts import accounts, address_links, tokens
from microtasks.store.accounts.accounts import Listed
from microtasks.store.db import Session, now, raw
from microtasks.store.operations import limits
from microtasks.store.tables import Account, OwnerSession

PASSWORD_MIN, PASSWORD_MAX = 8, 256
#: The 3,000 most common passwords that the length rule lets pass, from lists of leaked ones: OWASP ASVS 6.2.4
#: (those of zxcvbn 4.5, MIT licence, in its order). And words of this site.
COMMON_FILE = Path(__file__).with_name("common_passwords.txt.gz")
OWN_WORDS = frozenset({"microtasks", "microtask", "volunteer", "volunteers", "changeme", "p@ssw0rd"})
#: How long a link that proves an address is good.
PROOF_HOURS = 24
#: Makes a letter about a change of address: (token, old, new) -> (subject, text).
WriteBoth = Callable[[str, str, str], tuple[str, str]]
_EMAIL = re.compile(r"[^@\s\x00-\x1f]{1,64}@[^@\s\x00-\x1f]{1,189}")


class Given(NamedTuple):
    """An account that an operator gave to an address. token: of a one-time sign-in link.

    is_new: it was made for that; otherwise everything that could open it before is void, `n_tokens` API
    tokens among it.
    """

    token: str
    is_new: bool
    n_tokens: int


def give(site: Site, email: str) -> Given:
    """Give the account of an address to whoever gets the link, and to nobody else.

    Whoever made an account that exists need not be who has the address. So its sessions and links end, its
    password is void, its API tokens are revoked. Errors: as `create_owner`.
    """
    email = checked_address(email)
    with site.db.session() as session:
        account = accounts.by_email(session, email)
        is_new, n_tokens = account is None, 0
        if account is not None:
            account.password_hash = None
            session.add(account)
            accounts.end_all(session, account.id)
            n_tokens = _revoke_tokens(session, account.id, None)
        token = _link(site, session, account or accounts.add(session, email))
        session.commit()
    return Given(token, is_new, n_tokens)


def create_owner(site: Site, email: str, *, is_operator: bool | None = None) -> str:
    """Make the account unless it exists, and a one-time sign-in link for it; return the link's token.

    The first account of a site is its operator's. Errors: InputError for what is no address, Forbidden for
    an account that was disabled.
    """
    email = checked_address(email)
    with site.db.session() as session:
        account = accounts.by_email(session, email) or accounts.add(session, email, is_operator=is_operator)
        token = _link(site, session, account)
        session.commit()
    return token


def invite(
    site: Site, email: str, write: Callable[[str], tuple[str, str]], *, is_operator: bool = False
) -> str:
    """Make an account and send its sign-in link to it, for an operator, who gets the link's token too.

    write: token -> (subject, text). Errors: InputError for what is no address, Conflict for a known one.
    """
    email = checked_address(email)
    with site.db.session() as session:
        if accounts.by_email(session, email) is not None:
            raise Conflict(f"There is an account for {email} already.")
        token = _link(site, session, accounts.add(session, email, is_operator=is_operator))
        job = mail.post(raw(session), email, *write(token))
        session.commit()
    site.bell.ring(job)
    return token


def link_for(site: Site, email: str) -> str:
    """One more sign-in link for an account, which stays as it is. Errors: InputError: none; Forbidden."""
    with site.db.session() as session:
        token = _link(site, session, _existing(session, email))
        session.commit()
    return token


def _link(site: Site, session: Session, account: Account) -> str:
    if account.disabled_at is not None:
        raise Forbidden(f"The account {account.email} was disabled.")
    token = new_token()
    lifetime = timedelta(minutes=site.settings.signin_link_minutes)
    accounts.add_link(session, hashed(token), account.id, lifetime)
    return token


def send_link(site: Site, email: str, write: Callable[[str], tuple[str, str]], *, address: str = "") -> None:
    """Send a one-time sign-in link to who has forgotten their password.

    write: token -> (subject, text). What happens looks the same whether there is such an account or not.
    Errors: InputError for what is no address; TooMany after three letters an hour to one address, or ten
    asked for from one network.
    """
    email = checked_address(email)
    if not limits.allow_each(site, ("mail_from", address), ("mail_to", email)):
        raise TooMany("Several messages were asked for already. Please check your mail, or wait an hour.")
    with site.db.session() as session:
        account = accounts.by_email(session, email)
        if account is None or account.disabled_at is not None:
            return
        subject, text = write(_link(site, session, account))
        job = mail.post(raw(session), account.email, subject, text)
        session.commit()
    site.bell.ring(job)


def register(session: Session, email: str, password: str) -> Account:
    """Add an account with a password, in the caller's transaction. InputError; Conflict: there is one."""
    email = checked_address(email)
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
    if not limits.allow_each(site, ("login", address), ("login", email.strip()[:256]), ("login_all", "all")):
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


def set_password(
    site: Site, session_token: str, password: str, current: str = "", *, revoke_tokens: bool = False
) -> str:
    """Set the password of who is signed in, end all their sessions, return the token of a new one.

    The current password is asked for, except in a session that began with a one-time link (it is how a
    forgotten one is replaced). revoke_tokens: their API tokens end, too. Errors: InputError when too short,
    too long or too common; Forbidden; TooMany after ten wrong ones in five minutes.
    """
    with site.db.session() as session:
        account, owner_session = _signed_in(site, session, session_token, current)
        check_password(password, account.email)
        account.password_hash = _hasher().hash(password)
        session.add(account)
        accounts.end_all(session, account.id)
        if revoke_tokens:
            _revoke_tokens(session, account.id, account.id)
        fresh = begin(site, session, account, by_link=owner_session.by_link)
        session.commit()
    return fresh


def ask_new_address(
    site: Site, session_token: str, email: str, write: WriteBoth, current: str = "", *, address: str = ""
) -> None:
    """Ask the old and the new address whether the account of who is signed in may change to the new one.

    Asks for the current password as `set_password` does. Nothing changes before both have said yes
    (`confirm_address`). Errors: InputError for what is no address, Conflict for another account's, Forbidden,
    TooMany.
    """
    email = checked_address(email)
    with site.db.session() as session:
        account, _ = _signed_in(site, session, session_token, current)
        _refuse_taken(session, email, account.id)
        if not limits.allow_each(
            site, ("mail_from", address), ("mail_to", account.email), ("mail_to", email)
        ):
            raise TooMany("Several messages were asked for already. Please check your mail, or wait an hour.")
        address_links.drop_of_account(session, account.id)
        jobs = []
        sides: tuple[tuple[address_links.Purpose, str], ...] = (("old", account.email), ("new", email))
        for purpose, recipient in sides:
            token = new_token()
            address_links.add(
                session, hashed(token), purpose, email, timedelta(hours=PROOF_HOURS), account_id=account.id
            )
            jobs.append(mail.post(raw(session), recipient, *write(token, account.email, email)))
        session.commit()
    for job in jobs:
        site.bell.ring(job)


def address_change(site: Site, token: str) -> str | None:
    """The address that a link of `ask_new_address` is about; None if it is not good (any more)."""
    with site.db.session() as session:
        link = address_links.good(session, hashed(token))
    return link.email if link is not None and link.account_id is not None else None


def confirm_address(site: Site, token: str) -> bool:
    """Spend one of the two links; True once both are spent and the account has its new address.

    Errors: Forbidden for a link that is not good (any more), Conflict where the address was taken meanwhile.
    """
    with site.db.session() as session:
        link = address_links.use(session, hashed(token))
        # Locked, so that of two at the same moment the second sees the first.
        account = accounts.locked(session, link.account_id) if link and link.account_id else None
        if link is None or account is None or account.disabled_at is not None:
            raise Forbidden("This link was used already or has expired.")
        is_whole = address_links.n_waiting(session, account.id) == 0
        if is_whole:
            _move(session, account, link.email, by=account.id)
        session.commit()
    return is_whole


def set_address(site: Site, email: str, new: str) -> None:
    """Change an account's address by an operator's word. Errors: InputError, Conflict."""
    new = checked_address(new)
    with site.db.session() as session:
        _move(session, _existing(session, email), new, by=None)
        session.commit()


def _move(session: Session, account: Account, email: str, *, by: int | None) -> None:
    _refuse_taken(session, email, account.id)
    audit.note(raw(session), by, None, "account.address", before=account.email, after=email)
    account.email = email
    session.add(account)
    address_links.drop_of_account(session, account.id)


def _refuse_taken(session: Session, email: str, account_id: int) -> None:
    other = accounts.by_email(session, email)
    if other is not None and other.id != account_id:
        raise Conflict(f"There is another account for {email}.")


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


def sign_out_everywhere(site: Site, account_id: int, *, revoke_tokens: bool = False) -> None:
    """End every session of the account and void its unused links; API tokens too, where that is wanted."""
    with site.db.session() as session:
        accounts.end_all(session, account_id)
        if revoke_tokens:
            _revoke_tokens(session, account_id, account_id)
        session.commit()


def who(site: Site, session_token: str) -> Account | None:
    """The account signed in with this session, if the session and the account still stand."""
    with site.db.session() as session:
        session_account = accounts.of_session(session, hashed(session_token))
    return session_account[0] if session_account else None


def needs_current_password(site: Site, session_token: str) -> bool:
    """Does `set_password` ask for the current password in this session?"""
    with site.db.session() as session:
        session_account = accounts.of_session(session, hashed(session_token))
    return (
        session_account is not None
        and session_account[0].password_hash is not None
        and not session_account[1].by_link
    )


def address_of(site: Site, account_id: int) -> str:
    """The address of an account; NotFound."""
    with site.db.session() as session:
        account = accounts.get(session, account_id)
    if account is None:
        raise NotFound("There is no such account.")
    return account.email


def id_of(site: Site, email: str) -> int:
    """The id of an owner's account; InputError if there is none."""
    return id_and_power(site, email)[0]


def id_and_power(site: Site, email: str) -> tuple[int, bool]:
    """The id of an owner's account, and whether it is an operator's; InputError if there is none."""
    with site.db.session() as session:
        account = _existing(session, email)
        return account.id, account.is_operator


def listed(site: Site) -> Sequence[Listed]:
    """Every account, by address: whose it is, what it owns, when it was last used."""
    with site.db.session() as session:
        return accounts.listed(session)


def disable(site: Site, email: str) -> None:
    """Shut an account out, at once; what it owns stays.

    An operator too, and the last one: a stolen account must be closed at once. InputError: there is none.
    """
    with site.db.session() as session:
        account = _existing(session, email)
        account.disabled_at = account.disabled_at or now()
        session.add(account)
        accounts.end_all(session, account.id)
        session.commit()


def enable(site: Site, email: str) -> None:
    """Let a disabled account in again. InputError: there is none."""
    with site.db.session() as session:
        account = _existing(session, email)
        account.disabled_at = None
        session.add(account)
        session.commit()


def set_operator(site: Site, email: str, *, is_operator: bool) -> None:
    """Let an account run the whole site, or no longer.

    Errors: InputError: there is none. Conflict: it is disabled, or the last operator.
    """
    with site.db.session() as session:
        account = _existing(session, email)
        if not is_operator:
            _keep_an_operator(session, account)
        elif account.disabled_at is not None:
            raise Conflict(f"The account {account.email} is disabled. Enable it first.")
        account.is_operator = is_operator
        session.add(account)
        session.commit()


def delete(site: Site, email: str) -> None:
    """Delete an account for good: sessions, API tokens, memberships and letters to it.

    What it did stays, without its name: decisions under a pseudonym, entries of logs with the address as it
    was. Errors: InputError: there is none. Conflict: it owns projects, or is the last operator.
    """
    with site.db.session() as session:
        account = _existing(session, email)
        _keep_an_operator(session, account)
        if slugs := accounts.owned(session, account.id):
            raise Conflict(
                f"{account.email} owns projects: {', '.join(slugs[:5])}{' ...' if len(slugs) > 5 else ''}."
                " Hand them over to somebody, or delete them, first."
            )
        pseudonym = hashlib.blake2b(
            f"account {account.id}".encode(), key=site.settings.key("expert"), digest_size=8
        )
        accounts.delete_account(session, account, expert=pseudonym.hexdigest())
        session.commit()
    mail.tidy(site)


def _existing(session: Session, email: str) -> Account:
    account = accounts.by_email(session, email.strip())
    if account is None:
        raise InputError(f"There is no account {email}. Make one: microtasks owner create {email}")
    return account


def _keep_an_operator(session: Session, account: Account) -> None:
    """Conflict if the site would have nobody to run it."""
    if account.is_operator and accounts.n_other_operators(session, account.id) == 0:
        raise Conflict(f"{account.email} is the only operator of this site. Make another one first.")


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


def _signed_in(
    site: Site, session: Session, session_token: str, current: str
) -> tuple[Account, OwnerSession]:
    """Who is signed in, once more with the current password where one is needed. Forbidden, TooMany."""
    session_account = accounts.of_session(session, hashed(session_token))
    if session_account is None:
        raise Forbidden("Please sign in again.")
    account, owner_session = session_account
    if account.password_hash and not owner_session.by_link:
        if not limits.allow(site, "password", owner_session.token_hash.hex()):
            raise TooMany("Too many tries with the current password. Please wait five minutes.")
        if not _verify(account.password_hash, current[: PASSWORD_MAX + 1]):
            raise Forbidden("The current password is not right.")
    return account, owner_session


def _revoke_tokens(session: Session, account_id: int, by: int | None) -> int:
    """Forget every API token of the account, in the caller's transaction; return how many there were."""
    revoked = tokens.drop_all(session, account_id)
    for token in revoked:
        audit.note(raw(session), by, token.project_id, "token.revoke", name=token.name)
    return len(revoked)


def checked_address(email: str) -> str:
    """The address as it is kept; InputError for what is none."""
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
