"""Flags in the formats of other programs: the ImageFolder of `datasets`, Label Studio's tasks, Argilla's dataset.

Label Studio: https://labelstud.io/guide/tasks. Argilla 2: what `rg.Dataset.to_disk` writes. ImageFolder:
https://huggingface.co/docs/datasets/image_dataset, with a column for each image. Which flags, verdicts and whose: see
Selection; `feedback import` takes each of them back.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from deconvdemo.errors import FeedbackError
from deconvdemo.feedback.dataset.rows import dataset_row
from deconvdemo.feedback.events.imagefile import image_extension
from deconvdemo.feedback.events.opinions import TRUTHS, StoredVerdict
from deconvdemo.feedback.events.records import REASONS, StoredFlag
from deconvdemo.feedback.exchange.csv_export import export_csv
from deconvdemo.feedback.exchange.export import ExportReport, export_dataset
from deconvdemo.feedback.exchange.new_folder import new_folder
from deconvdemo.feedback.exchange.selection import Selection
from deconvdemo.feedback.exchange.whole_events import WholeEvents
from deconvdemo.feedback.store.kinds import KINDS
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.redaction import for_strangers

SHOWN = ("observed", "restored")  # what a person judges by


def export_image_folder(
    store: FeedbackStore, folder: Path, flag_ids: Iterable[str] | None = None, **how: Any
) -> ExportReport:
    """images/ and metadata.jsonl: `load_dataset("imagefolder", data_dir=…)` gives a column for each image.

    Beside a flag's own columns: `verdicts`, the newest of each reviewer.
    """
    with (
        _Folder(Selection.of(store, flag_ids, **how), folder) as out,
        (out.path / "metadata.jsonl").open("w", encoding="utf-8") as file,
    ):
        for flag, verdicts in out.flags():
            row = {name: value for name, value in dataset_row(KINDS["flags"], flag).items() if name not in flag.ROLES}
            row["created_at"] = flag.created_at.isoformat()
            names = out.write_images(flag)
            row |= {f"{role}_file_name": names[role] for role in names}
            row["verdicts"] = [{"reviewer": v.reviewer, "decision": v.decision, "comment": v.comment} for v in verdicts]
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return out.report


def export_label_studio(
    store: FeedbackStore, folder: Path, flag_ids: Iterable[str] | None = None, **how: Any
) -> ExportReport:
    """tasks.json to import, interface.xml to paste, and images/ to serve as local files (README.txt says how)."""
    with _Folder(Selection.of(store, flag_ids, **how), folder) as out:
        name = _name_of(Path(folder))
        (out.path / "interface.xml").write_text(_interface(), encoding="utf-8")
        (out.path / "README.txt").write_text(_LABEL_STUDIO.format(name=name), encoding="utf-8")
        with (out.path / "tasks.json").open("w", encoding="utf-8") as file:
            _write_list(file, (_label_studio_task(flag, verdicts, out, name) for flag, verdicts in out.flags()))
    return out.report


def export_argilla(
    store: FeedbackStore, folder: Path, flag_ids: Iterable[str] | None = None, **how: Any
) -> ExportReport:
    """A folder that `rg.Dataset.from_disk` opens: images as data URLs, reviewers' verdicts as suggestions."""
    with _Folder(Selection.of(store, flag_ids, **how), folder) as out:
        (out.path / "images").rmdir()
        (out.path / ".argilla").mkdir()
        dataset = {"name": "deconvdemo-flags", "allow_extra_metadata": False}
        (out.path / ".argilla" / "dataset.json").write_text(json.dumps(dataset), encoding="utf-8")
        (out.path / ".argilla" / "settings.json").write_text(json.dumps(_argilla_settings()), encoding="utf-8")
        with (out.path / "records.json").open("w", encoding="utf-8") as file:
            _write_list(file, (_argilla_record(flag, verdicts) for flag, verdicts in out.flags()))
    return out.report


