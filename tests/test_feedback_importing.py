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
from deconvdemo.feedback.dataset.erase import erase
from deconvdemo.feedback.events.opinions import Verdict
from deconvdemo.feedback.exchange.csv_export import export_csv, safe_cell
from deconvdemo.feedback.exchange.export import export_dataset
from deconvdemo.feedback.exchange.importing import ImportPlan, import_feedback
from deconvdemo.feedback.store.store import FeedbackStore

AGREED = ImportPlan("denoise", consent=True)


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
    report = import_feedback(store, str(tmp_path / "export"), ImportPlan())
    assert (report.added, report.known) == (0, 2)


def test_columns_may_be_named_whatever_they_are_called(store, logged):
    plan = ImportPlan("denoise", {"observed": "Denoised", "restored": "Noisy photo"}, "good", consent=True)
    import_feedback(store, str(logged), plan)
    assert next(store.flags()).observed == picture(1)
    for named, says in (
        ({"restored": "Sharp"}, "no image in the column 'Sharp': name its columns with .*'Noisy photo', 'Denoised'"),
        ({"observed": "Denoised", "restored": "Denoised"}, "cannot be two things"),
    ):
        with pytest.raises(ControlError, match=says):
            import_feedback(store, str(logged), ImportPlan("denoise", named, consent=True))
    assert store.totals()["flags"] == 2


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
    place = str(tmp_path / "pairs.parquet")
    with pytest.raises(ControlError, match=r"which of its images is the restored one: name its .*'blurred', 'sharp'"):
        import_feedback(store, place, AGREED)  # a sharp photo may be a result, or what it should have been
    report = import_feedback(store, place, ImportPlan("denoise", {"restored": "sharp"}, consent=True))
    assert (report.added, report.refused) == (2, [])
    assert report.roles == [f"{place}: observed is 'blurred', restored is 'sharp'"]
    flag = next(store.flags())
    assert flag.controls == {"camera": "one"}
    assert flag.checkpoint == {"source": "imported from pairs.parquet"}
    assert np.array_equal(pixels_of(flag.observed), pixels_of(jpeg(1)))


def of_gradio(tmp_path, components: dict, rows: list, **how):
    """A log that Gradio itself writes. `components`: label → class; in `rows` a name stands for that picture's file."""

    def filed(value):
        if isinstance(value, list):
            return [filed(item) for item in value]
        if isinstance(value, dict):
            return {key: filed(item) for key, item in value.items()}
        if value is None:
            return None
        file = tmp_path / f"{value}.png"
        file.write_bytes(picture(value))
        return {"path": str(file), "meta": {"_type": "gradio.FileData"}}

    folder = tmp_path / "log"
    log = gr.CSVLogger(verbose=False, **how)
    log.setup([component(label=label) for label, component in components.items()], str(folder))
    for row in rows:
        log.flag([filed(value) for value in row], flag_option="bad")
    return folder


PAIR = ["before", "after"]
DRAWN = {"background": "photo", "layers": ["stroke"], "composite": "both"}
CLEAR = {
    "a slider's pair is what went in and what came out": ({"Compare": gr.ImageSlider}, [PAIR], PAIR),
    "also beside the photo that was uploaded": (
        {"Photo": gr.Image, "Result": gr.ImageSlider},
        ["upload", PAIR],
        PAIR,
    ),
    "a name says it better": ({"Noisy photo": gr.Image, "R": gr.ImageSlider}, ["upload", PAIR], ["upload", "after"]),
    "the other way round": ({"R": gr.ImageSlider, "Noisy": gr.Image}, [PAIR, "upload"], ["upload", "after"]),
    "an interface's own names": ({"img": gr.Image, "output": gr.Image}, ["a", "b"], ["a", "b"]),
    "names before places": ({"Restored": gr.Image, "Input": gr.Image}, ["b", "a"], ["a", "b"]),
    "an editor's photo is what was painted on": (
        {"Paint": gr.ImageEditor, "Result": gr.Image},
        [DRAWN, "b"],
        ["photo", "b"],
    ),
    "one picture in a gallery": ({"Photo": gr.Image, "Results": gr.Gallery, "Output": gr.Gallery},
        ["a", None, [{"image": "b", "caption": None}]], ["a", "b"]),
    "a mask is none of them": ({"Photo": gr.Image, "Mask": gr.Image, "Output": gr.Image}, ["a", "m", "b"], ["a", "b"]),
}  # fmt: skip


@pytest.mark.parametrize("simplify", [True, False])
@pytest.mark.parametrize("case", CLEAR)
def test_roles_come_from_what_is_certain(store, tmp_path, case, simplify):
    components, row, (observed, restored) = CLEAR[case]
    folder = of_gradio(tmp_path, components, [row], simplify_file_data=simplify)
    assert import_feedback(store, str(folder), AGREED).added == 1
    (flag,) = store.flags()
    assert (flag.observed, flag.restored) == (picture(observed), picture(restored))
    assert (flag.mask, flag.clean) == (None, None)


def test_what_was_painted_in_an_editor_is_the_mask_of_an_inpainting(store, tmp_path):
    folder = of_gradio(tmp_path, {"Paint": gr.ImageEditor, "Result": gr.Image}, [[DRAWN, "b"]])
    report = import_feedback(store, str(folder), ImportPlan("inpaint", consent=True))
    assert next(store.flags()).mask == picture("stroke")
    assert report.roles[0].endswith("mask is 'Paint (layer 1)'; not taken: 'Paint (composite)'")


