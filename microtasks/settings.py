"""Settings, from the environment (prefix MICROTASKS_, or DATABASE_URL and REDIS_URL as hosts set them).

Nothing is read at import: call `Settings()` once, at the edge, and pass it on.
"""

from __future__ import annotations

import hashlib
import re
from email.utils import parseaddr
from functools import cache
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from microtasks.core.errors import SettingsInvalid

Network = IPv4Network | IPv6Network
#: Addresses of a demo, a test, or an exhibition's own network: exempt from caps and rate limits.
PRIVATE_NETWORKS = "127.0.0.0/8,::1/128,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7,fe80::/10"
#: Words from examples and documentation; no random secret holds one.
KNOWN_SECRETS = ("secret", "changeme", "change-me", "password", "example", "microtasks", "foobar", "default")


def is_private(host: str) -> bool:
    """Is it an address of this machine or its own network? host: a name or an address, without a port."""
    try:
        return ip_address(host).is_private
    except ValueError:
        return "." not in host  # a name that only this network knows


@cache
def _derived(secret: str, purpose: str) -> bytes:
    return hashlib.blake2b(purpose.encode(), key=secret.encode()[:64], digest_size=32).digest()


class Settings(BaseSettings):
    """One object for web, worker, clock and command line."""

    model_config = SettingsConfigDict(env_prefix="MICROTASKS_", extra="ignore", populate_by_name=True)

    # where things are
    data: Path = Field(
        Path("microtasks-data"), description="Folder for images, uploads and the embedded servers."
    )
    storage: str = Field(
        "",
        description="Images and uploads: empty, in the data folder; or s3://bucket/prefix, for all hosts.",
    )
    database_url: str = Field(
        "",
        validation_alias=AliasChoices("database_url", "MICROTASKS_DATABASE_URL", "DATABASE_URL"),
        description="PostgreSQL, as postgresql://user:password@host/name. Empty: an embedded one is started.",
    )
    redis_url: str = Field(
        "",
        validation_alias=AliasChoices("redis_url", "MICROTASKS_REDIS_URL", "REDIS_URL"),
        description="Redis or Valkey, as redis://host:6379/0. Empty: an embedded one is started.",
    )
    base_url: str = Field("", description="Public address of the site, used in links that leave it.")

    operator: str = Field(
        "", max_length=200, description="Who runs the site, as its privacy page names them."
    )
    contact: str = Field(
        "",
        max_length=200,
        pattern=r"^(|[^\s@<>\"']+@[^\s@<>\"']+|https://[^\s<>\"']+)$",
        description="Where people may write about the site: an e-mail address, or a page (https://...).",
    )

    # letters
    smtp_url: SecretStr = Field(
        SecretStr(""),
        description="Mail server: smtp://user:password@host:587 (STARTTLS), smtps://...:465 (TLS), or "
        "smtp+plain://... for a relay on this network. Empty: letters are written to the data folder.",
    )
    mail_from: str = Field(
        "", description="Sender of letters: an address, or a name with it in angle brackets."
    )

    # safety
    production: bool = Field(False, description="Refuse to start with settings that are not safe in public.")
    secret_key: SecretStr = Field(
        SecretStr(""), description="At least 32 random characters; signs cookies, leases and network hashes."
    )
    trusted_proxies: int = Field(
        0, ge=0, le=9, description="How many reverse proxies stand in front. Production must say it."
    )
    exempt_networks: Annotated[list[Network], NoDecode] = Field(
        default=PRIVATE_NETWORKS,
        validate_default=True,
        description="Networks without the per-network cap and rate limits (comma-separated).",
    )

    flask_debug: bool = Field(
        False, validation_alias="FLASK_DEBUG", description="Flask's own switch; production refuses it."
    )

    # limits
    max_answer_bytes: int = Field(1 << 20, ge=1024, description="Largest body of an answer request.")
    max_form_bytes: int = Field(1 << 20, ge=1024, description="Largest body of an ordinary form.")
    max_upload_bytes: int = Field(2 << 30, ge=1024, description="Largest upload of a batch.")
    max_pending_bytes: int = Field(
        8 << 30, ge=1024, description="Most that one account may have announced in pieces and not finished."
    )
    max_piece_bytes: int = Field(
        8 << 20, ge=1024, description="Largest piece of an upload that is sent in pieces."
    )
    max_unpacked_bytes: int = Field(
        8 << 30, ge=1024, description="Largest total size of the files inside a ZIP."
    )
    max_batch_files: int = Field(20_000, ge=1, description="Most files in one batch.")
    max_batch_rows: int = Field(1_000_000, ge=1, description="Most rows in one batch.")
    max_image_pixels: int = Field(
        50_000_000, ge=10_000, le=500_000_000, description="Largest image, width times height."
    )

    # pace
    lease_seconds: int = Field(
        600, ge=5, le=604_800, description="How long a task handed out is kept for its volunteer."
    )
    sweep_seconds: float = Field(1.0, gt=0, le=3600, description="How often expired leases are taken back.")
    job_attempts: int = Field(3, ge=1, le=100, description="How often a failing job is tried.")
    job_stale_seconds: int = Field(
        60, ge=1, le=86_400, description="A job without a heartbeat for so long is started again."
    )
    export_days: int = Field(14, ge=1, le=3650, description="How long the file of an export is kept.")
    session_days: int = Field(30, ge=1, le=400, description="How long an owner stays signed in.")
    signin_link_minutes: int = Field(
        60, ge=1, le=10_080, description="How long a one-time sign-in link works."
    )

    # backups
    backup_every: float = Field(0, ge=0, description="Hours between two backups by the clock; 0: none.")
    backup_keep: int = Field(7, ge=1, description="How many of the clock's backups are kept.")
    backup_folder: Path | None = Field(
        None, description="Where the clock's backups are kept. Empty: `backups` in the data folder."
    )

    # processes
    web_processes: int = Field(2, ge=1, description="Web server processes.")
    web_threads: int = Field(4, ge=1, description="Threads in each web server process.")
    worker_processes: int = Field(1, ge=1, description="Worker processes.")
    pool_size: int = Field(8, ge=1, description="Database connections of one web process.")

    @field_validator("exempt_networks", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return (
            [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value
        )

    def problems(self) -> list[str]:
        """What cannot work or, in production, is not safe: one plain sentence each. Empty: nothing."""
        secret = self.secret_key.get_secret_value()
        base, redis, storage = map(urlsplit, (self.base_url, self.redis_url, self.storage))
        found: dict[str, object] = {
            "MICROTASKS_SECRET_KEY is not set: give it at least 32 random characters.": not secret,
            "DATABASE_URL is not set.": not self.database_url,
            "DATABASE_URL must be a PostgreSQL address such as postgresql://user:password@host/name.": (
                self.database_url and not self.database_url.startswith(("postgresql", "postgres:"))
            ),
            "MICROTASKS_STORAGE must be an address such as s3://bucket/prefix.": (
                self.storage and not (storage.scheme == "s3" and storage.netloc)
            ),
            "REDIS_URL is not set.": not self.redis_url,
            "REDIS_URL must begin with redis://, rediss:// or unix://.": (
                self.redis_url and redis.scheme not in ("redis", "rediss", "unix")
            ),
            "MICROTASKS_BASE_URL must be an address such as https://tasks.example.org.": (
                self.base_url and not (base.scheme in ("http", "https") and base.hostname)
            ),
        }
        found |= self._mail_problems()
        if self.production:
            is_open = any(
                not network.is_private and network.prefixlen < (16 if network.version == 4 else 32)
                for network in self.exempt_networks
            )
            found |= {
                "MICROTASKS_SECRET_KEY is too short: it needs at least 32 characters.": 0 < len(secret) < 32,
                "MICROTASKS_SECRET_KEY is easy to guess: make a random one.": len(secret) >= 32
                and (len(set(secret)) < 10 or any(word in secret.lower() for word in KNOWN_SECRETS)),
                "MICROTASKS_BASE_URL is not set: links that leave the site need its public address.": (
                    not self.base_url
                ),
                "MICROTASKS_BASE_URL must begin with https:// in production.": base.scheme == "http",
                "REDIS_URL needs a password: this Redis is on another machine.": (
                    redis.scheme in ("redis", "rediss")
                    and redis.hostname not in (None, "localhost", "127.0.0.1", "::1")
                    and not redis.password
                ),
                "FLASK_DEBUG is on: production must not show its insides.": self.flask_debug,
                "MICROTASKS_EXEMPT_NETWORKS holds so much of the internet that hardly anything is limited.": (
                    is_open
                ),
                "MICROTASKS_TRUSTED_PROXIES is not set: say how many reverse proxies stand in front of the "
                "site, or every visitor seems to come from the last one, and no limit holds.": (
                    "trusted_proxies" not in self.model_fields_set
                ),
                "MICROTASKS_TRUSTED_PROXIES is 0, but an https address means that a proxy stands in front.": (
                    "trusted_proxies" in self.model_fields_set
                    and not self.trusted_proxies
                    and base.scheme == "https"
                ),
            }
        return [sentence for sentence, is_so in found.items() if is_so]

    def _mail_problems(self) -> dict[str, object]:
        """What is wrong with the mail server, and whether it is."""
        if not self.smtp_url.get_secret_value():
            return {}
        server = urlsplit(self.smtp_url.get_secret_value())
        try:
            is_address = server.scheme in ("smtp", "smtps", "smtp+plain") and bool(server.hostname)
            is_address = is_address and server.port != 0
        except ValueError:
            is_address = False
        is_near = is_address and (is_private(server.hostname or ""))
        sender = parseaddr(self.mail_from)[1]
        return {
            "MICROTASKS_SMTP_URL must be an address such as smtp://user:password@mail.example.org:587.": (
                not is_address
            ),
            "MICROTASKS_SMTP_URL sends letters and the password unencrypted to another network: "
            "use smtp:// or smtps://.": is_address and server.scheme == "smtp+plain" and not is_near,
            "MICROTASKS_MAIL_FROM must be an address such as Microtasks <tasks@example.org>.": (
                not re.fullmatch(r"[^@\s]+@[^@\s]+", sender) or not self.mail_from.isprintable()
            ),
            "MICROTASKS_BASE_URL is not set: links in letters need the site's public address.": (
                not self.base_url and not self.production
            ),
        }

    def check(self) -> None:
        """Refuse settings that cannot work or are not safe. Errors: SettingsInvalid with every reason."""
        if problems := self.problems():
            raise SettingsInvalid(" ".join(problems))

    def key(self, purpose: str) -> bytes:
        """32 bytes derived from the secret for one purpose, so that no two uses share a key."""
        return _derived(self.secret_key.get_secret_value(), purpose)

    @property
    def is_https(self) -> bool:
        """Cookies are then Secure, with the __Host- prefix."""
        return self.base_url.startswith("https://")

    @property
    def trusted_hosts(self) -> list[str]:
        """Host names that requests may carry; empty: any (no public address is set)."""
        name = urlsplit(self.base_url).hostname
        return [name.rstrip("."), "127.0.0.1", "localhost", "::1"] if name else []


def read(**values: Any) -> Settings:
    """The settings of the environment; these values go first. Errors: SettingsInvalid, by variable."""
    try:
        return Settings(**values)
    except ValidationError as error:
        problems = {"_".join(map(str, problem["loc"])): problem["msg"] for problem in error.errors()}
        raise SettingsInvalid(
            " ".join(
                f"{name if name.isupper() else 'MICROTASKS_' + name.upper()}: {message}."
                for name, message in problems.items()
            )
        ) from None


def environment_name(name: str) -> str:
    """The variable that sets this setting."""
    alias = Settings.model_fields[name].validation_alias
    if alias is None:
        return f"MICROTASKS_{name.upper()}"
    return str(alias.choices[-1]) if isinstance(alias, AliasChoices) else str(alias)


def table() -> str:
    """Every setting as a Markdown table, for docs/settings.md: `python -m microtasks.settings`."""
    lines = ["| Variable | Default | What it is |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = "" if isinstance(field.default, SecretStr) else str(field.default).replace(",", ", ")
        shown = f"`{default}`" if default else ""
        lines.append(f"| `{environment_name(name)}` | {shown} | {field.description} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
