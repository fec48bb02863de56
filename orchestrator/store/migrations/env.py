"""Run by Alembic for every command: hands it the caller's connection, inside whose transaction everything happens."""

from alembic import context

from orchestrator.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite's changes of schema are transactional, only its driver's habits are not, and those are switched off
    transactional_ddl=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
