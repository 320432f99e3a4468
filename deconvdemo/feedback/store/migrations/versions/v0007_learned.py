"""Version 7: the record of weights names the flags that they learned from, which histories of weights repeated."""

from alembic import op
from sqlalchemy import Column, Text

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("releases", Column("flag_ids", Text))
