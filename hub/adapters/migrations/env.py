"""Run by Alembic, and only by Alembic: applies the versions on the connection that `migrate` was given."""

from alembic import context

from hub.adapters.migrations import CONNECTION

context.configure(connection=context.config.attributes[CONNECTION], transactional_ddl=False)
context.run_migrations()
