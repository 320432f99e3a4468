"""The tables of the rows' database: what `migrations/` lead to (a test compares them)."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    false,
    text,
)

PIECES = 5  # of a perceptual hash: two hashes that differ in fewer bits have a piece in common

# constraints have names so that a migration can address them
metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    },
)

IDENTITY = BigInteger().with_variant(Integer, "sqlite")
ID, MOMENT, BLOB, SHA256 = String(64), String(32), String(80), String(64)  # a moment is ISO 8601 in UTC: its text sorts


def _events(name: str, event_id: str, *columns: Column | Index) -> Table:
    """A table of events: rows are added, and removed by an erasure alone. `shard` is the one thing that changes: the
    file in which an event is published, once there is one. Images are names of blobs; dictionaries and lists JSON."""
    return Table(
        name,
        metadata,
        Column("sequence", IDENTITY, primary_key=True, autoincrement=True),
        Column(event_id, ID, nullable=False, unique=True),
        Column("client_token", String(200), unique=True),
        Column("created_at", MOMENT, nullable=False),
        *columns,
        Column("app_version", String(64), nullable=False),
        Column("schema_version", Integer, nullable=False),
        Column("shard", ForeignKey("shards.shard"), index=True),
        Index(f"ix_{name}_created_at", "created_at"),
        sqlite_autoincrement=True,  # a sequence number is never given twice, not even after an erasure
    )


def _blob(role: str, needed: bool = False) -> Column:
    return Column(role, BLOB, nullable=not needed)


def _json(name: str) -> Column:
    return Column(name, Text, nullable=False)


flags = _events(
    "flags",
    "flag_id",
    Column("task", String(32), nullable=False),
    *(_blob(role, role in ("observed", "restored")) for role in ("observed", "restored", "mask", "clean", "region")),
    _json("reasons"),
    Column("comment", Text, nullable=False),
    _json("controls"),
    _json("checkpoint"),
    Column("consent", Boolean, nullable=False),
    Column("visitor", ID),
    Column("erase_key", ID),
    Index("ix_flags_visitor", "visitor", "created_at"),
)

verdicts = _events(
    "verdicts",
    "verdict_id",
    Column("flag_id", ID, nullable=False, index=True),
    Column("reviewer", String(100), nullable=False),
    Column("decision", String(32), nullable=False),
    _json("reasons"),
    Column("comment", Text, nullable=False),
    *(_blob(role) for role in ("clean", "mask", "region")),
    Column("target", Text, nullable=False, server_default=text("'{}'")),
    Column("may_be_shown", Boolean, nullable=False, server_default=false()),
    Column("adjudicates", Boolean, nullable=False, server_default=false()),
    Index("ix_verdicts_reviewer", "reviewer", "flag_id"),
)

# how many reviewers there are of each flag that has one, what they decided, by the newest verdict of each, and what
# follows from that: see ruling.py
reviews = Table(
    "reviews",
    metadata,
    Column("flag_id", ID, primary_key=True),
    Column("reviewers", Integer, nullable=False),
    Column("accepted", Integer, nullable=False),
    Column("rejected", Integer, nullable=False),
    Column("without_target", Integer, nullable=False),
    Column("withheld", Integer, nullable=False, server_default=text("0")),
    Column("decision", String(32), nullable=False, server_default=""),
    Column("ruled_by", String(100), nullable=False, server_default=""),  # the owner who decided, or ""
    Column("showable", Boolean, nullable=False, server_default=false()),
)

# flags whose truth is known: every reviewer gets them, and is measured by them
gold_items = Table(
    "catches",
    metadata,
    Column("flag_id", ID, primary_key=True),
    Column("decision", String(32), nullable=False),
    Column("author", String(100), nullable=False),
    Column("created_at", MOMENT, nullable=False),
)

# what the observed photo of each flag looks like: a perceptual hash, in pieces that can be looked up. Flags of one
# `family` are of one picture
likenesses = Table(
    "likenesses",
    metadata,
    Column("flag_id", ID, primary_key=True),
    Column("hash", String(16), nullable=False),
    *(Column(f"piece{place}", Integer, nullable=False, index=True) for place in range(PIECES)),
    Column("family", ID, nullable=False, index=True),
)

# what each release made of the accepted flags that have a clean target: PSNR in dB, of the flagged result and of its
# own. `target` is the file that both were measured against
replays = Table(
    "replays",
    metadata,
    Column("sha256", SHA256, primary_key=True),  # of the release's weights
    Column("flag_id", ID, primary_key=True, index=True),
    Column("target", BLOB, nullable=False),
    Column("flagged", Float(53), nullable=False),
    Column("now", Float(53), nullable=False),
    Column("held_back", Boolean, nullable=False),  # from training: see pairs.py
    Column("created_at", MOMENT, nullable=False),
)

votes = _events(
    "votes",
    "vote_id",
    Column("task", String(32), nullable=False),
    Column("choice", String(32), nullable=False),
    _json("left_contender"),
    _json("right_contender"),
    *(_blob(role) for role in ("observed", "left", "right")),
    Column("flag_id", ID, nullable=False, index=True),
    Column("consent", Boolean, nullable=False),
    Column("visitor", ID),
    Index("ix_votes_visitor", "visitor", "created_at"),
)

# what was erased and must not come back: nothing but ids. `published` is the commit that took it out of the dataset
erasures = Table(
    "erasures",
    metadata,
    Column("sequence", IDENTITY, primary_key=True, autoincrement=True),
    Column("kind", String(32), nullable=False),
    Column("event_id", ID, nullable=False, unique=True),
    Column("created_at", MOMENT, nullable=False),
    Column("origin", String(32), nullable=False),  # link, command or dataset
    Column("shard", IDENTITY),  # where it was
    Column("published", String(40), index=True),
    sqlite_autoincrement=True,
)

# files of the published dataset. Those of this database keep their bytes in the folder until they are committed
shards = Table(
    "shards",
    metadata,
    Column("shard", IDENTITY, primary_key=True, autoincrement=True),
    Column("kind", String(32), nullable=False),
    Column("path", String(300), nullable=False, unique=True),
    Column("sha256", SHA256, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("state", String(16), nullable=False, index=True),  # see shards.py
    Column("commit", String(40)),
    Column("created_at", MOMENT, nullable=False),
    Column("committed_at", MOMENT, index=True),
    sqlite_autoincrement=True,
)

# each stored image, its size, and how many roles of how many events it plays: at 0 it is removed from the folder
blobs = Table(
    "blobs",
    metadata,
    Column("name", BLOB, primary_key=True),
    Column("bytes", BigInteger, nullable=False),  # -1: stored by version 1, not measured yet
    Column("uses", Integer, nullable=False, index=True),
)

# running counts, so that nothing has to be counted: rows by kind, and bytes of blobs
totals = Table(
    "totals", metadata, Column("key", String(64), primary_key=True), Column("value", BigInteger, nullable=False)
)

# who does what only one process may do, until when (seconds since 1970)
leases = Table(
    "leases",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("holder", String(64), nullable=False),
    Column("until", BigInteger, nullable=False),
)

# what this database says of itself, in one row: what names it `instance` among all that publish to one dataset, what
# reviewers' cookies are signed with, the folder that its images are in, and the dataset's newest commit of which it has
# everything
about = Table(
    "about",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("instance", String(8)),
    Column("reviewers_key", String(64)),
    Column("images_folder", String(64)),
    Column("head", String(64)),
)

# a visitor's address is known by its hash with the day's salt: see limits.py
salts = Table(
    "salts", metadata, Column("day", String(10), primary_key=True), Column("salt", String(64), nullable=False)
)

# the moments (seconds since 1970) of this database's last commits to the dataset
commits = Table(
    "commits",
    metadata,
    Column("number", IDENTITY, primary_key=True, autoincrement=True),
    Column("moment", Float(53), nullable=False),
)

# files that hold what was erased, which the Hub has still to drop
doomed = Table("doomed", metadata, Column("sha256", SHA256, primary_key=True))

# the revision of a dataset that was imported, and all that was here then, by kind: see copied.py
copied = Table(
    "copied",
    metadata,
    Column("kind", String(32), primary_key=True),
    Column("revision", Text, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),  # the largest sequence number
)

# weights that have served here: since when, and what their header says of where they come from. See lineage.py
releases = Table(
    "releases",
    metadata,
    Column("sha256", SHA256, primary_key=True),
    Column("name", String(200), nullable=False),
    Column("since", MOMENT, nullable=False),
    Column("created", Text, nullable=False),
    _json("measured"),
    Column("parent", SHA256),
    Column("learned", Text),  # JSON: from which snapshot of the flags, and how many
    Column("flag_ids", Text),  # JSON: which; NULL where the header does not name them, or nobody has noted them yet
)
