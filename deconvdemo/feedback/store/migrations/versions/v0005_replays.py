"""Version 5: what each release made of the accepted flags that have a clean target."""

from alembic import op
from sqlalchemy import Boolean, Column, Float, PrimaryKeyConstraint, String

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "replays",
        Column("sha256", String(64), nullable=False),
        Column("flag_id", String(64), nullable=False),
        Column("target", String(80), nullable=False),
        Column("flagged", Float(53), nullable=False),
        Column("now", Float(53), nullable=False),
        Column("held_back", Boolean, nullable=False),
        Column("created_at", String(32), nullable=False),
        PrimaryKeyConstraint("sha256", "flag_id", name="pk_replays"),
    )
    op.create_index("ix_replays_flag_id", "replays", ["flag_id"])
