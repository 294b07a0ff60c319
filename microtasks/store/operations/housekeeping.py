"""What is thrown away when its time is over."""

from __future__ import annotations

from microtasks.store.db import Connection
from microtasks.store.exports import restorations
from microtasks.store.imports import batches, uploads
from microtasks.store.projects import drafts, trials

NETWORK_PERIOD_DAYS = 30
TRIAL_DAYS = 7
DRAFT_DAYS = 30
SENDING_DAYS = 7


def ended_network_periods(connection: Connection) -> list[int]:
    """Periods whose key is to be destroyed: 30 days after their end."""
    return [
        row[0]
        for row in connection.execute(
            """SELECT period FROM network_key
               WHERE now() >= to_timestamp(0) + make_interval(days => (period + 2) * %s) ORDER BY period""",
            (NETWORK_PERIOD_DAYS,),
        )
    ]


def forget_networks(connection: Connection, period: int, after_id: int, limit: int) -> int | None:
    """Empty `network` in the next answers of that period or before; return the last id, None at the end."""
    row = connection.execute(
        """WITH part AS (
               SELECT id, network, created_at FROM answer WHERE id > %(after)s ORDER BY id LIMIT %(limit)s),
           emptied AS (
               UPDATE answer SET network = NULL FROM part
               WHERE answer.id = part.id AND part.network IS NOT NULL
                 AND part.created_at < to_timestamp(0) + make_interval(days => (%(period)s + 1) * %(days)s))
           SELECT max(id) FROM part""",
        {"after": after_id, "limit": limit, "period": period, "days": NETWORK_PERIOD_DAYS},
    ).fetchone()
    return row[0] if row else None


def destroy_network_key(connection: Connection, period: int) -> None:
    """From here on nobody can say which network a hash stood for."""
    connection.execute("DELETE FROM network_key WHERE period = %s", (period,))


def drop_expired(connection: Connection) -> None:
    """Delete sign-in links and sessions that ended, jobs done a week ago, trials and forms left behind."""
    trials.discard_old(connection, TRIAL_DAYS)
    drafts.drop_old(connection, DRAFT_DAYS)
    uploads.drop_old(connection, SENDING_DAYS)
    batches.drop_staged(connection)
    restorations.drop_old(connection)
    connection.execute("DELETE FROM signin_link WHERE expires_at < now() - interval '1 day'")
    connection.execute("DELETE FROM owner_session WHERE expires_at < now()")
    connection.execute("DELETE FROM job WHERE state = 'done' AND finished_at < now() - interval '7 days'")
