"""A flag is checked when it is made: what cannot be stored is refused in one sentence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from io import BytesIO

import pytest
from feedback_flags import NASTY_COMMENTS, flag_of, picture
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from deconvdemo.errors import FeedbackError
from deconvdemo.feedback.events import records
from deconvdemo.feedback.events.imagefile import stored_image
from deconvdemo.feedback.events.records import CONSENT, REASONS, as_json, new_id

WHOLE = picture("whole", side=32)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"reasons": ()}, "at least one reason"),
        ({"reasons": ("ugly",)}, "'ugly' is not a reason"),
        ({"reasons": ("good", "seams")}, "Visible seams"),
        ({"comment": "x" * 10_001}, "10,001 characters"),
        ({"consent": False}, "consent"),
        ({"consent": None}, "consent"),
        ({"task": "Denoise!"}, "'Denoise!' is not a task"),
        ({"task": ""}, "is not a task"),
        ({"observed": b""}, "observed image is empty"),
        ({"restored": None}, "restored image is empty"),
        ({"observed": b"a text file named .png"}, "observed image is not a PNG or WebP"),
        ({"clean": picture(0, format="JPEG")}, "clean image is not a PNG or WebP"),
        ({"mask": WHOLE[:-20]}, "mask image ends in its middle"),
        ({"mask": picture(0, side=64, format="WEBP", lossless=True)[:-3]}, "mask image ends in its middle"),
        ({"region": WHOLE[:8] + b"junk" * 40}, "region image"),
        ({"region": WHOLE.replace(b"IDAT", b"IDAX")}, "region image cannot be read"),
        ({"controls": {"sigma": float("nan")}}, "controls cannot be written as JSON"),
        ({"controls": {"photo": b"bytes"}}, "controls cannot be written as JSON"),
        ({"controls": {"text": "\ud800"}}, "controls cannot be written as JSON"),
        ({"checkpoint": {"name": "x" * 200_000}}, "checkpoint take"),
        ({"client_token": "x" * 201}, "client token"),
        ({"client_token": "a\x00b"}, "client token"),
        ({"flag_id": "../../etc/passwd"}, "flag's id"),
        ({"created_at": datetime(2026, 11, 20)}, "time zone"),
    ],
)
def test_what_cannot_be_stored_is_refused_in_one_sentence(wrong, said):
    with pytest.raises(FeedbackError) as refusal:
        flag_of(0, **wrong)
    assert said in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_an_image_above_the_bound_is_refused(monkeypatch):
    monkeypatch.setattr(records, "MAX_IMAGE_BYTES", len(WHOLE))
    flag_of(0, observed=WHOLE)
    with pytest.raises(FeedbackError, match="MB"):
        flag_of(0, observed=WHOLE + b"\0")


def test_reasons_come_once_and_in_the_order_of_the_page():
    assert flag_of(0, reasons=["halo", "too_smooth", "halo"]).reasons == ("too_smooth", "halo")
    assert flag_of(0, reasons=["good"]).reasons == ("good",)
    assert next(iter(REASONS)) == "good"


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=50))
def test_text_that_is_not_control_characters_is_kept(text):
    assert flag_of(0, comment=text).comment == text.strip()


@given(st.text(max_size=50))
def test_any_text_becomes_text_that_can_be_written(text):
    comment = flag_of(0, comment=text).comment
    assert comment.encode().decode() == comment
    assert "\x00" not in comment
    assert flag_of(0, comment=comment).comment == comment


def test_control_characters_go_and_the_rest_of_a_comment_stays():
    assert flag_of(0, comment="  a\x00b\x1b[31mc\r\nd\x07\ud83d ").comment == "ab[31mc\nd"
    for comment in NASTY_COMMENTS:
        assert flag_of(0, comment=comment).comment == comment


def private_files() -> dict[str, bytes]:
    """Files that tell where they were taken, in each of the places where files do."""
    image = Image.open(BytesIO(WHOLE))
    exif = Image.Exif()
    exif[0x010F] = "SECRET camera"
    exif.get_ifd(0x8825)[1] = "SECRET"  # GPS
    text = PngInfo()
    text.add_text("Comment", "SECRET")
    text.add_itxt("XML:com.adobe.xmp", "<SECRET/>", zip=False)
    options = {
        "png": ("PNG", {"exif": exif, "pnginfo": text}),
        "webp": ("WEBP", {"exif": exif, "xmp": b"<SECRET/>", "lossless": True}),
    }
    files = {}
    for name, (format, given_options) in options.items():
        file = BytesIO()
        image.save(file, format, icc_profile=b"a colour profile", **given_options)
        files[name] = file.getvalue()
    files["png, EXIF after the pixels"] = _exif_last(files["png"])
    return files


def _exif_last(png: bytes) -> bytes:
    start = png.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(png[start : start + 4], "big")
    iend = png.index(b"IEND") - 4
    return png[:start] + png[end:iend] + png[start:end] + png[iend:]


@pytest.mark.parametrize("name", ["png", "webp", "png, EXIF after the pixels"])
def test_private_data_are_dropped_and_pixels_and_colours_stay(name):
    private = private_files()[name]
    assert b"SECRET" in private
    stored = flag_of(0, observed=private).observed
    assert b"SECRET" not in stored
    with Image.open(BytesIO(private)) as before, Image.open(BytesIO(stored)) as after:
        assert after.tobytes() == before.tobytes()
        assert after.info["icc_profile"] == b"a colour profile"
        assert not dict(after.getexif())
        assert "xmp" not in after.info
    if name == "webp":
        assert stored[20] & 0b1100 == 0  # nor does its header announce EXIF or XMP


def test_what_follows_a_png_that_has_private_data_is_dropped_too():
    assert b"hidden" not in stored_image(private_files()["png"] + b"hidden")


def test_a_file_without_private_data_is_kept_byte_for_byte():
    for data in (WHOLE, picture(1, format="WEBP", lossless=True), picture(2, format="WEBP", quality=50)):
        assert stored_image(data) == data


def test_ids_differ_and_sort_by_time():
    early, late = new_id(), [new_id() for _ in range(1000)]
    assert len(set(late)) == 1000
    assert all(flag_id[:12] >= early[:12] for flag_id in late)
    assert all(len(flag_id) == 32 and flag_id[12] == "7" and flag_id[16] in "89ab" for flag_id in late)


def test_dates_are_kept_in_utc():
    here = datetime(2026, 11, 20, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    assert flag_of(0, created_at=here).created_at == here
    assert flag_of(0, created_at=here).created_at.tzinfo is UTC


def test_equal_values_are_equal_json():
    assert as_json({"b": [1, "ñ"], "a": None}) == as_json(json.loads('{"a": null, "b": [1, "ñ"]}'))


def test_the_consent_names_licence_use_privacy_and_erasure():
    for words in ("CC BY 4.0", "public dataset", "train", "EXIF", "erased"):
        assert words in CONSENT


def test_feedback_imports_nothing_heavy():
    code = (
        "import sys, deconvdemo.feedback.events.records; light = set(sys.modules);"
        "import deconvdemo.feedback.store.store, deconvdemo.feedback.exchange.export;"
        "print({'PIL', 'sqlalchemy'} & light, {'torch', 'gradio', 'datasets', 'pyarrow'} & set(sys.modules))"
    )
    path = os.pathsep.join(entry for entry in sys.path if entry)
    child = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    assert child.stdout.strip() == "set() set()", child.stderr
