"""Version 2: verdicts, votes and erasures, files of the published dataset, and counts that are kept, not counted."""

from alembic import op
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKeyConstraint,
    Integer,
    PrimaryKeyConstraint,
    String,
    Text,
    UniqueConstraint,
    text,
)

revision = "0002"
down_revision = "0001"

IDENTITY = BigInteger().with_variant(Integer, "sqlite")
ROLES = ("observed", "restored", "mask", "clean", "region")


def upgrade() -> None:
    op.create_table(
        "shards",
        Column("shard", IDENTITY, autoincrement=True, nullable=False),
        Column("kind", String(32), nullable=False),
        Column("path", String(300), nullable=False),
        Column("sha256", String(64), nullable=False),
        Column("bytes", BigInteger, nullable=False),
        Column("rows", Integer, nullable=False),
        Column("state", String(16), nullable=False),
        Column("commit", String(40)),
        Column("created_at", String(32), nullable=False),
        Column("committed_at", String(32)),
        PrimaryKeyConstraint("shard", name="pk_shards"),
        UniqueConstraint("path", name="uq_shards_path"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_shards_state", "shards", ["state"])
    op.create_index("ix_shards_committed_at", "shards", ["committed_at"])
    op.add_column("flags", Column("visitor", String(64)))
    op.add_column("flags", Column("erase_key", String(64)))
    # in words, because Alembic would add the constraint by itself, which SQLite has no statement for
    number = IDENTITY.compile(op.get_bind().dialect)
    op.execute(text(f"ALTER TABLE flags ADD COLUMN shard {number} CONSTRAINT fk_flags_shard REFERENCES shards (shard)"))
    _index("flags", "visitor")
    _events(
        "verdicts",
        "verdict_id",
        Column("flag_id", String(64), nullable=False),
        Column("reviewer", String(100), nullable=False),
        Column("decision", String(32), nullable=False),
        Column("reasons", Text, nullable=False),
        Column("comment", Text, nullable=False),
        *(Column(role, String(80)) for role in ("clean", "mask", "region")),
    )
    op.create_index("ix_verdicts_flag_id", "verdicts", ["flag_id"])
    _index("verdicts")
    _events(
        "votes",
        "vote_id",
        Column("task", String(32), nullable=False),
        Column("choice", String(32), nullable=False),
        Column("left_contender", Text, nullable=False),
        Column("right_contender", Text, nullable=False),
        *(Column(role, String(80)) for role in ("observed", "left", "right")),
        Column("flag_id", String(64), nullable=False),
        Column("consent", Boolean, nullable=False),
        Column("visitor", String(64)),
    )
    op.create_index("ix_votes_flag_id", "votes", ["flag_id"])
    _index("votes", "visitor")
    op.create_table(
        "erasures",
        Column("sequence", IDENTITY, autoincrement=True, nullable=False),
        Column("kind", String(32), nullable=False),
        Column("event_id", String(64), nullable=False),
        Column("created_at", String(32), nullable=False),
        Column("origin", String(32), nullable=False),
        Column("shard", IDENTITY),
        Column("published", String(40)),
        PrimaryKeyConstraint("sequence", name="pk_erasures"),
        UniqueConstraint("event_id", name="uq_erasures_event_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_erasures_published", "erasures", ["published"])
    op.create_table(
        "blobs",
        Column("name", String(80), nullable=False),
        Column("bytes", BigInteger, nullable=False),
        Column("uses", Integer, nullable=False),
        PrimaryKeyConstraint("name", name="pk_blobs"),
    )
    op.create_index("ix_blobs_uses", "blobs", ["uses"])
    op.create_table(
        "totals",
        Column("key", String(64), nullable=False),
        Column("value", BigInteger, nullable=False),
        PrimaryKeyConstraint("key", name="pk_totals"),
    )
    op.create_table(
        "leases",
        Column("name", String(64), nullable=False),
        Column("holder", String(64), nullable=False),
        Column("until", BigInteger, nullable=False),
        PrimaryKeyConstraint("name", name="pk_leases"),
    )
    _count_what_is_there()


def _events(name: str, event_id: str, *columns: Column) -> None:
    op.create_table(
        name,
        Column("sequence", IDENTITY, autoincrement=True, nullable=False),
        Column(event_id, String(64), nullable=False),
        Column("client_token", String(200)),
        Column("created_at", String(32), nullable=False),
        *columns,
        Column("app_version", String(64), nullable=False),
        Column("schema_version", Integer, nullable=False),
        Column("shard", IDENTITY),
        PrimaryKeyConstraint("sequence", name=f"pk_{name}"),
        UniqueConstraint(event_id, name=f"uq_{name}_{event_id}"),
        UniqueConstraint("client_token", name=f"uq_{name}_client_token"),
        ForeignKeyConstraint(["shard"], ["shards.shard"], name=f"fk_{name}_shard"),
        sqlite_autoincrement=True,
    )


def _index(name: str, *limited: str) -> None:
    op.create_index(f"ix_{name}_shard", name, ["shard"])
    op.create_index(f"ix_{name}_created_at", name, ["created_at"])
    for column in limited:
        op.create_index(f"ix_{name}_{column}", name, [column, "created_at"])


def _count_what_is_there() -> None:
    """Version 1 knew no sizes: -1, which the store replaces when it is opened."""
    roles = " UNION ALL ".join(f"SELECT {role} AS name FROM flags WHERE {role} IS NOT NULL" for role in ROLES)
    op.execute(
        text(f"INSERT INTO blobs (name, bytes, uses) SELECT name, -1, count(*) FROM ({roles}) AS used GROUP BY name")
    )
    op.execute(text("INSERT INTO totals (key, value) SELECT 'flags', count(*) FROM flags"))
