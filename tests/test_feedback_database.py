"""The database gets its tables by migrations, also from a file that version 1 wrote."""

from __future__ import annotations

import hashlib
import json
import sqlite3

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from feedback_flags import flag_of
from sqlalchemy import select, text

from deconvdemo.errors import FeedbackError
from deconvdemo.feedback.dataset.copied import copy_of
from deconvdemo.feedback.review.lineage import noted_weights
from deconvdemo.feedback.store.about import told
from deconvdemo.feedback.store.database import NEWEST, open_database
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.feedback.store.tables import about, commits, doomed, metadata, salts

VERSION_1 = """
CREATE TABLE meta (key VARCHAR(64) NOT NULL, value TEXT NOT NULL, CONSTRAINT pk_meta PRIMARY KEY (key));
CREATE TABLE flags (
    sequence INTEGER NOT NULL CONSTRAINT pk_flags PRIMARY KEY AUTOINCREMENT, flag_id VARCHAR(64) NOT NULL,
    client_token VARCHAR(200), created_at VARCHAR(32) NOT NULL, task VARCHAR(32) NOT NULL,
    observed VARCHAR(80) NOT NULL, restored VARCHAR(80) NOT NULL, mask VARCHAR(80), clean VARCHAR(80),
    region VARCHAR(80), reasons TEXT NOT NULL, comment TEXT NOT NULL, controls TEXT NOT NULL,
    checkpoint TEXT NOT NULL, app_version VARCHAR(64) NOT NULL, consent BOOLEAN NOT NULL,
    schema_version INTEGER NOT NULL, CONSTRAINT uq_flags_flag_id UNIQUE (flag_id),
    CONSTRAINT uq_flags_client_token UNIQUE (client_token));
INSERT INTO meta VALUES ('database_version', '1');
"""
COLUMNS_1 = (
    "sequence flag_id client_token created_at task observed restored mask clean region reasons comment controls "
    "checkpoint app_version consent schema_version"
)


def test_migrations_lead_to_the_tables_of_the_code(database_url):
    engine = open_database(database_url or "sqlite://")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == NEWEST
    engine.dispose()


def test_a_version_1_file_is_upgraded_and_its_flags_stay(tmp_path):
    new, old = FeedbackStore(tmp_path / "new", min_free_mb=0), FeedbackStore(tmp_path / "old", min_free_mb=0)
    flags = [flag_of(1, comment="one"), flag_of(2, observed=flag_of(1).observed)]
    for flag in flags:
        new.add(flag)
    expected = new.totals()
    new.close()
    (tmp_path / "new").rename(tmp_path / "old")
    file = tmp_path / "old/feedback/feedback.sqlite3"
    with sqlite3.connect(file) as database:
        rows = database.execute(f"SELECT {', '.join(COLUMNS_1.split())} FROM flags").fetchall()
    for name in file.parent.glob("feedback.sqlite3*"):
        name.unlink()
    with sqlite3.connect(file) as database:
        database.executescript(VERSION_1)
        database.executemany(f"INSERT INTO flags VALUES ({', '.join('?' * len(rows[0]))})", rows)
    database.close()

    assert [(flag.flag_id, flag.comment, flag.observed) for flag in old.flags()] == [
        (flag.flag_id, flag.comment, flag.observed) for flag in flags
    ]
    assert old.totals() == expected  # sizes too, which version 1 did not write down
    assert old.add(flag_of(1)).flag_id == flags[0].flag_id  # its token is known
    old.add(flag_of(3))
    assert [flag.sequence for flag in old.flags()] == [1, 2, 3]


