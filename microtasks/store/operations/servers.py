"""What PostgreSQL and Redis must be set to, so that nothing acknowledged is lost."""

from __future__ import annotations

import redis

from microtasks.store.db import Connection

#: Killing a process cannot show a missing fsync, so the settings themselves are looked at.
_DURABLE = ("fsync", "full_page_writes", "synchronous_commit")
_OLDEST_POSTGRES = 150000


def database_problems(connection: Connection) -> list[str]:
    """Why this PostgreSQL could lose an answer or garble a text: one sentence each."""
    rows = connection.execute(
        "SELECT name, setting FROM pg_settings WHERE name = ANY(%s)",
        ([*_DURABLE, "server_version_num", "server_encoding"],),
    ).fetchall()
    setting: dict[str, str] = dict(rows)
    sentences = [
        f"PostgreSQL has {name}=off: an acknowledged answer could be lost."
        for name in _DURABLE
        if setting[name] == "off"
    ]
    if setting["server_encoding"] != "UTF8":
        sentences.append(f"The database's encoding is {setting['server_encoding']}: it must be UTF8.")
    if int(setting["server_version_num"]) < _OLDEST_POSTGRES:
        sentences.append("This PostgreSQL is too old: version 15 or later is needed.")
    return sentences


def redis_problems(client: redis.Redis) -> list[str]:
    """Why this Redis could lose a job's bell."""
    memory: dict[str, object] = client.info("memory")
    policy = memory.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        return [f"Redis has maxmemory-policy {policy}: it would throw jobs away. Set it to noeviction."]
    return []