# name → writer: (store, folder, flags or None for all, reader=…, everything=…) → report
FORMATS: dict[str, Callable[..., ExportReport]] = {
    "parquet": export_dataset,
    "imagefolder": export_image_folder,
    "csv": export_csv,
    "labelstudio": export_label_studio,
    "argilla": export_argilla,
}


class _Folder:
    """A new folder, and the flags to fill it with, each with the newest verdict of each reviewer."""

    report: ExportReport

    def __init__(self, chosen: Selection, folder: Path):
        self.chosen, self.folder = chosen, Path(folder)
        self.damaged: list[str] = []
        self.count = 0

    def __enter__(self) -> _Folder:
        self._new = new_folder(self.folder)
        self.path = self._new.__enter__()
        self.whole = WholeEvents(self.path)
        return self

    def __exit__(self, *error) -> bool | None:
        self.whole.close()
        if error[0] is None:
            files = [file for file in self.path.rglob("*") if file.is_file()]
            size = sum(file.stat().st_size for file in files)
            self.report = ExportReport(self.folder, {"flags": self.count}, len(files), size, tuple(self.damaged))
        return self._new.__exit__(*error)

    def flags(self) -> Iterator[tuple[StoredFlag, list[StoredVerdict]]]:
        for flag in self.chosen.events("flags", self.damaged):
            newest: dict[str, StoredVerdict] = {}
            given = list(self.chosen.verdicts(flag.flag_id, self.damaged))
            for verdict in given:
                newest[verdict.reviewer] = max(verdict, newest.get(verdict.reviewer, verdict), key=_age)
            self.count += 1
            self.names: dict[str, str] = {}
            yield flag, [verdict for verdict in newest.values() if verdict.decision != "withdrawn"]
            self.whole.add(flag, self.names)
            for verdict in given:
                self.whole.add(verdict)

    def write_images(self, flag: StoredFlag) -> dict[str, str]:
        """Role → the file's name in the folder."""
        names = {}
        for role, data in flag.images.items():
            names[role] = f"images/{flag.flag_id}-{role}.{image_extension(data)}"
            (self.path / names[role]).write_bytes(data)
        self.names = names
        return names


def _age(verdict: StoredVerdict):
    return verdict.created_at, verdict.sequence


def _write_list(file, values: Iterable[Any]) -> None:
    """A JSON list, one value at a time in memory."""
    file.write("[")
    for number, value in enumerate(values):
        file.write(("," if number else "") + "\n")
        json.dump(value, file, ensure_ascii=False)
    file.write("\n]\n")


def _name_of(folder: Path) -> str:
    """The folder's own name, also of "." or "flags/..", as an address can hold it."""
    name = Path(os.path.abspath(folder)).name
    try:
        name.encode()
    except UnicodeEncodeError:
        raise FeedbackError(
            f"the name of {folder} is not UTF-8, so no address leads into it: choose a folder of another name"
        ) from None
    return name


_LABEL_STUDIO = """How to open this in Label Studio

1. Start Label Studio with LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true and LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT set
   to the folder that {name} is in.
2. Make a project, and paste interface.xml as its labelling interface (code).
3. Add {name}/images as a local-files storage, without synchronising it: it allows the files to be served.
4. Import tasks.json. The verdicts that reviewers gave are annotations of its tasks.
"""


def _interface() -> str:
    decisions = "".join(f"<Choice value={quoteattr(words)}/>" for words in TRUTHS.values())
    reasons = "".join(f"<Choice value={quoteattr(words)}/>" for words in REASONS.values())
    return f"""<View>
  <View style="display: grid; grid-template-columns: 1fr 1fr; gap: 8px">
    <Image name="observed" value="$observed" zoom="true"/>
    <Image name="restored" value="$restored" zoom="true"/>
  </View>
  <Text name="said" value="$said"/>
  <Choices name="decision" toName="restored" choice="single" required="true">{decisions}</Choices>
  <Choices name="reasons" toName="restored" choice="multiple">{reasons}</Choices>
  <TextArea name="comment" toName="restored" rows="2"/>
</View>
"""


