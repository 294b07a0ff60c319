"""The outbox: written with what it tells of, sent once, tried again, never in clear where it must not be."""

from __future__ import annotations

import email
import email.policy
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from pydantic import SecretStr

from microtasks.core.errors import NotFound
from microtasks.engine.accounts import mail
from microtasks.engine.operations import jobs
from microtasks.engine.site import Site
from microtasks.settings import Settings
from microtasks.store.operations import limits


class Box:
    """What a mail server received; `says` is its next words to a letter or a mailbox."""

    def __init__(self) -> None:
        self.letters: list[Envelope] = []
        self.says_to_letter: list[str] = []
        self.says_to_mailbox: list[str] = []

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.says_to_mailbox:
            return self.says_to_mailbox.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.says_to_letter:
            return self.says_to_letter.pop(0)
        self.letters.append(envelope)
        return "250 OK"


class Plain(Controller):
    def factory(self) -> SMTP:
        return SMTP(self.handler, auth_require_tls=False, **self.SMTP_kwargs)


@pytest.fixture
def box(site: Site) -> Iterator[Box]:
    """A real SMTP server, which the site's settings name."""
    box = Box()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = Plain(box, hostname="127.0.0.1", port=port)
    server.start()
    site.settings.smtp_url = SecretStr(f"smtp+plain://127.0.0.1:{port}")
    site.settings.mail_from = "Microtasks <tasks@example.org>"
    yield box
    server.stop()


def post(site: Site, to: str = "cy@example.org", subject: str = "Hello", text: str = "A link.\n") -> int:
    with site.db.connection() as connection:
        return mail.post(connection, to, subject, text)


def rows(site: Site, query: str, *parameters: Any) -> list[Any]:
    with site.db.connection() as connection:
        return connection.execute(query, parameters).fetchall()


def state(site: Site) -> list[Any]:
    return rows(site, "SELECT state, attempts FROM mail ORDER BY id")


def let_pause_pass(site: Site) -> None:
    rows(site, "UPDATE mail SET due_at = now() RETURNING 1")
    mail.queue_due(site)


def run_jobs(site: Site) -> None:
    for (job,) in rows(site, "SELECT id FROM job WHERE state = 'queued' ORDER BY id"):
        assert jobs.run(site, job) == "done"


def test_a_letter_is_sent_by_its_job_once_and_what_it_said_is_emptied(site: Site, box: Box) -> None:
    job = post(site, text="Öffnen Sie https://tasks.example.org/keep/abc\n")
    assert jobs.run(site, job) == "done"
    for _ in range(2):
        (mail_id,) = rows(site, "SELECT id FROM mail")[0]
        mail.send(site, mail_id)
        let_pause_pass(site)
        run_jobs(site)
    (letter,) = box.letters
    assert letter.rcpt_tos == ["cy@example.org"]
    assert letter.content is not None
    read = email.message_from_bytes(bytes(letter.content), policy=email.policy.default)
    assert (read["From"], read["To"], read["Subject"]) == (
        "Microtasks <tasks@example.org>",
        "cy@example.org",
        "Hello",
    )
    assert "Öffnen Sie https://tasks.example.org/keep/abc" in read.get_content()
    assert rows(site, "SELECT state, body, error FROM mail") == [("sent", "", None)]


def test_a_letter_is_part_of_its_use_cases_transaction(site: Site) -> None:
    with pytest.raises(RuntimeError), site.db.connection() as connection:
        mail.post(connection, "cy@example.org", "Hello", "text")
        raise RuntimeError
    assert rows(site, "SELECT 1 FROM mail UNION ALL SELECT 1 FROM job") == []


def test_what_does_not_work_is_tried_again_with_growing_pauses_and_given_up(site: Site, box: Box) -> None:
    box.says_to_letter = ["451 Try again later"] * (len(mail.PAUSES) + 1)
    run = post(site)
    assert jobs.run(site, run) == "done"
    pauses = []
    for _ in mail.PAUSES:
        pauses.append(
            rows(site, "SELECT round(extract(epoch FROM due_at - now()) / 10) * 10 FROM mail")[0][0]
        )
        assert rows(site, "SELECT state, error LIKE '%%451%%' FROM mail") == [("queued", True)]
        assert mail.queue_due(site) == 0  # not yet
        let_pause_pass(site)
        run_jobs(site)
    assert pauses == list(mail.PAUSES)
    assert state(site) == [("failed", len(mail.PAUSES) + 1)]
    assert box.letters == []
    (mail_id,) = rows(site, "SELECT id FROM mail")[0]
    mail.try_again(site, mail_id)
    run_jobs(site)
    assert state(site) == [("sent", 1)] and len(box.letters) == 1
    with pytest.raises(NotFound):
        mail.try_again(site, mail_id)


@pytest.mark.parametrize("where", ["letter", "mailbox"])
def test_what_the_server_refuses_for_good_is_not_tried_again(site: Site, box: Box, where: str) -> None:
    refusals = box.says_to_letter if where == "letter" else box.says_to_mailbox
    refusals.append("550 No such mailbox")
    jobs.run(site, post(site))
    assert state(site) == [("failed", 1)]
    assert rows(site, "SELECT error LIKE '%%No such mailbox%%' FROM mail") == [(True,)]


