"""Alembic's migrations of the store, run by :func:`orchestrator.store.migrate.migrate` without any ``alembic.ini``."""
