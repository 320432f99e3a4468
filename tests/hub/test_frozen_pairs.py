"""A machine without the demo's database learns from a frozen revision of its dataset, and says from which."""

from __future__ import annotations

from io import BytesIO
from itertools import count
from uuid import uuid4

import feedback_client as at
import pytest
import tiny
from PIL import Image
from tiny_training import photos

from deconvdemo.checkpoints.checkpoint import load_checkpoint
from deconvdemo.checkpoints.index import Entry
from deconvdemo.feedback.review.pairs import is_held_out
from deconvdemo.release.metadata import CardEntry

SIDE = 48


@pytest.fixture
def repo() -> str:
    return f"lab/frozen-{uuid4().hex[:8]}"


def ids(held_back: bool, how_many: int) -> list[str]:
    """Of flags that are trained on, or held back."""
    found = (f"flag-{number}" for number in count() if is_held_out(f"flag-{number}") == held_back)
    return [next(found) for _ in range(how_many)]


def photo(number: int, shade: int = 0) -> bytes:
    """A part of the scene that is like no other's; `shade` changes it a little."""
    row, column = divmod(number, 8)
    part = tiny.picture(512, 512)[64 * row : 64 * row + SIDE, 64 * column : 64 * column + SIDE]
    file = BytesIO()
    Image.fromarray((part // 2 + shade).astype("uint8")).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def origin(client, repo, tmp_path) -> str:
    """The demo's data folder: all is published, a flag was erased since, and its file was written anew."""
    folder = str(tmp_path / "demo")
    (first, second, rejected, erased, twin), (kept, other_twin) = ids(False, 5), ids(True, 2)
    client(at.fill, folder, [1, 2, 3])  # nobody judged these
    client(at.judged, folder, first, photo(0), "accept", photo(0, 9), None)
    client(at.judged, folder, second, photo(1), "accept", None, photo(1, 9))
    client(at.judged, folder, rejected, photo(2), "reject", photo(2, 9), None)
    client(at.judged, folder, erased, photo(3), "accept", photo(3, 9), None)
    client(at.judged, folder, kept, photo(4), "accept", photo(4, 9), None)
    # the 9th and the 10th of one picture, in files of their own: both are on the side of the one that came first
    for twin_id in (twin, other_twin):
        client(at.publish, folder, repo)
        client(at.judged, folder, twin_id, photo(5), "accept", photo(5, 9), None)
    client(at.publish, folder, repo)
    assert client(at.taught, folder).trained == sorted([first, second, erased, twin, other_twin])
    client(at.erase_here, folder, [erased])
    client(at.publish, folder, repo)
    return folder


def test_a_frozen_revision_teaches_elsewhere_what_it_taught_where_it_came_from(
    hub, client, repo, origin, tiny_weights, tmp_path
):
    known = client(at.taught, origin)
    assert len(known.revision) == 40
    new = ids(False, 6)[-1]
    client(at.judged, origin, new, photo(6), "accept", photo(6, 9), None)
    assert client(at.taught, origin).revision == ""  # it teaches more than any revision does
    client(at.publish, origin, repo)
    assert client(at.taught, origin).revision not in ("", known.revision)
    client(at.accept_too, origin, known.trained[0])
    assert client(at.taught, origin).revision == ""

    elsewhere, frozen = str(tmp_path / "elsewhere"), f"hf://datasets/{repo}@{known.revision}"
    assert client(at.command, elsewhere, "feedback", "import", frozen) == 0
    found = client(at.taught, elsewhere)
    assert (found.names, found.trained, found.held_back) == (known.names, known.trained, known.held_back)
    assert found.revision == frozen

    out = tmp_path / "candidate" / "denoise.safetensors"
    words = ["--images", str(photos(tmp_path)), "--weights", str(tiny_weights), "--out", str(out), "--steps", "1"]
    words += ["--patch", "24", "--batch", "4", "--device", "cpu", "--precision", "fp32"]
    words += ["--flags", frozen]  # read from its shards, by a machine that has imported nothing
    assert client(at.command, str(tmp_path / "bare"), "finetune", "denoise", *words) == 0
    header = load_checkpoint(out).header
    assert (header.recipe["flags"]["from"], header.recipe["learned"]) == (frozen, known.trained)
    assert any(frozen in line for line in header.data)
    of_card = CardEntry(Entry(out.name, ""), header, 0).flags
    assert (of_card["repo"], of_card["from"]) == (repo, known.revision)

    client(at.judged, elsewhere, "flag-own", photo(7), "accept", photo(7, 9), None)
    assert client(at.taught, elsewhere).revision == ""  # it has learned something of its own


def test_a_later_import_brings_what_is_new_and_takes_what_was_erased(hub, client, repo, origin, tmp_path):
    elsewhere, place = str(tmp_path / "elsewhere"), f"hf://datasets/{repo}"
    assert client(at.command, elsewhere, "feedback", "import", place) == 0
    known = client(at.taught, elsewhere)
    new, gone = ids(False, 6)[-1], known.trained[0]
    client(at.judged, origin, new, photo(6), "accept", photo(6, 9), None)
    client(at.erase_here, origin, [gone])
    client(at.publish, origin, repo)
    assert client(at.command, elsewhere, "feedback", "import", place) == 0
    found = client(at.taught, elsewhere)
    assert found.trained == sorted({*known.trained, new} - {gone})
    assert found.names == client(at.taught, origin).names
    assert found.revision == f"{place}@{client(at.taught, origin).revision}"
    assert client(at.command, elsewhere, "feedback", "import", f"{place}@{uuid4().hex}") == 1


def test_another_dataset_erases_nothing_that_was_flagged_here(hub, client, repo, tmp_path):
    """Ids are public: whoever has read our dataset could name them as erased in one of their own."""
    demo, other = str(tmp_path / "demo"), str(tmp_path / "other")
    here = client(at.fill, demo, [1])
    client(at.fill, other, [2])
    client(at.publish, other, repo)
    hub.publish(repo, {f"erasures/{here[0]}.json": b'{"kind": "flags"}'}, kind="datasets")
    assert client(at.import_from_hub, demo, repo) == (1, 0, [])
    assert here[0] in client(at.stored, demo)["flags"]
