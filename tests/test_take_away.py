"""Chosen flags in the formats of other programs, opened by those programs' rules."""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

import pytest
from feedback_flags import NASTY_COMMENTS, flag_of, picture
from pyarrow.parquet import read_table

from deconvdemo.cli import main
from deconvdemo.errors import ControlError, FeedbackError
from deconvdemo.feedback.events.opinions import TRUTHS, Verdict
from deconvdemo.feedback.exchange.annotation_export import (
    FORMATS,
    SHOWN,
    export_argilla,
    export_image_folder,
    export_label_studio,
)
from deconvdemo.feedback.exchange.importing import ImportPlan, import_feedback
from deconvdemo.feedback.review.queue import ReviewQueue
from deconvdemo.feedback.review.view import View
from deconvdemo.feedback.store.kinds import KINDS
from deconvdemo.feedback.store.store import FeedbackStore


@pytest.fixture
def judged(sqlite_store):
    """(store, ids): one flag for each nasty comment, the first with a mask; the first three judged, one changed."""
    store = sqlite_store
    ids = [
        store.add(flag_of(number, comment=comment, **({"mask": picture("m")} if number == 0 else {}))).flag_id
        for number, comment in enumerate(NASTY_COMMENTS)
    ]
    for place, decision in ((0, "reject"), (0, "accept"), (1, "accept"), (2, "reject"), (3, "withdrawn")):
        store.add(Verdict(flag_id=ids[place], reviewer="ada", decision=decision, comment="=1+1"))
    return store, ids


def test_an_image_folder_opens_with_a_column_for_each_image(judged, tmp_path):
    from datasets import load_dataset

    store, ids = judged
    report = export_image_folder(store, tmp_path / "out", everything=True)
    assert report.counts == {"flags": len(ids)}
    opened = load_dataset("imagefolder", data_dir=str(tmp_path / "out"), split="train", cache_dir=str(tmp_path / "c"))
    rows = sorted(opened, key=lambda row: row["flag_id"])
    assert [row["flag_id"] for row in rows] == ids
    assert [row["comment"] for row in rows] == NASTY_COMMENTS
    assert rows[0]["observed"].size == rows[0]["mask"].size == (8, 8)
    assert rows[1]["mask"] is None
    assert [row["verdicts"] for row in rows[:2]] == [
        [{"reviewer": "ada", "decision": "accept", "comment": "=1+1"}],
        [{"reviewer": "ada", "decision": "accept", "comment": "=1+1"}],
    ]
    assert rows[3]["verdicts"] == []


def test_label_studio_gets_tasks_that_fit_its_interface(judged, tmp_path):
    store, ids = judged
    export_label_studio(store, tmp_path / "flags", ids[:4])
    tasks = json.loads((tmp_path / "flags" / "tasks.json").read_text(encoding="utf-8"))
    assert [task["data"]["flag_id"] for task in tasks] == ids[:4]
    interface = ET.fromstring((tmp_path / "flags" / "interface.xml").read_text(encoding="utf-8"))
    objects = {element.get("name"): element for element in interface.iter() if element.get("value", "").startswith("$")}
    controls = {element.get("name"): element for element in interface.iter() if element.get("toName")}
    for task, flag in zip(tasks, map(store.get, ids), strict=False):
        for element in objects.values():
            assert task["data"][element.get("value")[1:]]
        for role in ("observed", "restored"):
            assert local_file(tmp_path, task["data"][role]).read_bytes() == getattr(flag, role)
        for annotation in task["annotations"]:
            for told in annotation["result"]:
                assert told["to_name"] in objects
                assert told["type"] == controls[told["from_name"]].tag.lower()
                known = {choice.get("value") for choice in controls[told["from_name"]]}
                assert not known or set(told["value"]["choices"]) <= known
    decided = [[a["result"][0]["value"]["choices"] for a in task["annotations"]] for task in tasks]
    assert decided == [[["Accept"]], [["Accept"]], [["Reject"]], []]


def local_file(root, address: str):
    """The file that Label Studio serves under an address: `d` of its query, below LOCAL_FILES_DOCUMENT_ROOT."""
    parts = urlsplit(address)
    assert (parts.scheme, parts.netloc, parts.path, parts.fragment) == ("", "", "/data/local-files/", "")
    return root / parse_qs(parts.query, strict_parsing=True)["d"][0]


