"""Alembic migrations. Run with `microtasks db upgrade`."""