def _label_studio_task(flag: StoredFlag, verdicts: list[StoredVerdict], out: _Folder, name: str) -> dict[str, Any]:
    files = out.write_images(flag)
    reasons = ", ".join(REASONS.get(reason, reason) for reason in flag.reasons)
    said = f"{flag.task}: {reasons}" + (f"\n{flag.comment}" if flag.comment else "")
    facts = {"flag_id": flag.flag_id, "task": flag.task, "said": said, "created_at": flag.created_at.isoformat()}
    urls = {role: "/data/local-files/?d=" + quote(f"{name}/{file}") for role, file in files.items()}
    return {"data": {**facts, **urls}, "annotations": [_annotation(verdict) for verdict in verdicts]}


def _annotation(verdict: StoredVerdict) -> dict[str, Any]:
    def told(of: str, kind: str, key: str, values: list[str]) -> dict[str, Any]:
        return {"from_name": of, "to_name": "restored", "type": kind, "value": {key: values}}

    result = [told("decision", "choices", "choices", [TRUTHS[verdict.decision]])]
    if verdict.reasons:
        words = [REASONS.get(reason, reason) for reason in verdict.reasons]
        result.append(told("reasons", "choices", "choices", words))
    comment = f"{verdict.reviewer}: {verdict.comment}" if verdict.comment else f"{verdict.reviewer}:"
    return {"result": [*result, told("comment", "textarea", "text", [comment])]}


def _argilla_settings() -> dict[str, Any]:
    def image(role: str) -> dict[str, Any]:
        return {"name": role, "title": role.capitalize(), "required": True, "settings": {"type": "image"}}

    def text(name: str, title: str) -> dict[str, Any]:
        return {"name": name, "title": title, "required": False, "settings": {"type": "text", "use_markdown": False}}

    def labels(kind: str, words: dict[str, str]) -> dict[str, Any]:
        return {"type": kind, "options": [{"value": value, "text": text} for value, text in words.items()]}

    return {
        "guidelines": "Is the restored picture as bad as the visitor says, so that a network should learn from it?",
        "fields": [*map(image, SHOWN), text("said", "What the visitor says")],
        "questions": [
            {
                "name": "decision",
                "title": "Verdict",
                "required": True,
                "settings": labels("label_selection", TRUTHS),
            },
            {
                "name": "reasons",
                "title": "What is wrong",
                "required": False,
                "settings": labels("multi_label_selection", REASONS),
            },
            text("comment", "Comment"),
        ],
        "vectors": [],
        "metadata": [
            {"name": name, "title": name, "settings": {"type": "terms", "values": None, "visible_for_annotators": True}}
            for name in ("task", "weights", "created_at")
        ],
        "allow_extra_metadata": False,
        "distribution": {"strategy": "overlap", "min_submitted": 1},
        "mapping": None,
    }


def _argilla_record(flag: StoredFlag, verdicts: list[StoredVerdict]) -> dict[str, Any]:
    images = {role: _data_url(getattr(flag, role)) for role in SHOWN}
    suggestions: dict[str, Any] = {}
    if verdicts:
        last = max(verdicts, key=_age)
        suggestions["decision"] = {"value": last.decision, "agent": last.reviewer}
    suggestions["reasons"] = {"value": list(flag.reasons), "agent": "visitor"}
    weights = flag.checkpoint.get("sha256") or for_strangers(flag.checkpoint.get("source")) or "unknown"
    return {
        "id": flag.flag_id,
        "fields": {**images, "said": flag.comment or "–"},
        "metadata": {"task": flag.task, "weights": str(weights)[:64], "created_at": flag.created_at.isoformat()},
        "suggestions": suggestions,
        "responses": {},
        "vectors": {},
    }


def _data_url(data: bytes) -> str:
    return f"data:image/{image_extension(data)};base64,{base64.b64encode(data).decode()}"
