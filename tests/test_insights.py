"""The plots' numbers, counted on both databases, and reviewers' agreement against independent formulas."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from feedback_flags import flag_of, picture

from deconvdemo.feedback.events.opinions import Verdict
from deconvdemo.feedback.review import insights, lineage
from deconvdemo.feedback.review.agreement import agreement
from deconvdemo.feedback.review.likeness import Likenesses, perceptual_hash
from deconvdemo.feedback.store.store import FeedbackStore

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
NEW, OLD = ({"name": "denoise", "sha256": letter * 64, "source": "bundled"} for letter in "ab")


def say(store: FeedbackStore, flag_id: str, reviewer: str, decision: str) -> None:
    store.add(Verdict(flag_id=flag_id, reviewer=reviewer, decision=decision))


@pytest.fixture
def told(store):
    """(store, ids): six flags on three days, of two weights and two tasks."""
    flags = [
        flag_of(0, checkpoint=OLD, reasons=("good",), created_at=NOW - timedelta(days=9)),
        flag_of(1, checkpoint=OLD, reasons=("noise_left", "halo"), created_at=NOW - timedelta(days=9)),
        flag_of(2, checkpoint=NEW, reasons=("noise_left",), created_at=NOW - timedelta(days=1)),
        flag_of(3, checkpoint=NEW, reasons=("good",), created_at=NOW - timedelta(days=1)),
        flag_of(4, checkpoint=NEW, reasons=("good",), created_at=NOW),
        flag_of(5, task="upscale", reasons=("other",), created_at=NOW - timedelta(days=400)),
    ]
    ids = [store.add(flag).flag_id for flag in flags]
    for place, reviewer, decision in (
        (1, "ada", "accept"),
        (1, "bob", "accept"),
        (2, "ada", "accept"),
        (2, "bob", "reject"),
    ):
        say(store, ids[place], reviewer, decision)
    return store, ids


def test_days_have_their_flags_and_empty_days_are_there(told):
    rows = insights.flags_a_day(told[0], NOW)
    counted = {(row["day"], row["task"]): row["flags"] for row in rows}
    assert counted["2026-11-11", "denoise"] == 2
    assert counted["2026-11-19", "denoise"] == 2
    assert counted["2026-11-20", "denoise"] == 1
    assert counted["2026-11-15", "denoise"] == 0
    assert sum(counted.values()) == 5  # one is older than the plot


def test_reasons_by_task_and_by_weights(told):
    by_task, by_weights = insights.reasons(told[0])
    assert {(row["task"], row["reason"]): row["flags"] for row in by_task} == {
        ("denoise", "Good result"): 3,
        ("denoise", "Noise left"): 2,
        ("denoise", "Halo around edges"): 1,
        ("upscale", "Something else"): 1,
    }
    shares = {(row["weights"], row["reason"]): round(row["share"]) for row in by_weights}
    assert shares["denoise bbbbbbbb", "Good result"] == 33  # of three reasons, given by two flags
    for weights in ("denoise aaaaaaaa", "denoise bbbbbbbb", "unknown"):
        assert sum(row["share"] for row in by_weights if row["weights"] == weights) == pytest.approx(100)
    assert shares["denoise aaaaaaaa", "Good result"] == 67


def test_rates_of_weights(told):
    store, ids = told
    say(store, ids[3], "ada", "accept")  # of a flag that says "good": no failure was confirmed
    rates = {(row["weights"], row["rate"]): (round(row["share"]), row["of"]) for row in insights.rates(told[0])}
    assert rates == {
        ("denoise aaaaaaaa", "flagged as good"): (67, 3),
        ("denoise bbbbbbbb", "flagged as good"): (50, 2),
        ("unknown", "flagged as good"): (0, 1),
        ("denoise bbbbbbbb", "failure confirmed"): (100, 1),
        ("denoise aaaaaaaa", "failure confirmed"): (0, 1),
    }


def test_progress_and_verdicts(told):
    by_reviewer, states = insights.progress(told[0], needed=2)
    assert {row["state"]: row["flags"] for row in states} == {
        "judged": 1,
        "reviewers disagree": 1,
        "more reviewers needed": 0,
        "not looked at": 4,
    }
    assert {(row["reviewer"], row["decision"]): row["verdicts"] for row in by_reviewer} == {
        ("ada", "Accept"): 2,
        ("bob", "Accept"): 1,
        ("bob", "Reject"): 1,
    }


def test_weights_that_served_are_remembered(store):
    measured = {"cbsd68 sigma 15 PSNR": 33.9, "cbsd68 sigma 25 PSNR": 31.2, "cbsd68 sigma 25 SSIM": 0.88}
    for sha256, figure in (("a" * 64, 31.2), ("b" * 64, 31.4), ("a" * 64, 99.0)):
        lineage.note_weights(store, "denoise", sha256, "2026-11-20", {**measured, "cbsd68 sigma 25 PSNR": figure})
    found = insights.weights_history(store)
    assert [(row["weights"], row["measure"], row["psnr"]) for row in found] == [
        ("denoise aaaaaaaa", "denoise, cbsd68 sigma 25 PSNR", 31.2),
        ("denoise bbbbbbbb", "denoise, cbsd68 sigma 25 PSNR", 31.4),
    ]


def test_agreement_is_what_the_formulas_say(store):
    decisions = ("accept", "reject", "needs_target")
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 3, 40), rng.integers(0, 3, 40)
    second[:25] = first[:25]
    for number, (a, b) in enumerate(zip(first, second, strict=True)):
        flag_id = store.add(flag_of(number)).flag_id
        say(store, flag_id, "ada", decisions[a])
        say(store, flag_id, "bob", decisions[b])
    say(store, store.add(flag_of(99)).flag_id, "ada", "accept")  # by one alone: says nothing of agreement
    found = agreement(store)
    (pair,) = found.pairs
    agreed = np.mean(first == second)
    chance = sum(np.mean(first == k) * np.mean(second == k) for k in range(3))
    assert (found.flags, pair.flags, pair.agreed) == (40, 40, pytest.approx(agreed))
    assert pair.kappa == pytest.approx((agreed - chance) / (1 - chance))
    counts = np.bincount(np.concatenate([first, second]), minlength=3)
    expected = 1 - np.sum(counts * (counts - 1)) / (80 * 79)  # observed over expected disagreement, nominal data
    assert found.alpha == pytest.approx(1 - (1 - agreed) / expected)


def test_agreement_that_is_not_defined_says_so(store):
    assert agreement(store).alpha is None
    for number in range(3):
        flag_id = store.add(flag_of(number)).flag_id
        for reviewer in ("ada", "bob"):
            say(store, flag_id, reviewer, "accept")
    found = agreement(store)
    assert (found.alpha, found.pairs[0].kappa, found.pairs[0].agreed) == (None, None, 1.0)


def test_what_was_compressed_or_resized_is_of_one_family(store):
    from io import BytesIO

    from PIL import Image

    rng = np.random.default_rng(0)
    waves = [np.kron(rng.integers(0, 256, (6, 6, 3)), np.ones((32, 32, 1))).astype(np.uint8) for _ in range(2)]

    def file(pixels, size=192, quality=0) -> bytes:
        image = Image.fromarray(pixels).resize((size, size), Image.Resampling.BICUBIC)
        if quality:
            jpeg = BytesIO()
            image.save(jpeg, "JPEG", quality=quality)
            image = Image.open(jpeg)
        out = BytesIO()
        image.save(out, "PNG")
        return out.getvalue()

    files = [file(waves[0]), file(waves[0], quality=40), file(waves[0], size=120), file(waves[1])]
    hashes = [perceptual_hash(data) for data in files]
    assert (hashes[0] ^ hashes[3]).bit_count() > 10
    ids = [store.add(flag_of(number, observed=data)).flag_id for number, data in enumerate(files)]
    likenesses = Likenesses(store)
    assert likenesses.note(limit=3) == 3
    assert likenesses.note() == 1
    assert likenesses.note() == 0
    families = [likenesses.family(flag_id) for flag_id in ids]
    assert families == [(ids[0], 3), (ids[0], 3), (ids[0], 3), (ids[3], 1)]
    assert Likenesses(store).note() == 0  # another process finds nothing to do
    assert likenesses.family("nobody") == ("", 1)


def test_a_flag_whose_picture_is_damaged_stops_nobody(sqlite_store):
    store = sqlite_store
    ids = [store.add(flag_of(number, observed=picture(number, side=40))).flag_id for number in range(2)]
    blob = next(path for path in (store.folder / "blobs").rglob("*.png") if path.read_bytes() == picture(0, side=40))
    blob.write_bytes(b"damaged")
    likenesses = Likenesses(store)
    assert likenesses.note() == 2
    assert [likenesses.family(flag_id)[1] for flag_id in ids] == [1, 1]
    assert likenesses.family(ids[0])[0] == ""
