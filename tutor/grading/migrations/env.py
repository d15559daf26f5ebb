"""Alembic's entry: it is given the connection, and nothing is configured in a file."""

from alembic import context

from tutor.grading.gradebook import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
