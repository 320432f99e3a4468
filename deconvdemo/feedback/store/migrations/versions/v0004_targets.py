"""Version 4: where a verdict's target is from, flags whose truth is known, and which flags are of one picture."""

from alembic import op
from sqlalchemy import Column, Integer, PrimaryKeyConstraint, String, Text, text

revision = "0004"
down_revision = "0003"

PIECES = [f"piece{place}" for place in range(5)]


def upgrade() -> None:
    op.add_column("verdicts", Column("target", Text, nullable=False, server_default=text("'{}'")))
    op.create_table(
        "catches",
        Column("flag_id", String(64), nullable=False),
        Column("decision", String(32), nullable=False),
        Column("author", String(100), nullable=False),
        Column("created_at", String(32), nullable=False),
        PrimaryKeyConstraint("flag_id", name="pk_catches"),
    )
    op.create_table(
        "likenesses",
        Column("flag_id", String(64), nullable=False),
        Column("hash", String(16), nullable=False),
        *(Column(piece, Integer, nullable=False) for piece in PIECES),
        Column("family", String(64), nullable=False),
        PrimaryKeyConstraint("flag_id", name="pk_likenesses"),
    )
    for column in (*PIECES, "family"):
        op.create_index(f"ix_likenesses_{column}", "likenesses", [column])
