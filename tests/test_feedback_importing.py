"""Flags from elsewhere come in once, with their images; what is not whole is named, and nobody's consent is guessed."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from io import BytesIO

import gradio as gr
import numpy as np
import pytest
from feedback_flags import NASTY_COMMENTS, flag_of, picture
from PIL import Image

from deconvdemo.errors import ControlError, FeedbackError
from deconvdemo.feedback.csv_export import export_csv, safe_cell
from deconvdemo.feedback.erase import erase
from deconvdemo.feedback.export import export_dataset
from deconvdemo.feedback.importing import Plan, import_feedback
from deconvdemo.feedback.opinions import Verdict
from deconvdemo.feedback.store import FeedbackStore

AGREED = Plan("denoise", consent=True)


@pytest.fixture
def store(sqlite_store):
    return sqlite_store


def jpeg(seed: int) -> bytes:
    file = BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (24, 32, 3), np.uint8)
    Image.fromarray(pixels).save(file, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0")
    return file.getvalue()


def pixels_of(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(data)).convert("RGB"))


@pytest.fixture
def logged(tmp_path):
    """A folder that Gradio itself filled with two flags, and that was moved since."""
    folder = tmp_path / "flagged"
    columns = [
        gr.Image(label="Noisy photo", type="filepath"),
        gr.Slider(0, 50, label="sigma"),
        gr.Textbox(label="Comment"),
        gr.Image(label="Denoised"),
    ]
    log = gr.CSVLogger(verbose=False)
    log.setup(columns, str(folder))
    for number, said, why in ((1, "=1+1 is too soft", "Too smooth"), (2, "fine", "bad")):
        files = {tmp_path / f"in-{number}.jpg": jpeg(number), tmp_path / f"out-{number}.png": picture(number)}
        for file, data in files.items():
            file.write_bytes(data)
        before, after = ({"path": str(file), "meta": {"_type": "gradio.FileData"}} for file in files)
        log.flag([before, 25, said, after], flag_option=why)
    folder.rename(tmp_path / "moved")
    return tmp_path / "moved"


def test_a_folder_of_gradios_comes_in_with_its_images_and_words(store, logged):
    report = import_feedback(store, str(logged), AGREED)
    assert (report.added, report.known, report.refused) == (2, 0, [])
    one, two = store.flags()
    assert one.reasons == ("too_smooth",)
    assert one.comment == "=1+1 is too soft"  # without Gradio's quote
    assert (two.reasons, two.comment) == (("other",), "fine\nflagged as: bad")
    assert one.controls == {"sigma": "25"}
    assert one.restored == picture(1)
    assert np.array_equal(pixels_of(one.observed), pixels_of(jpeg(1)))  # a JPEG's pixels, kept without loss
    assert abs((datetime.now(UTC) - one.created_at).total_seconds()) < 86400
    again = import_feedback(store, str(logged), AGREED)
    assert (again.added, again.known) == (0, 2)


def test_what_was_erased_stays_away(store, logged, tmp_path):
    import_feedback(store, str(logged), AGREED)
    export_dataset(store, tmp_path / "export")
    first = next(store.ids())
    erase(store, [first])
    report = import_feedback(store, str(tmp_path / "export"), Plan())
    assert (report.added, report.known) == (0, 2)


def test_columns_are_named_where_they_are_not_the_first_and_the_last(store, logged):
    plan = Plan("denoise", {"observed": "Denoised", "restored": "Noisy photo"}, "good", consent=True)
    import_feedback(store, str(logged), plan)
    assert next(store.flags()).observed == picture(1)
    report = import_feedback(store, str(logged), Plan("denoise", {"restored": "Sharp"}, consent=True))
    assert len(report.refused) == 2
    assert "no image in the column 'Sharp': it has Noisy photo, Denoised" in report.refused[0]


def test_rows_that_are_not_whole_are_named_and_the_others_come_in(store, logged, tmp_path):
    secret = tmp_path / "secret.png"
    secret.write_bytes(picture("secret"))
    with (logged / "dataset1.csv").open("a", newline="") as file:
        table = csv.writer(file)
        table.writerow(["two", "cells"])
        table.writerow([str(secret), "1", "", "../secret.png", "good", "2026-01-01 00:00:00"])
        table.writerow(["", "", "", "", "", ""])
    next(logged.glob("Denoised/*/*.png")).write_bytes(b"not an image")
    report = import_feedback(store, str(logged), AGREED)
    assert (report.added, len(report.refused)) == (1, 4)
    assert all("\n" not in sentence for sentence in report.refused)
    assert not [flag for flag in store.flags() if flag.observed == picture("secret")]  # nothing outside is read


def test_a_dataset_with_image_columns_comes_in(store, tmp_path):
    from datasets import Dataset, Features, Value
    from datasets import Image as ImageColumn

    rows = {
        "blurred": [{"bytes": jpeg(number), "path": None} for number in (1, 2)],
        "sharp": [{"bytes": picture(number), "path": None} for number in (1, 2)],
        "camera": ["one", "two"],
    }
    features = Features(blurred=ImageColumn(), sharp=ImageColumn(), camera=Value("string"))
    Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "pairs.parquet")
    report = import_feedback(store, str(tmp_path / "pairs.parquet"), AGREED)
    assert (report.added, report.refused) == (2, [])
    flag = next(store.flags())
    assert flag.controls == {"camera": "one"}
    assert flag.checkpoint == {"source": "imported from pairs.parquet"}
    assert np.array_equal(pixels_of(flag.observed), pixels_of(jpeg(1)))


def test_an_export_of_ours_comes_in_as_it_was(store, tmp_path):
    other = FeedbackStore(tmp_path / "other", min_free_mb=0)
    flags = [flag_of(1, comment="one"), flag_of(2, task="inpaint", mask=picture("mask"))]
    for flag in flags:
        other.add(flag)
    other.add(Verdict(flag_id=flags[0].flag_id, reviewer="ada", decision="accept", clean=picture("clean")))
    export_dataset(other, tmp_path / "export")
    report = import_feedback(store, str(tmp_path / "export"), Plan())
    assert (report.added, report.refused) == (3, [])
    assert [(flag.flag_id, flag.created_at, flag.images) for flag in store.flags()] == [
        (flag.flag_id, flag.created_at, flag.images) for flag in flags
    ]
    (verdict,) = store.events("verdicts")
    assert (verdict.decision, verdict.clean) == ("accept", picture("clean"))


def test_a_place_without_anything_or_without_consent_is_one_sentence(store, logged, tmp_path):
    (tmp_path / "empty").mkdir()
    for place, plan, says in (
        (tmp_path / "empty", AGREED, "there is nothing to import at"),
        (tmp_path / "nowhere", AGREED, "there is nothing to import at"),
        (logged, Plan("denoise"), "if they did, say so with --consent"),
        (logged, Plan(consent=True), "name the task"),
    ):
        with pytest.raises(ControlError, match=says):
            import_feedback(store, str(place), plan)
    assert store.totals()["flags"] == 0


# ---- tables for spreadsheets

FORMULAE = ["=1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "\u00a0=1", "＝1", "|cmd", "%x"]


@pytest.mark.parametrize("text", FORMULAE)
def test_no_cell_can_become_a_formula(text):
    assert safe_cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["a=1", "1-1", "", "'=1", "ñ漢"])
def test_other_cells_stay_as_they_are(text):
    assert safe_cell(text) == text


def test_tables_have_every_row_and_image_and_comments_as_text(store, tmp_path):
    for number, comment in enumerate(NASTY_COMMENTS):
        store.add(flag_of(number, comment=comment))
    store.add(Verdict(flag_id="f", reviewer="=ada()", decision="reject"))
    report = export_csv(store, tmp_path / "tables")
    assert report.counts == {"flags": len(NASTY_COMMENTS), "verdicts": 1}
    with (tmp_path / "tables/flags.csv").open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert [row["comment"] for row in rows] == [safe_cell(comment) for comment in NASTY_COMMENTS]
    for row, flag in zip(rows, store.flags(), strict=True):
        assert (tmp_path / "tables" / row["observed"]).read_bytes() == flag.observed
    assert "'=ada()" in (tmp_path / "tables/verdicts.csv").read_text(encoding="utf-8-sig")
    with pytest.raises(FeedbackError, match="has something in it"):
        export_csv(store, tmp_path / "tables")
    assert not list(tmp_path.glob(".partial*"))


def test_an_empty_store_has_no_tables(store, tmp_path):
    with pytest.raises(FeedbackError, match="nothing to export"):
        export_csv(store, tmp_path / "tables")
    assert not (tmp_path / "tables").exists()
