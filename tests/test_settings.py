"""Settings: documented, plain about what is wrong, closed in production."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest
import redis

from microtasks import settings as module
from microtasks.core.errors import SettingsInvalid
from microtasks.engine.operations import startup
from microtasks.engine.site import Site, open_site
from microtasks.settings import Settings
from microtasks.store.operations import servers

GOOD = {
    "production": True,
    "secret_key": secrets.token_urlsafe(48),
    "base_url": "https://tasks.example.org",
    "database_url": "postgresql://u:p@db.example.org/microtasks",
    "redis_url": "redis://:p@redis.example.org:6379/0",
    "trusted_proxies": 1,
}


def test_T36_a_good_production_starts():
    Settings(**GOOD).check()


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"secret_key": ""}, "SECRET_KEY is not set"),
        ({"secret_key": "kP3x"}, "too short"),
        ({"secret_key": "changeme" * 5}, "easy to guess"),
        ({"secret_key": "a" * 48}, "easy to guess"),
        ({"base_url": ""}, "BASE_URL is not set"),
        ({"base_url": "http://tasks.example.org"}, "https://"),
        ({"base_url": "tasks.example.org"}, "must be an address"),
        ({"database_url": ""}, "DATABASE_URL is not set"),
        ({"database_url": "sqlite:////mnt/share/tasks.db"}, "must be a PostgreSQL address"),
        ({"redis_url": ""}, "REDIS_URL is not set"),
        ({"redis_url": "http://redis"}, "REDIS_URL must begin"),
        ({"redis_url": "redis://redis.example.org"}, "needs a password"),
        ({"flask_debug": True}, "FLASK_DEBUG"),
        ({"exempt_networks": "0.0.0.0/0"}, "so much of the internet"),
        ({"exempt_networks": "0.0.0.0/1,128.0.0.0/1"}, "so much of the internet"),
        ({"exempt_networks": "10.0.0.0/8,2000::/3"}, "so much of the internet"),
        ({"trusted_proxies": 0}, "TRUSTED_PROXIES is 0"),
    ],
)
def test_T36_an_unsafe_production_is_refused_with_a_plain_sentence(change: dict[str, object], word: str):
    bad = Settings(**{**GOOD, **change})
    with pytest.raises(SettingsInvalid, match=word) as refusal:
        open_site(bad)
    assert len(bad.problems()) == 1
    assert GOOD["secret_key"] not in refusal.value.message


def test_T36_secrets_do_not_show():
    assert GOOD["secret_key"] not in repr(Settings(**GOOD))


def test_T36_a_redis_that_throws_keys_away_is_refused(site: Site, queue: redis.Redis):
    assert servers.redis_problems(queue) == []
    queue.config_set("maxmemory-policy", "allkeys-lru")
    try:
        assert any("noeviction" in sentence for sentence in startup.problems(site))
    finally:
        queue.config_set("maxmemory-policy", "noeviction")


def test_P01_a_database_that_may_lose_answers_is_named(site: Site):
    with site.db.connection() as connection:
        connection.execute("SET LOCAL synchronous_commit = off")
        found = servers.database_problems(connection)
    assert any("synchronous_commit=off" in sentence for sentence in found)


def test_a_value_that_is_no_number_is_named_by_its_variable(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MICROTASKS_LEASE_SECONDS", "soon")
    with pytest.raises(SettingsInvalid, match="MICROTASKS_LEASE_SECONDS"):
        module.read()


def test_urls_come_by_the_names_that_hosts_set(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://here")
    monkeypatch.setenv("REDIS_URL", "redis://there")
    assert (Settings().database_url, Settings().redis_url) == ("postgresql://here", "redis://there")


def test_every_setting_has_its_line_in_the_documentation():
    page = (Path(__file__).parent.parent / "docs/settings.md").read_text()
    assert module.table() in page, (
        "run: python -m microtasks.settings, and put the table into docs/settings.md"
    )
    assert all(field.description for field in Settings.model_fields.values())


def test_T24_production_must_say_how_many_proxies_stand_in_front():
    unsaid = {name: value for name, value in GOOD.items() if name != "trusted_proxies"}
    with pytest.raises(SettingsInvalid, match="TRUSTED_PROXIES is not set"):
        Settings(**unsaid).check()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MAX_ANSWER_BYTES", "-1"),
        ("MAX_FORM_BYTES", "0"),
        ("MAX_UPLOAD_BYTES", "-5"),
        ("SESSION_DAYS", "0"),
        ("SIGNIN_LINK_MINUTES", "-1"),
        ("SWEEP_SECONDS", "0"),
        ("JOB_ATTEMPTS", "0"),
        ("EXEMPT_NETWORKS", "10.0.0.1/8"),
        ("TRUSTED_PROXIES", "-1"),
    ],
)
def test_T36_a_number_that_makes_no_sense_is_refused_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
):
    monkeypatch.setenv(f"MICROTASKS_{variable}", value)
    with pytest.raises(SettingsInvalid, match=f"MICROTASKS_{variable}"):
        module.read()
