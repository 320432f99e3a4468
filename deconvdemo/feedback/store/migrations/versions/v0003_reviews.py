"""Version 3: what reviewers think of each flag, counted as verdicts come, so that a queue is quick."""

from alembic import op
from sqlalchemy import Column, Integer, PrimaryKeyConstraint, String, text

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "reviews",
        Column("flag_id", String(64), nullable=False),
        Column("reviewers", Integer, nullable=False),
        Column("accepted", Integer, nullable=False),
        Column("rejected", Integer, nullable=False),
        Column("without_target", Integer, nullable=False),
        PrimaryKeyConstraint("flag_id", name="pk_reviews"),
    )
    op.create_index("ix_verdicts_reviewer", "verdicts", ["reviewer", "flag_id"])
    op.execute(
        text(
            """
            INSERT INTO reviews (flag_id, reviewers, accepted, rejected, without_target)
            SELECT flag_id, count(*),
                   sum(CASE WHEN decision = 'accept' THEN 1 ELSE 0 END),
                   sum(CASE WHEN decision = 'reject' THEN 1 ELSE 0 END),
                   sum(CASE WHEN decision = 'needs_target' THEN 1 ELSE 0 END)
            FROM (SELECT flag_id, decision, row_number() OVER (
                      PARTITION BY flag_id, reviewer ORDER BY created_at DESC, sequence DESC) AS age
                  FROM verdicts) AS newest
            WHERE age = 1 AND decision <> 'withdrawn'
            GROUP BY flag_id
            """
        )
    )
