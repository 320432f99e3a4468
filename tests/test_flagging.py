"""From a kept result and what a visitor says of it to a stored flag."""

from __future__ import annotations

import errno
import shutil

import numpy as np
import pytest
from test_results import photo_with_place
from tiny import picture

from deconvdemo.errors import FeedbackError, PhotoError
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.image.reading import read_photo
from deconvdemo.web.restore.flagging import Flagging
from deconvdemo.web.restore.results import Kept, Results


def flagging_in(folder) -> Flagging:
    return Flagging(Results(folder / "results", 24, 100), FeedbackStore(folder), max_pixels=10_000)


@pytest.fixture
def flagging(tmp_path) -> Flagging:
    return flagging_in(tmp_path)


@pytest.fixture
def kept(flagging, restorer) -> Kept:
    return flagging.results.keep(restorer.restore("denoise", photo_with_place(), sigma=20), "home.jpg")


def flags(flagging: Flagging) -> list:
    return list(flagging.store.flags())


def test_a_flag_has_the_bytes_that_were_shown(flagging, kept):
    saved = flagging.add(kept.restoration_id, ["halo"], "top", consent=True)
    [flag] = flags(flagging)
    assert flag.flag_id == saved.flag_id
    assert flag.observed == flagging.results.read(kept, kept.observed)
    assert flag.restored == flagging.results.read(kept, kept.restored)
    assert flag.controls == {"sigma": 20, "strength": 1, "variant": "standard", "wrap": False}
    assert set(flag.checkpoint) == {"name", "sha256", "source"}


def test_a_flag_says_which_network_it_is_of_and_that_sigma_was_left_to_it(flagging, restorer):
    kept = flagging.results.keep(restorer.restore("denoise", picture(24, 32), variant="photo"))
    flagging.add(kept.restoration_id, ["good"], consent=True)
    [flag] = flags(flagging)
    assert flag.controls == {"sigma": None, "strength": 1, "variant": "photo", "wrap": False}
    assert flag.checkpoint["name"] == "denoise-photo"


def test_a_flag_of_inpainting_has_its_mask(flagging, restorer):
    mask = np.zeros((24, 32), bool)
    mask[4:9, 5:20] = True
    kept = flagging.results.keep(restorer.restore("inpaint", picture(24, 32), mask))
    flagging.add(kept.restoration_id, ["good"], consent=True)
    [flag] = flags(flagging)
    np.testing.assert_array_equal(read_photo(flag.mask).pixels[..., 0], mask * 255)


def test_place_and_camera_are_in_nothing_that_is_stored(flagging, kept):
    flagging.add(kept.restoration_id, ["halo"], consent=True, clean=photo_with_place())
    stored = [file for file in flagging.store.folder.rglob("*") if file.is_file()]
    assert stored
    assert not any(b"secret camera" in file.read_bytes() for file in stored)


def test_the_same_flag_twice_is_one_and_another_comment_another(flagging, kept):
    said = [kept.restoration_id, ["halo", "seams"], "here"]
    first = flagging.add(*said, consent=True)
    again = flagging.add(kept.restoration_id, ["seams", "halo"], "here", consent=True)
    assert first.flag_id == again.flag_id
    flagging.add(kept.restoration_id, ["seams", "halo"], "there", consent=True)
    assert len(flags(flagging)) == 2


def test_a_result_can_still_be_flagged_after_a_restart(flagging, kept, tmp_path):
    again = flagging_in(tmp_path)
    again.add(kept.restoration_id, ["good"], consent=True)
    assert len(flags(again)) == 1


def test_a_clean_version_is_kept_to_the_pixel(flagging, kept):
    clean = picture(24, 32)[::-1].copy()
    flagging.add(kept.restoration_id, ["too_smooth"], consent=True, clean=clean)
    [flag] = flags(flagging)
    np.testing.assert_array_equal(read_photo(flag.clean).pixels, clean)


def test_an_unmarked_region_is_no_region(flagging, kept):
    flagging.add(kept.restoration_id, ["halo"], consent=True, region=np.zeros((24, 32), np.uint8))
    assert flags(flagging)[0].region is None


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"restoration_id": "0" * 32}, "there is no result"),
        ({"restoration_id": "../../x"}, "there is no result"),
        ({"consent": False}, "only with your consent"),
        ({"reasons": []}, "choose at least one reason"),
        ({"reasons": ["ugly"]}, "'ugly' is not a reason"),
        ({"reasons": "halo"}, "reasons are a list of names"),
        ({"reasons": None}, "reasons are a list of names"),
        ({"clean": picture(24, 33)}, "the clean version is 33×24 but the result is 32×24"),
        ({"clean": picture(120, 120)}, "at most 0.0 MP are taken"),
        ({"clean": b"no photo"}, "is not a photo of a known kind"),
        ({"region": picture(23, 32, 1)}, "mask is 32×23 but the photo is 32×24"),
    ],
)
def test_a_wrong_flag_is_refused_and_nothing_is_stored(flagging, kept, changes, sentence):
    given = {"restoration_id": kept.restoration_id, "reasons": ["halo"], "consent": True, **changes}
    with pytest.raises((FeedbackError, PhotoError), match=sentence):
        flagging.add(**given)
    assert not flags(flagging)


def test_a_result_that_has_vanished_is_one_sentence(flagging, kept):
    (flagging.results.folder / kept.restoration_id / kept.restored).unlink()
    with pytest.raises(FeedbackError, match="restore the photo again"):
        flagging.add(kept.restoration_id, ["good"], consent=True)
    shutil.rmtree(flagging.results.folder)
    with pytest.raises(FeedbackError, match="restore the photo again"):
        flagging.add(kept.restoration_id, ["good"], consent=True)


def test_a_full_disk_is_one_sentence(flagging, kept, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("deconvdemo.feedback.store.blobs.open", full, raising=False)
    with pytest.raises(FeedbackError) as refusal:
        flagging.add(kept.restoration_id, ["good"], consent=True)
    assert "\n" not in str(refusal.value)
    assert "the flag was not saved" in str(refusal.value)
    monkeypatch.undo()
    flagging.add(kept.restoration_id, ["good"], consent=True)
    assert len(flags(flagging)) == 1
