"""A stranger's dataset on the Hub gives its own images, at the commit that is read, and none of the importer's."""

from __future__ import annotations

import io

import pytest
from feedback_flags import picture

from deconvdemo.errors import DatasetError

pytestmark = pytest.mark.timeout(180)


def imported(folder: str, place: str) -> tuple[int, list[str], list[bytes]]:
    """Runs in a client process: rows added, refusals, and what went in."""
    from pathlib import Path

    from deconvdemo.feedback.exchange.importing import ImportPlan, import_feedback
    from deconvdemo.feedback.store.store import FeedbackStore

    store = FeedbackStore(Path(folder), min_free_mb=0)
    report = import_feedback(store, place, ImportPlan("denoise", consent=True))
    found = [flag.observed for flag in store.flags()]
    store.close()
    return report.added, report.refused, found


def parquet(*observed: dict) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    results = [{"bytes": picture("out"), "path": None}] * len(observed)
    file = io.BytesIO()
    pq.write_table(pa.table({"input": pa.array(observed, kind), "output": pa.array(results, kind)}), file)
    return file.getvalue()


@pytest.fixture
def private(hub):
    """Of the importer, who may read it."""
    file = parquet({"bytes": picture("secret"), "path": None})
    commit = hub.publish("lab/private", {"photo.png": picture("secret"), "rows.parquet": file}, kind="datasets")
    return f"hf://datasets/lab/private@{commit}"


def test_rows_give_images_of_their_own_repository_alone(hub, client, private, tmp_path):
    named = ["photos/a.dat", "photos/none.dat", f"{private}/photo.png", "hf://datasets/lab/private/photo.png"]
    named += ["../private/photo.png", "/etc/hostname", "file:///etc/hostname", "http://127.0.0.1:1/x", "%2e%2e/x"]
    rows = [{"bytes": None, "path": path} for path in named]
    files = {"data/train.parquet": parquet(*rows), "photos/a.dat": picture("theirs")}
    hub.publish("stranger/rows", files, kind="datasets")
    added, refused, found = client(imported, str(tmp_path), "hf://datasets/stranger/rows")
    assert (added, found) == (1, [picture("theirs")])
    assert len(refused) == len(named) - 1


@pytest.mark.parametrize("there", ["PRIVATE/rows.parquet", "hf://datasets/lab/private/rows.parquet", "/etc/hostname"])
def test_a_card_that_names_other_repositories_is_refused(hub, client, private, tmp_path, there):
    path = there.replace("PRIVATE", private)
    card = f"---\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n    path: {path}\n---\n"
    hub.publish("stranger/card", {"README.md": card.encode(), "x.txt": b"x"}, kind="datasets")
    with pytest.raises(DatasetError, match=r"which is not inside it|cannot be read"):
        client(imported, str(tmp_path), "hf://datasets/stranger/card")