NAMES = [
    "flags #2 & co", "100 %", "%20", "a+b=c;d?e", "Fälle 日本 é", "[1] {x} (2)", "C:\\flags\\new", "it's \"it\"", "-o",
    "a'\nb",
]  # fmt: skip


@pytest.mark.parametrize("form", FORMATS)
def test_every_address_leads_to_its_file_from_a_folder_of_any_name(judged, tmp_path, monkeypatch, form):
    store, ids = judged
    monkeypatch.chdir(tmp_path)
    flags = [store.get(flag_id) for flag_id in ids[:2]]
    for name in NAMES:
        FORMATS[form](store, Path(name), ids[:2])
        assert images_of(form, tmp_path, name) == [[flag.observed, flag.restored] for flag in flags]


def images_of(form: str, root: Path, name: str) -> list[list[bytes]]:
    """What is shown of each flag, by the addresses in the folder `name` that an export made below `root`."""
    folder = root / name
    if form == "labelstudio":
        tasks = json.loads((folder / "tasks.json").read_text(encoding="utf-8"))
        return [[local_file(root, task["data"][role]).read_bytes() for role in SHOWN] for task in tasks]
    if form == "argilla":
        records = json.loads((folder / "records.json").read_text(encoding="utf-8"))
        return [[urlopen(record["fields"][role]).read() for role in SHOWN] for record in records]
    if form == "csv":
        table = csv.DictReader(io.StringIO((folder / "flags.csv").read_text(encoding="utf-8-sig")))
        return [[(folder / row[role]).read_bytes() for role in SHOWN] for row in table]
    if form == "imagefolder":
        lines = (folder / "metadata.jsonl").read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
        return [[(folder / row[f"{role}_file_name"]).read_bytes() for role in SHOWN] for row in rows]
    (file,) = (folder / "data" / "flags").iterdir()
    return [[row[role]["bytes"] for role in SHOWN] for row in read_table(file).to_pylist()]


def test_a_folder_may_be_called_by_a_dot_and_a_name_that_no_address_holds_is_refused(judged, tmp_path, monkeypatch):
    store, ids = judged
    (tmp_path / "flags").mkdir()
    monkeypatch.chdir(tmp_path / "flags")
    export_label_studio(store, Path("../flags"), ids[:1])
    (task,) = json.loads((tmp_path / "flags" / "tasks.json").read_text(encoding="utf-8"))
    assert local_file(tmp_path, task["data"]["observed"]).is_file()
    with pytest.raises(FeedbackError, match="is not UTF-8"):
        export_label_studio(store, tmp_path / os.fsdecode(b"caf\xe9"))


def test_argilla_gets_its_settings_and_records(judged, tmp_path):
    store, ids = judged
    export_argilla(store, tmp_path / "out", ids[:3])
    read = lambda name: json.loads((tmp_path / "out" / name).read_text(encoding="utf-8"))
    settings, records = read(".argilla/settings.json"), read("records.json")
    assert read(".argilla/dataset.json")["name"]
    fields = {field["name"]: field["settings"]["type"] for field in settings["fields"]}
    questions = {question["name"]: question["settings"] for question in settings["questions"]}
    assert {option["value"] for option in questions["decision"]["options"]} == set(TRUTHS)
    for record, flag_id in zip(records, ids[:3], strict=True):
        assert record["id"] == flag_id
        assert set(record["fields"]) == set(fields)
        assert set(record["metadata"]) == {item["name"] for item in settings["metadata"]}
        for name, kind in fields.items():
            if kind == "image":
                head, _, data = record["fields"][name].partition(",")
                assert head.startswith("data:image/")
                assert base64.b64decode(data) == getattr(store.get(flag_id), name)
        assert set(record["suggestions"]) <= set(questions)
    assert [record["suggestions"]["decision"]["value"] for record in records] == ["accept", "accept", "reject"]


@pytest.mark.parametrize("form", FORMATS)
def test_a_view_has_its_flags_alone_in_every_format(judged, tmp_path, form, capsys, monkeypatch):
    store, ids = judged
    accepted = list(ReviewQueue(store).all(View(status="accepted")))
    assert accepted == ids[1::-1]
    monkeypatch.setenv("DECONVDEMO_DATA_DIR", str(store.folder.parent))
    asked = ["feedback", "export", str(tmp_path / "out"), "--format", form, "--status", "accepted"]
    assert main(asked) == 0
    assert "2 flags" in capsys.readouterr().out
    assert main([*asked[:2], str(tmp_path / "none"), "--format", form, "--text", "nobody wrote this"]) == 1
    assert "no flag is in this view" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
    assert main(["feedback", "export", str(tmp_path / "x"), "--status", "liked"]) == 1
    assert "'liked' is not a status" in capsys.readouterr().err


