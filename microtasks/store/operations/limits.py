"""How often: rate limits in Redis, and the keyed hash of a network for the cap of seats per network.

No address is stored anywhere: Redis and the database see keyed hashes only.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Protocol

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from redis.exceptions import RedisError

from microtasks.settings import Settings
from microtasks.store.db import Connection, Database
from microtasks.store.operations.housekeeping import NETWORK_PERIOD_DAYS

PERIOD_SECONDS = NETWORK_PERIOD_DAYS * 86400
#: After Redis did not answer, nobody waits for it again for so long.
REDIS_REST_SECONDS = 5.0
REDIS_TIMEOUT_SECONDS = 0.5
KNOWN_ADDRESSES_MAX = 10_000


class HasSettings(Protocol):
    """What `allow` needs of a Site."""

    @property
    def settings(self) -> Settings: ...


@dataclass(frozen=True, slots=True)
class Limit:
    """is_strict: without Redis each process still counts by itself; otherwise everybody is let in."""

    item: RateLimitItem
    is_strict: bool


#: Figures of sign-in as PyPI's. Volunteers are limited only where a new identity is made.
LIMITS = {
    "login": Limit(parse("10 per 5 minutes"), True),  # per account, and per address
    "login_all": Limit(parse("1000 per 5 minutes"), True),  # of the whole site; any key
    "password": Limit(parse("10 per 5 minutes"), True),  # tries of the current one, per session
    "link": Limit(parse("10 per 5 minutes"), True),  # tries of one-time links, per address
    "identity": Limit(parse("300 per hour"), False),  # new contributors, per network
    "mail_to": Limit(parse("3 per hour"), True),  # letters asked for, per e-mail address
    "mail_from": Limit(parse("10 per hour"), True),  # the same, per contributor, and per IP address
    "certificate": Limit(parse("30 per hour"), False),  # made, per contributor
    "team": Limit(parse("10 per hour"), False),  # made, per contributor or account
    "report": Limit(parse("60 per hour"), False),  # per contributor
    "token": Limit(parse("600 per minute"), False),  # requests with API tokens, per account
    "token_wrong": Limit(parse("60 per 5 minutes"), True),  # with tokens that are not good, per address
    "upload": Limit(parse("120 per hour"), False),  # batches, per account
}


class _Limiter:
    """Counts in Redis, and for strict limits in this process too, so that a stopped Redis opens nothing."""

    def __init__(self, redis_url: str) -> None:
        self.here = SlidingWindowCounterRateLimiter(MemoryStorage())
        self.redis: SlidingWindowCounterRateLimiter | None = None
        self.url = redis_url
        self.rest_until = 0.0

    def hit(self, limit: Limit, scope: str, key: str) -> bool:
        """Count one more; False, and nothing is counted, when the budget is spent."""
        if limit.is_strict and not self.here.hit(limit.item, scope, key):
            return False
        return self._in_redis(lambda redis: redis.hit(limit.item, scope, key))

    def has_room(self, limit: Limit, scope: str, key: str) -> bool:
        """Would one more be allowed? Counts nothing."""
        if limit.is_strict and not self.here.test(limit.item, scope, key):
            return False
        return self._in_redis(lambda redis: redis.test(limit.item, scope, key))

    def _in_redis(self, ask: Callable[[SlidingWindowCounterRateLimiter], bool]) -> bool:
        if time.monotonic() < self.rest_until:
            return True
        try:
            if self.redis is None:
                self.redis = SlidingWindowCounterRateLimiter(
                    RedisStorage(
                        self.url,
                        socket_timeout=REDIS_TIMEOUT_SECONDS,
                        socket_connect_timeout=REDIS_TIMEOUT_SECONDS,
                    )
                )
            return ask(self.redis)
        except RedisError:
            self.rest_until = time.monotonic() + REDIS_REST_SECONDS
            return True


_limiters: dict[str, _Limiter] = {}
_lock = threading.Lock()


def allow(site: HasSettings, scope: str, key: str) -> bool:
    """Count one more of `scope` (see LIMITS) for `key`; False when it is too many.

    key: whom it is counted for: an e-mail address, an id, or an IP address, which stands for its network
    (exempt networks are always allowed).
    """
    if is_exempt(key, site.settings):
        return True
    for counted, limit in _budgets(scope, key):
        limiter, hidden = _limiter_and_key(site.settings, counted)
        if not limiter.hit(limit, scope, hidden):
            return False
    return True


def allow_each(site: HasSettings, *budgets: tuple[str, str]) -> bool:
    """Count one more of each (scope, key), unless one of them is spent: then none is charged.

    Give the narrowest first. What one budget refuses never spends another's: whoever has used up their own
    cannot go on to use up that of an account, or of everybody. An empty key stands for nobody.
    """
    wanted = [(scope, key) for scope, key in budgets if key and not is_exempt(key, site.settings)]
    for scope, key in wanted:
        for counted, limit in _budgets(scope, key):
            limiter, hidden = _limiter_and_key(site.settings, counted)
            if not limiter.has_room(limit, scope, hidden):
                return False
    return all(allow(site, scope, key) for scope, key in wanted)


def _budgets(scope: str, key: str) -> list[tuple[str, Limit]]:
    """What a key is counted as: an IP address as its network, so that a neighbour is no way round.

    IPv4: the /24. IPv6: the /64, which a home or a server has, and four times as much for the /48.
    """
    limit = LIMITS[scope]
    try:
        address = _plain_address(key)
    except ValueError:
        return [(key, limit)]
    if address.version == 4:
        return [(_network_of(address, 24), limit)]
    item = type(limit.item)(4 * limit.item.amount, limit.item.multiples)
    return [(_network_of(address, 64), limit), (_network_of(address, 48), Limit(item, limit.is_strict))]


def _network_of(address: IPv4Address | IPv6Address, prefix: int) -> str:
    return str(ip_network((address, prefix), strict=False))


def _limiter_and_key(settings: Settings, key: str) -> tuple[_Limiter, str]:
    with _lock:
        limiter = _limiters.setdefault(settings.redis_url, _Limiter(settings.redis_url))
    return limiter, hashlib.blake2b(
        key.lower().encode(), key=settings.key("limits"), digest_size=16
    ).hexdigest()


class Networks:
    """Keyed hash of the /24 (IPv4) or /48 (IPv6) that an address lies in; None if it is exempt or unknown.

    The key is this 30-day period's, kept in the database and destroyed 30 days after it: from then on nobody
    can say which network a hash stood for. It is read once a period, and the last addresses are known.
    """

    def __init__(self, db: Database, settings: Settings) -> None:
        self.db, self.settings = db, settings
        self.period = -1
        self.key = b""
        self.known: dict[str, bytes | None] = {}

    def __call__(self, address: str) -> bytes | None:
        period = int(time.time() // PERIOD_SECONDS)
        if period != self.period or len(self.known) > KNOWN_ADDRESSES_MAX:
            self.known, self.key, self.period = {}, b"", period
        if address not in self.known:
            hashed = None
            if not is_exempt(address, self.settings):
                if not self.key:
                    with self.db.connection() as connection:
                        self.key = _period_key(connection, period)
                hashed = _hash(address, self.key, self.settings)
            self.known[address] = hashed
            return hashed
        return self.known[address]


def _hash(address: str, key: bytes, settings: Settings) -> bytes | None:
    try:
        parsed = _plain_address(address)
    except ValueError:
        return None
    network = ip_network((parsed, 24 if parsed.version == 4 else 48), strict=False)
    return hashlib.blake2b(
        network.network_address.packed, key=key + settings.key("network"), digest_size=16
    ).digest()


def _period_key(connection: Connection, period: int) -> bytes:
    """The key of the period, made if it is the first time."""
    connection.execute(
        "INSERT INTO network_key (period, key) VALUES (%s, %s) ON CONFLICT DO NOTHING",
        (period, secrets.token_bytes(32)),
    )
    row = connection.execute("SELECT key FROM network_key WHERE period = %s", (period,)).fetchone()
    assert row is not None  # noqa: S101  (ours, or another process's)
    return bytes(row[0])


def _plain_address(address: str) -> IPv4Address | IPv6Address:
    parsed = ip_address(address)
    return (parsed.ipv4_mapped or parsed) if isinstance(parsed, IPv6Address) else parsed


def is_exempt(address: str, settings: Settings) -> bool:
    """Does the address lie in a network without caps and limits?"""
    try:
        parsed = _plain_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in settings.exempt_networks if network.version == parsed.version)