def test_what_version_5_kept_in_words_is_carried_over(tmp_path, database_url, monkeypatch):
    url = database_url or f"sqlite:///{tmp_path}/old.sqlite3"
    upgrade = command.upgrade
    monkeypatch.setattr(command, "upgrade", lambda config, _: upgrade(config, "0005"))
    old = open_database(url)
    monkeypatch.undo()
    sha256, twin = "ab" * 32, "cd" * 32
    release = {
        "name": "denoise",
        "sha256": sha256,
        "created": "2026-11-20",
        "measured": {"PSNR": 30.5},
        "since": "2026",
    }
    digest = hashlib.sha256(b"").hexdigest()  # of no rows
    words = {
        "instance": "0123abcd",
        "head": "e" * 40,
        "reviewers' key": "f" * 64,
        "folder of images": "9" * 32,
        "salt of 2026-11-20": "5" * 64,
        "commits": "[1800000000.25, 1800000001.5]",
        "to forget": json.dumps([sha256, twin]),
        "copy of": json.dumps({"revision": "hf://datasets/a/b@c", "holds": digest}),
        f"weights {sha256[:40]}": json.dumps(release),
        f"weights {twin[:40]}": json.dumps({**release, "sha256": twin, "since": "2027", "learned": {"target": 3}}),
    }
    with old.execution_options(write=True).begin() as connection:
        for key, value in words.items():
            connection.execute(text("INSERT INTO meta VALUES (:key, :value)"), {"key": key, "value": value})
    old.dispose()

    store = FeedbackStore(tmp_path / "data", url, min_free_mb=0, blobs_url=f"memory://{tmp_path.name}")
    assert store.instance == "0123abcd"
    for column, key in (("head", "head"), ("reviewers_key", "reviewers' key"), ("images_folder", "folder of images")):
        assert told(store, about.c[column]) == words[key]
    assert copy_of(store) == "hf://datasets/a/b@c"
    assert [(facts["sha256"], facts["learned"]) for facts in noted_weights(store)] == [
        (sha256, None),
        (twin, {"target": 3}),
    ]
    assert noted_weights(store)[0]["measured"] == {"PSNR": 30.5}
    with store.reading() as connection:
        assert connection.execute(select(commits.c.moment)).scalars().all() == [1800000000.25, 1800000001.5]
        assert set(connection.execute(select(doomed.c.sha256)).scalars()) == {sha256, twin}
        assert connection.execute(select(salts)).all() == [("2026-11-20", "5" * 64)]
    store.add(flag_of(1))
    assert copy_of(store) == ""
    store.close()


def test_processes_of_one_database_with_images_in_two_folders_are_refused(tmp_path, postgres):
    url = postgres.database()
    one, two = (FeedbackStore(tmp_path / name, url, min_free_mb=0) for name in ("one", "two"))
    two.check()  # nothing is stored yet: the folder may change
    one.add(flag_of(1))
    two.close()
    with pytest.raises(FeedbackError, match=r"has its images in another folder.*DECONVDEMO_BLOBS_URL"):
        two.add(flag_of(2))
    FeedbackStore(tmp_path / "two", url, min_free_mb=0, blobs_url=f"memory://{tmp_path.name}").add(flag_of(3))
    assert one.totals()["flags"] == 2


def test_a_server_that_goes_away_is_one_sentence_and_when_it_is_back_the_store_works(tmp_path, postgres):
    url = postgres.database()
    store = FeedbackStore(tmp_path, url, min_free_mb=0)
    first = store.add(flag_of(1)).flag_id
    postgres.stop()
    try:
        with pytest.raises(FeedbackError, match=r"^the flag was not saved: the database of DECONVDEMO_DATABASE_URL"):
            store.add(flag_of(2))
        with pytest.raises(FeedbackError, match=r"^flags cannot be saved: .*try again in a while$"):
            FeedbackStore(tmp_path, url).check()
    finally:
        postgres.start()
    second = store.add(flag_of(2)).flag_id
    assert list(store.flag_ids()) == [first, second]
    store.close()


def test_postgresql_is_asked_to_sync_its_commits(postgres):
    engine = open_database(postgres.database())
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
    engine.dispose()
