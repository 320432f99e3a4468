"""How the feedback's database got its tables: Alembic's scripts, run when a database is opened."""
