"""Version 8: a verdict says whether the photo may be shown, and whether it is an owner's; what follows is noted."""

from alembic import op
from sqlalchemy import Boolean, Column, Integer, String, false, text

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    for name in ("may_be_shown", "adjudicates"):
        op.add_column("verdicts", Column(name, Boolean, nullable=False, server_default=false()))
    op.add_column("reviews", Column("withheld", Integer, nullable=False, server_default=text("0")))
    op.add_column("reviews", Column("decision", String(32), nullable=False, server_default=""))
    op.add_column("reviews", Column("ruled_by", String(100), nullable=False, server_default=""))
    op.add_column("reviews", Column("showable", Boolean, nullable=False, server_default=false()))
    # so far nobody could withhold a flag, and no owner decide: what most said counts
    for column, decision in (("accepted", "accept"), ("rejected", "reject"), ("without_target", "needs_target")):
        op.execute(f"UPDATE reviews SET decision = '{decision}' WHERE 2 * {column} > reviewers")