def test_a_view_comes_as_a_zip_from_the_page(judged):
    from test_review_routes import signed_in

    store, ids = judged
    client = signed_in(store, "ada")
    answer = client.get("/review/export?format=csv&status=accepted")
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        table = archive.read("deconvdemo-flags-csv/flags.csv").decode("utf-8-sig")
        rows = list(csv.DictReader(io.StringIO(table)))
        assert [row["flag_id"] for row in rows] == ids[1::-1]
        for row in rows:
            assert archive.read(f"deconvdemo-flags-csv/{row['observed']}") == store.get(row["flag_id"]).observed
    assert client.get("/review/export?format=exe").status_code == 400
    assert client.get("/review/export?format=csv&text=nobody").status_code == 400


@pytest.mark.parametrize("form", [name for name in FORMATS if name != "parquet"])
def test_a_folder_with_something_in_it_is_left_alone(judged, tmp_path, form):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("x")
    with pytest.raises(FeedbackError, match="choose a new or empty folder"):
        FORMATS[form](judged[0], tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("zipped", [False, True], ids=["folder", "zip"])
def test_every_export_comes_back_whole(judged, tmp_path, form, zipped):
    """With ids, dates, images, verdicts and what reviewers gave with them."""
    store, ids = judged
    given = {"clean": picture("target"), "target": {"source": "upload"}, "region": picture("region")}
    store.add(Verdict(flag_id=ids[3], reviewer="O", decision="accept", may_be_shown=True, adjudicates=True, **given))
    place = tmp_path / "flags"
    FORMATS[form](store, place, ids)
    if zipped:
        with zipfile.ZipFile(tmp_path / "flags.zip", "w", zipfile.ZIP_STORED) as archive:
            for path in sorted(place.rglob("*")):
                archive.write(path, path.relative_to(tmp_path))
        place = tmp_path / "flags.zip"
    other = FeedbackStore(tmp_path / "other", min_free_mb=0)
    report = import_feedback(other, str(place), ImportPlan())
    assert (report.added, report.refused) == (len(ids) + 6, [])
    for kind in ("flags", "verdicts"):
        first, second = (
            {event.verdict_id if kind == "verdicts" else event.flag_id: event for event in one.events(kind)}
            for one in (store, other)
        )
        assert [KINDS[kind].row(event, event.images) | KEPT for event in first.values()] == [
            KINDS[kind].row(second[event_id], second[event_id].images) | KEPT for event_id in first
        ]
    assert import_feedback(other, str(place), ImportPlan()).added == 0
    other.close()


# which no export has
KEPT = {"client_token": None, "erase_key": None, "visitor": None}


@pytest.mark.parametrize("name", ["../secret.png", "/etc/passwd", "images/../../secret.png"])
def test_a_whole_event_names_no_file_elsewhere(judged, tmp_path, name):
    store, ids = judged
    (tmp_path / "secret.png").write_bytes(picture("secret"))
    FORMATS["csv"](store, tmp_path / "flags", ids[4:6])
    file = tmp_path / "flags" / "deconvdemo.jsonl"
    first, *others = file.read_text(encoding="utf-8").splitlines()
    row = json.loads(first)
    row["observed"] = name
    file.write_text("\n".join([json.dumps(row), "[]", "not JSON", *others]), encoding="utf-8")
    other = FeedbackStore(tmp_path / "other", min_free_mb=0)
    report = import_feedback(other, str(tmp_path / "flags"), ImportPlan())
    assert (report.added, len(report.refused)) == (1, 3)
    assert "line 1 of deconvdemo.jsonl" in report.refused[0]
    other.close()


def test_a_zip_file_of_somebody_elses_is_refused(sqlite_store, tmp_path):
    for how, name in ((zipfile.ZIP_DEFLATED, "a/deconvdemo.jsonl"), (zipfile.ZIP_STORED, "../out.txt")):
        file = tmp_path / f"{how}.zip"
        with zipfile.ZipFile(file, "w", how) as archive:
            archive.writestr(name, "x" * 10_000)
        with pytest.raises(ControlError):
            import_feedback(sqlite_store, str(file), ImportPlan())
    assert not (tmp_path.parent / "out.txt").exists()
