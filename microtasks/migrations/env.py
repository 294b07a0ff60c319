"""Alembic's entry point: `store.migrate` gives the connection and holds the lock."""

from __future__ import annotations

from alembic import context

from microtasks.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
