"""Version 1: flags in SQLite."""

from alembic import op
from sqlalchemy import BigInteger, Boolean, Column, Integer, PrimaryKeyConstraint, String, Text, UniqueConstraint

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "meta",
        Column("key", String(64), nullable=False),
        Column("value", Text, nullable=False),
        PrimaryKeyConstraint("key", name="pk_meta"),
    )
    op.create_table(
        "flags",
        Column("sequence", BigInteger().with_variant(Integer, "sqlite"), autoincrement=True, nullable=False),
        Column("flag_id", String(64), nullable=False),
        Column("client_token", String(200)),
        Column("created_at", String(32), nullable=False),
        Column("task", String(32), nullable=False),
        Column("observed", String(80), nullable=False),
        Column("restored", String(80), nullable=False),
        Column("mask", String(80)),
        Column("clean", String(80)),
        Column("region", String(80)),
        Column("reasons", Text, nullable=False),
        Column("comment", Text, nullable=False),
        Column("controls", Text, nullable=False),
        Column("checkpoint", Text, nullable=False),
        Column("app_version", String(64), nullable=False),
        Column("consent", Boolean, nullable=False),
        Column("schema_version", Integer, nullable=False),
        PrimaryKeyConstraint("sequence", name="pk_flags"),
        UniqueConstraint("flag_id", name="uq_flags_flag_id"),
        UniqueConstraint("client_token", name="uq_flags_client_token"),
        sqlite_autoincrement=True,
    )
