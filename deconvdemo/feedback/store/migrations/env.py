"""What Alembic runs: the scripts, in the transaction that `database.py` holds."""

from alembic import context

# the import test imports every module; only Alembic gives this one its context
if hasattr(context, "config"):
    context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
    with context.begin_transaction():
        context.run_migrations()
