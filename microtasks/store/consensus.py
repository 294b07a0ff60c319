"""What the answers add up to, stored: one row a task, one a tiled big image."""

from __future__ import annotations

from typing import Any

from psycopg.types.json import Jsonb

from microtasks.core.tasktype import Consensus
from microtasks.store.db import Connection

_PUT = """
    INSERT INTO consensus (task_id, project_id, value, agreement, confidence, n_answers, is_tied, detail,
                           method, reducer, parameters)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT (task_id) DO UPDATE SET
        value = EXCLUDED.value, agreement = EXCLUDED.agreement, confidence = EXCLUDED.confidence,
        n_answers = EXCLUDED.n_answers, is_tied = EXCLUDED.is_tied, detail = EXCLUDED.detail,
        method = EXCLUDED.method, reducer = EXCLUDED.reducer, parameters = EXCLUDED.parameters,
        updated_at = now()
"""


def put(connection: Connection, task_id: int, project_id: int, consensus: Consensus, method: str) -> None:
    """Store a task's consensus in place of an earlier one, in the caller's transaction: one statement."""
    connection.execute(_PUT, _row(task_id, project_id, consensus, method))


def _row(task_id: int, project_id: int, consensus: Consensus, method: str) -> tuple[Any, ...]:
    return (
        task_id,
        project_id,
        None if consensus.value is None else Jsonb(consensus.value),
        consensus.agreement,
        consensus.confidence,
        consensus.n_answers,
        consensus.is_tied,
        Jsonb(consensus.detail),
        method,
        consensus.reducer,
        Jsonb(consensus.parameters),
    )