def test_two_workers_send_a_letter_once_and_a_dead_ones_letter_is_sent_by_the_next(
    site: Site, box: Box
) -> None:
    post(site)
    (mail_id,) = rows(site, "SELECT id FROM mail")[0]
    rows(site, "UPDATE mail SET state = 'sending', due_at = now() + interval '10 min' RETURNING 1")
    mail.send(site, mail_id)  # another one is at it
    assert box.letters == []
    let_pause_pass(site)  # that one died
    run_jobs(site)
    assert len(box.letters) == 1 and state(site)[0][0] == "sent"


@pytest.mark.parametrize(
    ("to", "subject"),
    [
        ("cy@example.org\nBcc: evil@example.org", "Hello"),
        ("cy@example.org", "Hello\r\nBcc: evil@example.org"),
    ],
)
def test_nothing_can_be_put_into_the_headers(site: Site, box: Box, to: str, subject: str) -> None:
    jobs.run(site, post(site, to, subject))
    assert all(letter.rcpt_tos == ["cy@example.org"] for letter in box.letters)
    assert all(b"\nBcc:" not in bytes(letter.content or b"") for letter in box.letters)
    assert state(site)[0][0] == ("failed" if "\n" in to else "sent")


def test_a_letter_that_must_be_encrypted_is_not_sent_in_clear(site: Site, box: Box) -> None:
    clear = site.settings.smtp_url.get_secret_value()
    site.settings.smtp_url = SecretStr(clear.replace("smtp+plain://", "smtp://user:pass-word@"))
    jobs.run(site, post(site))
    assert box.letters == []
    assert rows(site, "SELECT state, error LIKE '%%STARTTLS%%', error LIKE '%%pass-word%%' FROM mail") == [
        ("queued", True, False)
    ]


def test_without_a_server_letters_lie_in_the_data_folder_for_their_operator(site: Site) -> None:
    jobs.run(site, post(site, subject="مرحبا", text="رابط\n"))
    (file,) = (site.settings.data / "mail").glob("*")
    assert file.suffix == ".eml" and file.parent.stat().st_mode & 0o077 == 0
    read = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
    assert (read["Subject"], read.get_content()) == ("مرحبا", "رابط\n")
    assert rows(site, "SELECT state, body FROM mail") == [("filed", "رابط\n")]


def test_letters_that_are_over_are_deleted_and_waiting_ones_stay(site: Site) -> None:
    for name in ("sent", "filed", "failed", "queued"):
        post(site)
        rows(
            site,
            "UPDATE mail SET state = %s, created_at = now() - interval '8 days'"
            " WHERE id = (SELECT max(id) FROM mail) RETURNING 1",
            name,
        )
    mail.clean(site)
    assert [row[0] for row in state(site)] == ["queued"]


def test_T40_the_file_of_a_letter_goes_with_its_row(site: Site) -> None:
    """Without a mail server each letter is a file with an address and a link in it."""
    folder = site.settings.data / "mail"
    jobs.run(site, post(site, to="ada@example.org"))
    jobs.run(site, post(site, to="ben@example.org"))
    (folder / "operator's note.txt").write_text("not ours")
    rows(
        site,
        "UPDATE mail SET created_at = now() - interval '8 days' WHERE recipient LIKE 'ada%%' RETURNING 1",
    )
    mail.clean(site)
    (file,) = folder.glob("*.eml")
    assert b"ben@example.org" in file.read_bytes()
    rows(site, "DELETE FROM mail RETURNING 1")  # as "forget me" does
    mail.tidy(site)
    assert [it.name for it in folder.iterdir()] == ["operator's note.txt"]


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"smtp_url": "mail.example.org"}, "SMTP_URL must be"),
        ({"smtp_url": "http://mail.example.org"}, "SMTP_URL must be"),
        ({"smtp_url": "smtp+plain://mail.example.org"}, "unencrypted"),
        ({"smtp_url": "smtp+plain://8.8.4.4"}, "unencrypted"),
        ({"mail_from": ""}, "MAIL_FROM"),
        ({"mail_from": "a@b.org\nBcc: x@y.org"}, "MAIL_FROM"),
        ({"base_url": ""}, "BASE_URL"),
    ],
)
def test_T36_mail_settings_that_cannot_work_are_named(values: dict[str, str], word: str) -> None:
    good = {
        "secret_key": "u7" * 20,
        "database_url": "postgresql://u@h/d",
        "redis_url": "redis://localhost",
        "smtp_url": "smtp://user:secret-word@mail.example.org:587",
        "mail_from": "Microtasks <tasks@example.org>",
        "base_url": "https://tasks.example.org",
    }
    assert Settings(**good).problems() == []  # type: ignore[arg-type]
    settings = Settings(**good | values)  # type: ignore[arg-type]
    (sentence,) = settings.problems()
    assert word in sentence
    assert "secret-word" not in repr(settings) + sentence


def test_limits_of_letters_hold_without_redis_too() -> None:
    assert limits.LIMITS["mail_to"].is_strict and limits.LIMITS["mail_from"].is_strict
