"""Letters: written into the outbox with what they tell of, sent by a job, tried again with growing pauses.

Without a mail server in the settings each letter is written into the data folder, and its operator reads it
on the page "Mail". A letter is never sent again once a server took it. One that dies between the server's
yes and our note of it is sent twice, with the same Message-ID, rather than not at all.
"""

from __future__ import annotations

import hashlib
import logging
import os
import smtplib
import ssl
import tempfile
from email.message import EmailMessage
from email.utils import format_datetime
from urllib.parse import unquote, urlsplit

from microtasks.core.errors import NotFound
from microtasks.engine.site import Site
from microtasks.store import db, jobs
from microtasks.store.accounts import mail as outbox
from microtasks.store.db import Connection

log = logging.getLogger(__name__)

#: Seconds until the next try after the first, second, ... one failed; after the last it is given up.
PAUSES = (60, 300, 900, 3600, 4 * 3600, 12 * 3600, 24 * 3600)
TIMEOUT_SECONDS = 30
#: Letters that are over are deleted after so many days, addresses with them.
KEPT_DAYS = 7
#: Where letters lie below the data folder while there is no mail server.
FOLDER = "mail"
PORTS = {"smtp": 587, "smtps": 465, "smtp+plain": 25}


def post(connection: Connection, recipient: str, subject: str, text: str) -> int:
    """Put a letter into the outbox, in the use case's transaction; return the job to ring for after it."""
    return jobs.add(connection, "mail", outbox.add(connection, recipient, " ".join(subject.split()), text))


def send(site: Site, mail_id: int) -> None:
    """Send one letter, if it still waits and its time has come (job `mail`).

    1. Take it: whoever comes second finds nothing. 2. Hand it to the server, or to the data folder.
    3. Note how that went: sent; again after a pause; or given up, for good reasons or after the last pause.
    """
    with site.db.connection() as connection:
        letter = outbox.take(connection, mail_id)
    if letter is None:
        return
    facts = {"mail": letter.id, "attempt": letter.attempts}
    try:
        if site.settings.smtp_url.get_secret_value():
            _hand_over(site, message(site, letter))
            note = outbox.sent
        else:
            _file(site, letter)
            note = outbox.filed
    except (OSError, ValueError, smtplib.SMTPException) as error:
        reason = f"{type(error).__name__}: {error}"[:500]
        log.warning("mail_not_sent", extra=facts | {"reason": type(error).__name__})
        with site.db.connection() as connection:
            if _is_final(error) or letter.attempts > len(PAUSES):
                outbox.give_up(connection, letter, reason)
            else:
                outbox.put_off(connection, letter, reason, PAUSES[letter.attempts - 1])
        return
    with site.db.connection() as connection:
        note(connection, letter)
    if note is outbox.filed:
        tidy(site)  # on a host of its own this folder is seen by nobody else
    log.info("mail_sent", extra=facts)


def queue_due(site: Site) -> int:
    """Queue a job for each letter whose time has come; return how many (clock)."""
    with site.db.connection() as connection:
        job_ids = [jobs.add(connection, "mail", mail_id) for mail_id in outbox.due(connection)]
    for job in job_ids:
        site.bell.ring(job)
    return len(job_ids)


def try_again(site: Site, mail_id: int) -> None:
    """Let a letter that was given up, or that waits, be tried at once. NotFound."""
    with site.db.connection() as connection:
        if not outbox.again(connection, mail_id):
            raise NotFound("There is no such message to send.")
        job = jobs.add(connection, "mail", mail_id)
    site.bell.ring(job)


def clean(site: Site) -> None:
    """Delete letters that are over, and links that ended (clock)."""
    with site.db.connection() as connection:
        outbox.drop_old(connection, KEPT_DAYS)
    tidy(site)


def tidy(site: Site) -> None:
    """Delete the files of letters whose row is gone, on this host."""
    files = {file for file in (site.settings.data / FOLDER).glob("*.eml") if file.stem.isdecimal()}
    if not files:
        return
    with site.db.connection() as connection:
        known = outbox.known(connection, [int(file.stem) for file in files])
    for file in files:
        if int(file.stem) not in known:
            file.unlink(missing_ok=True)


def message(site: Site, letter: outbox.Letter) -> EmailMessage:
    """The letter as it goes out. Errors: ValueError for an address or subject that is not one line."""
    sender = site.settings.mail_from or "microtasks@localhost"
    domain = urlsplit(site.settings.base_url).hostname or "localhost"
    key = hashlib.blake2b(f"{letter.id}".encode(), key=site.settings.key("mail"), digest_size=8)
    made = EmailMessage()
    made["From"] = sender
    made["To"] = _ascii_domain(letter.recipient)
    made["Subject"] = letter.subject
    made["Date"] = format_datetime(db.now())
    made["Message-ID"] = f"<{letter.id}.{key.hexdigest()}@{domain}>"  # the same at every try
    made["Auto-Submitted"] = "auto-generated"
    made.set_content(letter.body)
    return made


def _hand_over(site: Site, letter: EmailMessage) -> None:
    """Speak to the server. `smtp://` goes on encrypted or not at all."""
    url = urlsplit(site.settings.smtp_url.get_secret_value())
    host, port = url.hostname or "", url.port or PORTS[url.scheme]
    context = ssl.create_default_context()
    if url.scheme == "smtps":
        server: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_SECONDS, context=context)
    else:
        server = smtplib.SMTP(host, port, timeout=TIMEOUT_SECONDS)
    with server:
        if url.scheme == "smtp":
            server.starttls(context=context)
        if url.username:
            server.login(unquote(url.username), unquote(url.password or ""))
        server.send_message(letter)


def _file(site: Site, letter: outbox.Letter) -> None:
    """Write the letter into the data folder, for its operator alone to read."""
    folder = site.settings.data / FOLDER
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, name = tempfile.mkstemp(dir=folder)
    with os.fdopen(handle, "wb") as file:
        file.write(message(site, letter).as_bytes())
        file.flush()
        os.fsync(file.fileno())
    os.replace(name, folder / f"{letter.id:08}.eml")


def _is_final(error: Exception) -> bool:
    """Will it never work? The server knows no such mailbox or refuses the text, or it is no letter at all."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(code >= 500 for code, _ in error.recipients.values())
    return isinstance(error, ValueError) or (
        isinstance(error, smtplib.SMTPDataError) and error.smtp_code >= 500
    )


def _ascii_domain(address: str) -> str:
    name, _, domain = address.rpartition("@")
    try:
        return f"{name}@{domain.encode('idna').decode()}"
    except UnicodeError:
        return address
