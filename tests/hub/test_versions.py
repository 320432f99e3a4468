"""Files that other versions of the program wrote, or nobody should have: they load together, or are left alone."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from uuid import uuid4

import feedback_client as at
import pytest
from feedback_flags import flag_of, picture

V1 = Path(__file__).parents[1] / "data/v1"  # an export of the first version
OLD_IDS = ["019a0000000070008000000000000001", "019a0000000070008000000000000002"]


@pytest.fixture
def repo() -> str:
    return f"lab/versions-{uuid4().hex[:8]}"


@pytest.fixture
def folder(tmp_path) -> str:
    return str(tmp_path / "data")


def files_of_version_1() -> dict[str, bytes]:
    return {str(file.relative_to(V1)): file.read_bytes() for file in V1.rglob("*") if file.is_file()}


@pytest.mark.parametrize("with_card", [True, False])
def test_a_file_of_version_1_loads_beside_todays_and_is_taken_in(hub, client, repo, folder, with_card):
    files = files_of_version_1()
    if not with_card:
        del files["README.md"]
    hub.publish(repo, files, kind="datasets")
    ids = client(at.fill, folder, [3, 4])
    assert client(at.publish, folder, repo, 2) == [(2, ""), (0, "")]
    assert sorted(client(at.stored, folder)["flags"]) == sorted(OLD_IDS + ids)
    for streaming in (False, True):
        rows = {row["flag_id"]: row for row in client(at.loaded, repo, "flags", streaming)}
        assert sorted(rows) == sorted(OLD_IDS + ids)
        for number, flag_id in enumerate(OLD_IDS + ids, 1):
            assert rows[flag_id]["observed"] == flag_of(number).observed
        assert rows[OLD_IDS[0]]["region"] == rows[OLD_IDS[1]]["mask"] == picture("mask")
        assert rows[OLD_IDS[1]]["controls"] == '{"grow":3}'


def test_a_column_that_a_newer_version_brings_hides_no_rows(hub, client, repo, folder, tmp_path):
    hub.publish(repo, files_of_version_1(), kind="datasets")
    ids = client(at.fill, folder, [3])
    assert client(at.publish_with_a_new_column, folder, repo) == [(1, "")]
    other = str(tmp_path / "a replica that was not updated yet")
    ids += client(at.fill, other, [4])
    assert client(at.publish, other, repo) == [(1, "")]
    for streaming in (False, True):
        rows = {row["flag_id"]: row.get("mood") for row in client(at.loaded, repo, "flags", streaming)}
        assert rows == dict.fromkeys(OLD_IDS) | {ids[0]: "fine", ids[1]: None}
    assert set(client(at.stored, other)["flags"]) == {*OLD_IDS, *ids}
    assert not client(at.status, other, repo)["damaged"]


def parquet(rows: list[dict]) -> bytes:
    from pyarrow import Table
    from pyarrow.parquet import write_table

    file = BytesIO()
    write_table(Table.from_pylist(rows), file)
    return file.getvalue()


def row(**fields) -> dict:
    good = {
        "flag_id": "f1",
        "task": "denoise",
        "observed": {"bytes": picture(1), "path": "../../../etc/passwd"},
        "restored": {"bytes": picture(2), "path": "x.png"},
        "reasons": ["seams"],
        "consent": True,
    }
    return {name: value for name, value in (good | fields).items() if value is not ...}


HOSTILE = {
    "no parquet": b"PAR1 is what it begins with, but no more than that",
    "cut off": parquet([row()])[:-20],
    "no id": parquet([row(flag_id=...)]),
    "an id that is a path": parquet([row(flag_id="../../outside")]),
    "no consent": parquet([row(consent=False)]),
    "an image that is a page": parquet([row(observed={"bytes": b"<svg onload=alert(1)>", "path": "x.svg"})]),
    "an image that is nowhere": parquet([row(observed={"bytes": None, "path": "https://example.org/x.png"})]),
    "an image that is text": parquet([row(observed="x.png")]),
    "no image": parquet([row(observed=...)]),
    "a task that is none": parquet([row(task="<b>")]),
    "reasons that are none": parquet([row(reasons=["hacked"])]),
    "controls that are no JSON": parquet([row(controls="{")]),
    "controls that are a list": parquet([row(controls="[1]")]),
    "a moment that is none": parquet([row(created_at="yesterday")]),
    "an id that is a number": parquet([row(flag_id=7)]),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_is_not_ours_is_named_and_left_alone(hub, client, repo, folder, tmp_path, what):
    hub.publish(repo, {f"data/flags/2026-11-20/{uuid4().hex}.parquet": HOSTILE[what]}, kind="datasets")
    good = client(at.fill, folder, [1])
    rows, error, (said,) = client(at.publish_and_tell, folder, repo)
    assert (rows, error) == (1, "")  # our own are published all the same
    assert client(at.stored, folder)["flags"] == good
    assert "in the dataset" in said
    assert "\n" not in said


def test_a_good_row_beside_hostile_ones_is_taken_in(hub, client, repo, folder):
    rows = [row(flag_id="good", comment="=1+1"), row(flag_id="bad", task="<b>"), row(flag_id="fine")]
    hub.publish(repo, {"data/flags/any.parquet": parquet(rows)}, kind="datasets")
    client(at.publish, folder, repo)
    assert client(at.stored, folder)["flags"] == ["good", "fine"]


def test_a_dataset_of_ours_on_the_hub_is_imported(hub, client, repo, folder):
    """By `deconvdemo feedback import hf://datasets/…`, into a store that does not publish there."""
    hub.publish(repo, files_of_version_1(), kind="datasets")
    assert client(at.import_from_hub, folder, repo) == (2, 0, [])
    assert client(at.import_from_hub, folder, repo) == (0, 2, [])
    assert client(at.stored, folder)["flags"] == OLD_IDS
