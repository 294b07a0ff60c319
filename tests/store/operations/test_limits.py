"""Rate limits with and without Redis, and the keyed hash of a network."""

from __future__ import annotations

import uuid
from unittest.mock import patch  # of the clock alone

import builders as b
import pytest
import redis

from microtasks.engine.site import Site
from microtasks.settings import Settings
from microtasks.store.operations import limits

PUBLIC = "203.0.113.7"


def without_redis(site: Site) -> Site:
    """The same site, whose Redis does not answer."""
    from microtasks.engine.site import open_site

    # A name of its own each time: what was counted in this process before must not count here.
    url = f"redis://127.0.0.1:1/0?client_name={uuid.uuid4().hex}"
    return open_site(site.settings.model_copy(update={"redis_url": url}))


def tries(site: Site, scope: str, key: str, n: int) -> list[bool]:
    return [limits.allow(site, scope, key) for _ in range(n)]


def test_T23_the_eleventh_sign_in_is_too_many(site: Site, queue: redis.Redis) -> None:
    email = f"{uuid.uuid4().hex}@example.org"
    assert tries(site, "login", email, 11) == [True] * 10 + [False]
    assert limits.allow(site, "login", email.upper()) is False
    assert limits.allow(site, "login", "other-" + email) is True


def test_T24_without_redis_sign_in_stays_limited_and_volunteers_are_let_in(site: Site) -> None:
    deaf = without_redis(site)
    assert tries(deaf, "login", PUBLIC, 11) == [True] * 10 + [False]
    assert tries(deaf, "identity", PUBLIC, 400) == [True] * 400


def test_T24_a_redis_that_stops_opens_no_sign_in(site: Site, queue: redis.Redis) -> None:
    email = f"{uuid.uuid4().hex}@example.org"
    assert tries(site, "login", email, 10) == [True] * 10
    limiter = limits._limiters[site.settings.redis_url]
    limiter.rest_until = float("inf")
    try:
        assert limits.allow(site, "login", email) is False
    finally:
        limiter.rest_until = 0.0


def test_many_new_identities_of_one_network_are_too_many(site: Site, queue: redis.Redis) -> None:
    network = b.network(uuid.uuid4().hex).hex()
    said = tries(site, "identity", network, 301)
    assert said[:300] == [True] * 300 and said[300] is False


def test_exempt_networks_have_no_limit(site: Site) -> None:
    for address in ("127.0.0.1", "10.1.2.3", "::1", "fd00::1", "::ffff:192.168.1.1"):
        assert tries(site, "login", address, 30) == [True] * 30


def test_T40_no_address_reaches_redis(site: Site, queue: redis.Redis) -> None:
    limits.allow(site, "link", PUBLIC)
    keys = b" ".join(queue.keys("*"))
    assert b"link" in keys and PUBLIC.encode() not in keys


def test_one_network_one_hash(site: Site) -> None:
    key = limits.Networks(site.db, site.settings)
    assert key("203.0.113.7") == key("203.0.113.250") == key("::ffff:203.0.113.9") != key("203.0.114.7")
    assert key("2001:db8:1::1") == key("2001:db8:1:ffff::2") != key("2001:db8:2::1")
    assert len(key("203.0.113.7") or b"") == 16


@pytest.mark.parametrize("address", ["127.0.0.1", "192.168.3.4", "fe80::1", "", "unknown", "unix:"])
def test_exempt_and_unknown_addresses_have_no_hash(site: Site, address: str) -> None:
    assert limits.Networks(site.db, site.settings)(address) is None


def test_T40_the_hash_is_of_this_period_and_this_site_alone(site: Site, settings: Settings) -> None:
    def hashed(of: Settings) -> bytes | None:  # as another process would ask
        return limits.Networks(site.db, of)(PUBLIC)

    here = hashed(settings)
    with patch.object(limits.time, "time", lambda: 31 * 86400.0):
        before = hashed(settings)
    other = hashed(settings.model_copy(update={"secret_key": type(settings.secret_key)("u" * 32)}))
    assert hashed(settings) == here
    assert len({here, before, other}) == 3
    with site.db.connection() as connection:
        assert connection.execute("SELECT count(*) FROM network_key").fetchone() == (2,)


@pytest.mark.parametrize(
    ("first", "neighbour", "stranger"),
    [
        ("192.0.2.7", "192.0.2.200", "192.0.3.7"),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:9:2::1"),
        ("::ffff:198.51.100.7", "198.51.100.9", "198.51.101.7"),
    ],
)
def test_T24_a_limit_counts_the_network_not_the_address(
    site: Site, first: str, neighbour: str, stranger: str
) -> None:
    assert [limits.allow(site, "link", first) for _ in range(11)] == [True] * 10 + [False]
    assert not limits.allow(site, "link", neighbour)
    assert not limits.allow_each(site, ("link", neighbour))
    assert limits.allow(site, "link", stranger)


def test_T24_a_site_with_a_whole_48_has_four_budgets_and_no_more(site: Site) -> None:
    allowed = [limits.allow(site, "link", f"2001:db8:77:{n:x}::1") for n in range(100)]
    assert allowed == [True] * 40 + [False] * 60