ASKED = {
    "names that say nothing": ({"A": gr.Image, "B": gr.Image}, ["a", "b"]),
    "a photo and a reference": ({"Photo": gr.Image, "Reference": gr.Image}, ["a", "b"]),
    "two that went in": ({"Input": gr.Image, "Noisy": gr.Image, "Output": gr.Image}, ["a", "b", "c"]),
    "two that came out": ({"Photo": gr.Image, "Result": gr.Image, "R": gr.ImageSlider}, ["a", "b", PAIR]),
    "two sliders": ({"One": gr.ImageSlider, "Two": gr.ImageSlider}, [PAIR, PAIR]),
    "a gallery of several": (
        {"Photo": gr.Image, "Output": gr.Gallery},
        ["a", [{"image": "b", "caption": None}, {"image": "c", "caption": None}]],
    ),
    "a name that says both": ({"Before or after": gr.Image, "Output": gr.Image}, ["a", "b"]),
    "a clean one": ({"Noisy": gr.Image, "Clean": gr.Image}, ["a", "b"]),
    "no picture that is there": ({"Photo": gr.Image, "Output": gr.Image}, [None, None]),
}


@pytest.mark.parametrize("case", ASKED)
def test_where_there_is_a_choice_the_person_is_asked_and_nothing_is_stored(store, tmp_path, case):
    components, row = ASKED[case]
    folder = of_gradio(tmp_path, components, [row])
    with pytest.raises(ControlError, match="does not say which of its images is the") as raised:
        import_feedback(store, str(folder), AGREED)
    if any(row):
        assert "--observed COLUMN --restored COLUMN" in str(raised.value)
        assert all(label in str(raised.value) for label in components)
    assert store.totals()["flags"] == 0


@pytest.mark.parametrize(
    ("named", "taken"),
    [
        ({"restored": "Two"}, None),
        ({"observed": "One", "restored": "Two"}, ["before", "later"]),
        ({"observed": "Two (before)", "restored": "One (after)"}, ["earlier", "after"]),
    ],
)
def test_an_image_within_a_cell_can_be_named(store, tmp_path, named, taken):
    components = {"One": gr.ImageSlider, "Two": gr.ImageSlider}
    folder = of_gradio(tmp_path, components, [[PAIR, ["earlier", "later"]]])
    if taken is None:  # what went in is a choice still
        with pytest.raises(ControlError, match="is the observed one"):
            import_feedback(store, str(folder), ImportPlan("denoise", named, consent=True))
        return
    import_feedback(store, str(folder), ImportPlan("denoise", named, consent=True))
    (flag,) = store.flags()
    assert [flag.observed, flag.restored] == [picture(name) for name in taken]


def test_two_columns_of_one_name_are_two(store, tmp_path):
    folder = of_gradio(tmp_path, {"Image": gr.Image, "Other": gr.Image}, [["a", "b"]])
    table = folder / "dataset1.csv"
    table.write_text(table.read_text().replace("Other,", "Image,", 1))
    plan = ImportPlan("denoise", {"observed": "Image", "restored": "Image #2"}, consent=True)
    import_feedback(store, str(folder), plan)
    assert next(store.flags()).restored == picture("b")


def test_files_of_varying_number_are_no_pair(store, tmp_path):
    rows = [[["a", "b"], "r"], [["a"], "r"]]
    folder = of_gradio(
        tmp_path, {"Files": lambda label: gr.File(label=label, file_count="multiple"), "R": gr.Image}, rows
    )
    with pytest.raises(ControlError, match="'Files \\(1\\)', 'Files \\(2\\)', 'R'"):
        import_feedback(store, str(folder), AGREED)


def test_a_table_that_does_not_say_it_is_refused_beside_one_that_does(store, tmp_path):
    folder = of_gradio(tmp_path, {"Photo": gr.Image, "Output": gr.Image}, [["a", "b"]])
    of_gradio(tmp_path, {"A": gr.Image, "B": gr.Image}, [["a", "b"]])
    report = import_feedback(store, str(folder), AGREED)
    assert (report.added, len(report.refused)) == (1, 1)
    assert "dataset2.csv does not say" in report.refused[0]


def test_a_row_without_its_result_is_not_given_another_one(store, tmp_path):
    components = {"Photo": gr.Image, "Mask": gr.Image, "Output": gr.Image}
    folder = of_gradio(tmp_path, components, [["a", "m", "b"], ["a", "m", None]])
    report = import_feedback(store, str(folder), AGREED)
    assert (report.added, len(report.refused)) == (1, 1)
    assert "its restored image is missing" in report.refused[0]


def test_an_export_of_ours_comes_in_as_it_was(store, tmp_path):
    other = FeedbackStore(tmp_path / "other", min_free_mb=0)
    flags = [flag_of(1, comment="one"), flag_of(2, task="inpaint", mask=picture("mask"))]
    for flag in flags:
        other.add(flag)
    other.add(Verdict(flag_id=flags[0].flag_id, reviewer="ada", decision="accept", clean=picture("clean")))
    export_dataset(other, tmp_path / "export")
    report = import_feedback(store, str(tmp_path / "export"), ImportPlan())
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
        (logged, ImportPlan("denoise"), "if they did, say so with --consent"),
        (logged, ImportPlan(consent=True), "name the task"),
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
    report = export_csv(store, tmp_path / "tables", everything=True)
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
