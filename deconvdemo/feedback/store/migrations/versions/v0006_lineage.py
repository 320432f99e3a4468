"""Version 6: what `meta` kept under ten kinds of keys has columns and tables of its own."""

import hashlib
import json

from alembic import op
from sqlalchemy import BigInteger, Column, Float, Integer, MetaData, PrimaryKeyConstraint, String, Table, Text, text

revision = "0006"
down_revision = "0005"

IDENTITY = BigInteger().with_variant(Integer, "sqlite")
KINDS = {"flags": "flag_id", "verdicts": "verdict_id", "votes": "vote_id"}
ABOUT = {"instance": "instance", "reviewers' key": "reviewers_key", "folder of images": "images_folder", "head": "head"}


def upgrade() -> None:
    op.create_table(
        "about",
        Column("number", Integer, autoincrement=False, nullable=False),
        Column("instance", String(8)),
        Column("reviewers_key", String(64)),
        Column("images_folder", String(64)),
        Column("head", String(64)),
        PrimaryKeyConstraint("number", name="pk_about"),
    )
    op.create_table(
        "salts",
        Column("day", String(10), nullable=False),
        Column("salt", String(64), nullable=False),
        PrimaryKeyConstraint("day", name="pk_salts"),
    )
    op.create_table(
        "commits",
        Column("number", IDENTITY, autoincrement=True, nullable=False),
        Column("moment", Float(53), nullable=False),
        PrimaryKeyConstraint("number", name="pk_commits"),
    )
    op.create_table(
        "doomed",
        Column("sha256", String(64), nullable=False),
        PrimaryKeyConstraint("sha256", name="pk_doomed"),
    )
    op.create_table(
        "copied",
        Column("kind", String(32), nullable=False),
        Column("revision", Text, nullable=False),
        Column("rows", BigInteger, nullable=False),
        Column("last", BigInteger, nullable=False),
        PrimaryKeyConstraint("kind", name="pk_copied"),
    )
    op.create_table(
        "releases",
        Column("sha256", String(64), nullable=False),
        Column("name", String(200), nullable=False),
        Column("since", String(32), nullable=False),
        Column("created", Text, nullable=False),
        Column("measured", Text, nullable=False),
        Column("parent", String(64)),
        Column("learned", Text),
        PrimaryKeyConstraint("sha256", name="pk_releases"),
    )
    _carry_over()
    op.drop_table("meta")


def _carry_over() -> None:
    words = {key: value for key, value in op.get_bind().execute(text("SELECT key, value FROM meta"))}
    _insert("about", [{"number": 1, **{column: words.get(key) for key, column in ABOUT.items()}}])
    days = {key.removeprefix("salt of "): value for key, value in words.items() if key.startswith("salt of ")}
    _insert("salts", [{"day": day, "salt": salt} for day, salt in days.items()])
    _insert("commits", [{"moment": moment} for moment in json.loads(words.get("commits") or "[]")])
    _insert("doomed", [{"sha256": sha256} for sha256 in json.loads(words.get("to forget") or "[]")])
    _insert("copied", _copied(json.loads(words["copy of"])) if "copy of" in words else [])
    told = [json.loads(value) for key, value in words.items() if key.startswith("weights ")]
    _insert("releases", [_release(facts) for facts in told])


def _insert(name: str, rows: list[dict]) -> None:
    if rows:
        op.bulk_insert(Table(name, MetaData(), *(Column(column) for column in rows[0])), rows)


def _copied(noted: dict) -> list[dict]:
    """The revision that the store is a copy of was noted with a digest of its ids: now with their numbers."""
    ids: list[str] = []
    rows = []
    for kind, event_id in KINDS.items():
        found = op.get_bind().execute(text(f"SELECT sequence, {event_id} FROM {kind}")).all()
        ids += [row[1] for row in found]
        last = max((row[0] for row in found), default=0)
        rows.append({"kind": kind, "revision": noted["revision"], "rows": len(found), "last": last})
    digest = hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()
    return rows if digest == noted["holds"] else []


def _release(facts: dict) -> dict:
    learned = json.dumps(facts["learned"]) if "learned" in facts else None
    kept = {name: facts[name] for name in ("sha256", "name", "since", "created")}
    return {**kept, "measured": json.dumps(facts["measured"]), "learned": learned}
