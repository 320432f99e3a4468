"""Accepted flags become pairs by the law: a clean target, or what the photo shows itself; never our own output."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
import tiny
import torch
from demo_app import png
from feedback_flags import flag_of
from tiny_training import photos, small

from deconvdemo.cli import main
from deconvdemo.errors import ControlError, FeedbackError, TrainingError
from deconvdemo.feedback.dataset.erase import erase
from deconvdemo.feedback.events.opinions import Verdict
from deconvdemo.feedback.events.records import HOLES, NOISY, SELF, TARGET
from deconvdemo.feedback.exchange.elsewhere import feedback_at
from deconvdemo.feedback.exchange.export import export_dataset
from deconvdemo.feedback.review import pairs
from deconvdemo.feedback.review.pairs import snapshot
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.image.noise_estimation import estimate_sigma
from deconvdemo.tasks.denoise import UNKNOWN_SIGMA
from deconvdemo.training.data.batches import Batches
from deconvdemo.training.data.corpus import Corpus
from deconvdemo.training.data.flagged import ATTENTION, Flagged, _neighbours
from deconvdemo.training.data.processes import OneProcess
from deconvdemo.training.run.state import State


@pytest.fixture(autouse=True)
def nothing_held_back(monkeypatch):
    monkeypatch.setattr(pairs, "is_held_out", lambda family: False)


def picture(number: int, side: int = 64) -> np.ndarray:
    return np.roll(tiny.picture(side, side), 7 * number, axis=0)


def flagged(store, number: int = 0, decision: str = "accept", said=None, side: int = 64, **fields):
    """A flag with one verdict; its id."""
    fields.setdefault("observed", png(picture(number, side)))
    fields.setdefault("restored", png(picture(number + 1, side * int(fields.get("controls", {}).get("scale", 1)))))
    flag_id = store.add(flag_of(number, **fields)).flag_id
    if decision:
        store.add(Verdict(flag_id=flag_id, reviewer="ada", decision=decision, **(said or {})))
    return flag_id


def square(side: int = 64, start: int = 20, stop: int = 30) -> np.ndarray:
    mask = np.zeros((side, side), np.uint8)
    mask[start:stop, start:stop] = 255
    return mask


def test_a_clean_target_is_the_reviewers_upload_or_the_visitors(sqlite_store):
    store, better, best = sqlite_store, picture(8), picture(9)
    flagged(store, 0, clean=png(better))
    flagged(store, 1, clean=png(better), said={"clean": png(best), "target": {"source": "upload"}})
    found = snapshot(store, "denoise")
    assert [pair.kind for pair in found.pairs] == [TARGET, TARGET]
    assert np.array_equal(found.pairs[0].target, better)
    assert np.array_equal(found.pairs[1].target, best)


def test_a_networks_own_output_is_never_a_target(sqlite_store):
    flagged(sqlite_store, 0, said={"clean": png(picture(9)), "target": {"source": "rerun", "controls": {"sigma": 40}}})
    (pair,) = snapshot(sqlite_store, "denoise").pairs
    assert (pair.kind, pair.target) == (NOISY, None)
    assert not np.array_equal(pair.observed, picture(1))  # nor is the restored photo


@pytest.mark.parametrize("decision", ["", "reject", "needs_target", "withdrawn"])
def test_what_was_not_accepted_is_not_there(sqlite_store, decision):
    flagged(sqlite_store, 0, decision, clean=png(picture(8)))
    with pytest.raises(FeedbackError, match="no accepted flag of denoise teaches anything yet"):
        snapshot(sqlite_store, "denoise")


def test_what_reviewers_disagree_on_and_what_was_erased_is_not_there(sqlite_store):
    store = sqlite_store
    disputed, gone, kept = (flagged(store, number, clean=png(picture(8))) for number in range(3))
    store.add(Verdict(flag_id=disputed, reviewer="bob", decision="reject"))
    before = snapshot(store, "denoise")
    erase(store, [gone])
    after = snapshot(store, "denoise")
    assert [pair.flag_id for pair in before.pairs] == [gone, kept]
    assert [pair.flag_id for pair in after.pairs] == [kept]
    assert before.name != after.name
    with pytest.raises(FeedbackError):
        snapshot(store, "denoise", needed=2)


def test_memory_holds_one_photo_of_a_snapshot(sqlite_store):
    """However many flags there are: their pixels are on the disk, and a crop is read from there."""
    store, side, peaks = sqlite_store, 512, []
    for number in (1, 9):
        while store.totals()["flags"] < number:
            place = store.totals()["flags"]
            flagged(store, place, side=side, observed=png(picture(place, side)), clean=png(picture(place + 1, side)))
        tracemalloc.start()
        found = snapshot(store, "denoise").pairs
        assert len(found) == number
        assert np.array_equal(found[-1].observed[:9], picture(number - 1, side)[:9])
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + side * side * 3, "photos stayed in memory"


def test_a_snapshot_reads_as_what_was_frozen(sqlite_store):
    store, mask = sqlite_store, png(square())
    flagged(store, 0, task="inpaint", mask=mask, region=mask, clean=png(picture(8)))
    flagged(store, 1, task="inpaint", mask=mask)
    for pair in (*snapshot(store, "inpaint").pairs, *snapshot(store, "inpaint").pairs[:2]):
        assert pair.mask.dtype == bool
        assert np.array_equal(pair.mask, square() > 0)
        assert pair.observed.flags.writeable  # as torch wants it
        pair.observed[:] = 0  # and it stays what it was
    first, second = snapshot(store, "inpaint").pairs
    assert np.array_equal(first.target, picture(8))
    assert np.array_equal(first.region, square() > 0)
    assert np.array_equal(second.target, picture(1))


def test_a_snapshot_is_named_by_what_is_in_it(store):
    flag_id = flagged(store, 0, clean=png(picture(8)))
    first = snapshot(store, "denoise")
    store.add(Verdict(flag_id=flag_id, reviewer="bob", decision="accept", comment="says nothing new"))
    assert snapshot(store, "denoise").name == first.name
    region = {"region": png(square())}
    store.add(Verdict(flag_id=flag_id, reviewer="bob", decision="accept", **region))
    assert snapshot(store, "denoise").name != first.name
    assert first.revision == ""  # not published


def test_what_is_exported_or_published_teaches_what_its_store_does(sqlite_store, tmp_path):
    store, said = sqlite_store, []
    flagged(store, 0, clean=png(picture(8)))
    flagged(store, 1, said={"clean": png(picture(9)), "target": {"source": "upload"}, "region": png(square())})
    flagged(store, 2, "reject", clean=png(picture(8)))
    known = snapshot(store, "denoise")
    folder = export_dataset(store, tmp_path / "export").folder
    with feedback_at(str(folder), said.append) as elsewhere:
        found = snapshot(elsewhere, "denoise")
        place = elsewhere.folder
    assert not place.exists()
    assert (found.name, found.pairs.flag_ids, said) == (known.name, known.pairs.flag_ids, [])
    for one, other in zip(found.pairs, known.pairs, strict=True):
        assert one.kind == other.kind == TARGET
        for role in ("observed", "target", "region"):
            assert np.array_equal(getattr(one, role), getattr(other, role))


def test_a_place_without_flags_is_one_sentence(tmp_path):
    with pytest.raises(ControlError, match="has no flags that were exported"), feedback_at(str(tmp_path), print):
        pass


def test_a_snapshot_is_the_same_in_whichever_order_its_flags_came(sqlite_store, tmp_path):
    stores = sqlite_store, FeedbackStore(tmp_path / "other", min_free_mb=0)
    for store, numbers in zip(stores, ([1, 2], [2, 1]), strict=True):
        for number in numbers:
            when = datetime(2026, 11, number, tzinfo=UTC)
            flagged(store, number, flag_id=f"flag-{number}", clean=png(picture(8)), created_at=when)
    one, other = (snapshot(store, "denoise") for store in stores)
    assert one.name == other.name
    assert [pair.flag_id for pair in one.pairs] == [pair.flag_id for pair in other.pairs]


def test_an_upscaled_photo_is_its_own_target_at_its_scale_alone(sqlite_store):
    flagged(sqlite_store, 0, task="upscale", controls={"scale": 2})
    (pair,) = snapshot(sqlite_store, "upscale", scale=2).pairs
    assert pair.kind == SELF
    assert np.array_equal(pair.target, pair.observed)
    with pytest.raises(FeedbackError, match="it is of ×2, not ×3"):
        snapshot(sqlite_store, "upscale", scale=3)


def test_inpainting_learns_from_what_is_known_with_the_reviewers_mask(sqlite_store):
    said = {"mask": png(square(start=40, stop=60))}
    flagged(sqlite_store, 0, task="inpaint", mask=png(square()), said=said)
    (pair,) = snapshot(sqlite_store, "inpaint").pairs
    assert pair.kind == HOLES
    assert np.array_equal(pair.mask, square(start=40, stop=60) > 0)


def test_held_back_flags_are_the_others(sqlite_store, monkeypatch):
    monkeypatch.undo()
    store = sqlite_store
    drawn = [np.random.default_rng(number).integers(0, 256, (64, 64, 3)).astype(np.uint8) for number in range(30)]
    ids = [flagged(store, number, observed=png(photo), clean=png(picture(8))) for number, photo in enumerate(drawn)]
    train, held = (snapshot(store, "denoise", held_out=back) for back in (False, True))
    trained, kept = ({pair.flag_id for pair in one.pairs} for one in (train, held))
    assert trained | kept == set(ids)
    assert not trained & kept
    assert 1 <= len(kept) <= 15


# ---- batches


def crops(store, task: str, name: str, count: int = 40, **changes):
    recipe = small(name, **changes)
    found = Flagged(snapshot(store, task, recipe.scale).pairs, 1.0).for_recipe(recipe)
    return recipe, found.sample(recipe, count, np.random.default_rng(0), "cpu")


def test_a_target_is_cut_where_the_photo_is(sqlite_store):
    """The target is the photo plus 10: so is every crop of it, however it is turned."""
    photo = picture(0) // 2
    flagged(sqlite_store, 0, observed=png(photo), clean=png((photo + 10).astype(np.uint8)))
    recipe, sample = crops(sqlite_store, "denoise", "denoise")
    seen = sample.inputs[:, :3]
    assert np.allclose((sample.target - seen).numpy() * 255, 10, atol=1e-3)
    assert sample.flagged.all()
    assert sample.inputs.shape[-1] == recipe.patch


@pytest.mark.parametrize(
    ("variant", "controls", "told"),
    [
        ("fast", {"sigma": 33.0, "variant": "fast"}, 33.0),  # as the visitor had set it
        ("photo", {"sigma": None, "variant": "photo"}, UNKNOWN_SIGMA),  # that network finds out by itself
        ("fast", {"sigma": None, "variant": "photo"}, None),  # this one is told an estimate
    ],
)
def test_a_denoiser_is_told_what_the_visitor_had_told_or_something_that_may_be_tried(
    sqlite_store, variant, controls, told
):
    photo = picture(0) // 2
    clean = png((photo + 10).astype(np.uint8))
    flagged(sqlite_store, 0, observed=png(photo), clean=clean, controls=controls)
    told = max(round(estimate_sigma(photo), 1), 0.1) if told is None else told
    recipe = small(f"denoise-{variant}")
    found = Flagged(snapshot(sqlite_store, "denoise").pairs).for_recipe(recipe)
    assert found.levels == (told,)
    levels = found.sample(recipe, 64, np.random.default_rng(0), "cpu").inputs[:, 3, 0, 0].numpy() * 255
    as_told = np.isclose(levels, told, atol=1e-4)
    assert 16 < as_told.sum() < 48
    assert ((levels[~as_told] >= 0) & (levels[~as_told] <= 20.01)).all()  # up to twice what there is
    assert np.ptp(levels[~as_told]) > 10


def test_a_gate_sees_photographs_without_noise_and_flat_fields_too(sqlite_store, tmp_path):
    flagged(sqlite_store, 0, clean=png(picture(8)), controls={"sigma": 12.0})
    found = Flagged(snapshot(sqlite_store, "denoise").pairs).for_recipe(small("denoise"))
    clean, rng = torch.rand(4, 3, 24, 24, generator=torch.Generator().manual_seed(0)), np.random.default_rng(0)
    made = [found.untouched(clean, rng) for _ in range(200)]
    shown = [sample for sample in made if sample]
    assert 60 < len(shown) < 140
    assert all(torch.equal(sample.target, sample.inputs[:, :3]) for sample in shown)
    assert all(torch.equal(sample.target[1:], clean[1:]) and sample.target[0].unique().numel() == 1 for sample in shown)
    assert {0.0, 1.0} <= {float(sample.target[0].mean()) for sample in shown}
    levels = torch.cat([sample.inputs[:, 3, 0, 0] for sample in shown]).numpy() * 255
    assert 0.4 < np.isclose(levels, 12).mean() < 0.6
    assert levels.max() > 60


def test_an_upscaling_target_is_cut_at_its_scale(sqlite_store):
    photo = picture(0)
    large = np.kron(photo, np.ones((2, 2, 1))).astype(np.uint8)
    flagged(sqlite_store, 0, task="upscale", controls={"scale": 2}, observed=png(photo), clean=png(large))
    _, sample = crops(sqlite_store, "upscale", "upscale-x2")
    assert np.allclose(sample.target[:, :, ::2, ::2].numpy(), sample.inputs.numpy())


def test_painted_regions_count_more(sqlite_store):
    region = {"region": png(square(stop=40))}
    flagged(sqlite_store, 0, clean=png(picture(8)), said=region)
    _, sample = crops(sqlite_store, "denoise", "denoise")
    assert set(np.unique(sample.weight.numpy())) == {1.0, ATTENTION}


def test_holes_are_cut_into_known_pixels_and_unknown_ones_never_count(sqlite_store):
    photo = picture(0)
    photo[20:30, 20:30] = 255  # what is not known, in a colour that nothing else has
    photo = np.where(photo == 255, 254, photo).astype(np.uint8)
    photo[20:30, 20:30] = 255
    flagged(sqlite_store, 0, task="inpaint", observed=png(photo), mask=png(square()))
    _, sample = crops(sqlite_store, "inpaint", "inpaint")
    unknown = (sample.target == 1).all(dim=1, keepdim=True)
    assert unknown.any()
    assert not sample.weight[unknown].any()
    assert sample.inputs[:, 3:][unknown].all()
    assert sample.weight.any()


def test_neighbours_are_neighbours_and_their_noise_is_independent():
    import torch

    rng = np.random.default_rng(0)
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    where = torch.stack([rows, columns, rows])[None]
    sample = _neighbours(where, 25.0, None, rng)
    apart = (sample.inputs[:, :2] - sample.target[:, :2]).abs().sum(dim=1)
    assert (apart == 1).all()
    noise = torch.from_numpy(rng.normal(size=(1, 3, 256, 256))).float()
    pair = _neighbours(noise, 25.0, None, rng)
    assert abs(float((pair.inputs[:, :3] * pair.target).mean())) < 0.02
    assert pair.inputs[:, 3].unique().item() == pytest.approx(25 / 255)


def test_batches_mix_flags_and_photographs_the_same_way_each_time(sqlite_store, tmp_path):
    flagged(sqlite_store, 0, clean=png(picture(8)))
    recipe = small("denoise", batch=16)
    corpus = Corpus.open([photos(tmp_path)], tmp_path / "cache", say=lambda text: None)
    found = Flagged(snapshot(sqlite_store, "denoise").pairs, 0.5).for_recipe(recipe)
    batches = Batches(recipe, corpus, OneProcess("cpu"), found)
    one, again = batches.sample(3), batches.sample(3)
    assert np.array_equal(one.inputs, again.inputs)
    plain = Batches(recipe, corpus, OneProcess("cpu"))
    of_flags = 0
    for step in range(30):
        mixed, alone = batches.sample(step), plain.sample(step)
        assert alone.flagged is None
        for at in range(0, 16, 4):
            told = mixed.flagged[at : at + 4].tolist()
            assert told in ([0.0] * 4, [1.0] * 4)
            of_flags += told[0]
            # photographs are drawn as without flags; the first of some groups is a flat field
            assert told[0] or np.array_equal(mixed.target[at + 1 : at + 4], alone.target[at + 1 : at + 4])
    assert 40 < of_flags < 80  # of 120


# ---- the command


@pytest.fixture
def workplace(tmp_path, monkeypatch, tiny_weights, sqlite_store):
    monkeypatch.setenv("DECONVDEMO_DATA_DIR", str(sqlite_store.folder.parent))
    folder = tmp_path / "photos"
    folder.mkdir()
    return photos(folder), tmp_path / "candidate" / "denoise.safetensors"


def finetuned(workplace, tiny_weights, *more: str) -> int:
    images, out = workplace
    asked = ["finetune", "denoise", "--images", str(images), "--out", str(out), "--weights", str(tiny_weights)]
    return main([*asked, "--patch", "24", "--batch", "4", "--precision", "fp32", "--device", "cpu", *more])


def test_a_candidate_names_its_parent_its_flags_and_its_recipe(workplace, tiny_weights, sqlite_store, capsys):
    from deconvdemo.checkpoints.checkpoint import load_checkpoint

    flag_id = flagged(sqlite_store, 0, clean=png(picture(8)))
    assert finetuned(workplace, tiny_weights, "--steps", "3") == 0, capsys.readouterr().err
    header = load_checkpoint(workplace[1]).header
    parent = load_checkpoint(tiny_weights / "denoise.safetensors")
    assert header.recipe["parent"] == parent.sha256
    tensors = load_checkpoint(workplace[1]).tensors
    assert all(torch.equal(tensors[f"base.{name}"], served) for name, served in parent.tensors.items())
    name = snapshot(sqlite_store, "denoise").name
    assert header.recipe["flags"] == {"from": name, TARGET: 1, "share": 0.5}
    assert name in header.data[0]
    assert header.recipe["learned"] == [flag_id]


def test_a_candidate_names_its_dataset_and_what_its_parent_learned_from(
    workplace, tiny_weights, sqlite_store, tmp_path, monkeypatch
):
    from deconvdemo.checkpoints.checkpoint import load_checkpoint, save_checkpoint

    flagged(sqlite_store, 0, clean=png(picture(8)))
    monkeypatch.setattr(pairs, "_published", lambda store, task: "a" * 40)  # as if all were
    monkeypatch.setenv("DECONVDEMO_FEEDBACK_REPO", "lab/flags")
    served = load_checkpoint(tiny_weights / "denoise.safetensors")
    parent = tmp_path / "parent.safetensors"
    save_checkpoint(parent, replace(served.header, data=["GB82 (CC0)"]), served.tensors)
    assert finetuned(workplace, parent, "--steps", "3") == 0
    header = load_checkpoint(workplace[1]).header
    assert header.recipe["flags"]["repo"] == "lab/flags"
    assert header.recipe["flags"]["from"] == "a" * 40
    assert header.data[-1] == "GB82 (CC0)"


def test_a_run_goes_on_with_the_flags_it_began_with(workplace, tiny_weights, sqlite_store, capsys):
    flagged(sqlite_store, 0, clean=png(picture(8)))
    assert finetuned(workplace, tiny_weights, "--steps", "2") == 0
    state = str(workplace[1].with_suffix(".state.safetensors"))
    assert finetuned(workplace, tiny_weights, "--steps", "4", "--resume", state) == 0
    flagged(sqlite_store, 5, clean=png(picture(9)))
    assert finetuned(workplace, tiny_weights, "--steps", "6", "--resume", state) == 1
    assert "start anew without --resume" in capsys.readouterr().err


def test_a_run_goes_on_with_the_very_flags_that_it_began_with(tmp_path):
    """As many, and the newest of the same moment, may be others."""
    recipe, file = small("denoise"), tmp_path / "run.state.safetensors"
    began, same, other = (State.fresh(recipe, "cpu") for _ in range(3))
    for state, ids in ((began, ("a", "b")), (same, ("a", "b")), (other, ("a", "c"))):
        state.flags, state.flag_ids = "2 flags", ids
    began.save(file, recipe)
    same.load(file, recipe)
    with pytest.raises(TrainingError, match="start anew without --resume"):
        other.load(file, recipe)


def test_a_run_goes_on_when_its_flags_are_published_meanwhile(workplace, tiny_weights, sqlite_store, monkeypatch):
    from deconvdemo.checkpoints.checkpoint import load_checkpoint

    flagged(sqlite_store, 0, clean=png(picture(8)))
    assert finetuned(workplace, tiny_weights, "--steps", "2") == 0
    state = str(workplace[1].with_suffix(".state.safetensors"))
    monkeypatch.setattr(pairs, "_published", lambda *asked: "c" * 40)
    assert finetuned(workplace, tiny_weights, "--steps", "4", "--resume", state) == 0
    assert load_checkpoint(workplace[1]).header.recipe["flags"]["from"] == "c" * 40


def test_the_command_learns_from_an_exported_dataset(workplace, tiny_weights, sqlite_store, tmp_path, monkeypatch):
    from deconvdemo.checkpoints.checkpoint import load_checkpoint

    flag_id = flagged(sqlite_store, 0, clean=png(picture(8)))
    name, folder = snapshot(sqlite_store, "denoise").name, export_dataset(sqlite_store, tmp_path / "export").folder
    monkeypatch.setenv("DECONVDEMO_DATA_DIR", str(tmp_path / "nothing was flagged here"))
    assert finetuned(workplace, tiny_weights, "--steps", "1", "--flags", str(folder)) == 0
    recipe = load_checkpoint(workplace[1]).header.recipe
    assert (recipe["learned"], recipe["flags"]["from"]) == ([flag_id], name)


def test_the_function_makes_a_candidate_without_the_command(workplace, tiny_weights, sqlite_store, tmp_path):
    from deconvdemo.checkpoints.checkpoint import load_checkpoint
    from deconvdemo.checkpoints.serving import Weights
    from deconvdemo.engine.compute import Compute
    from deconvdemo.training.run.finetune import FinetunePlan, finetune

    flag_id = flagged(sqlite_store, 0, clean=png(picture(8)))
    images, out = workplace
    plan = FinetunePlan("denoise", [str(images)], out, steps=2, batch=4, patch=24, data=["mine (CC0)"])
    weights, said = Weights(spec=str(tiny_weights)), []
    accepted = lambda scale: snapshot(sqlite_store, "denoise", scale)
    assert finetune(plan, weights, accepted, Compute("cpu", "fp32", "a test"), tmp_path, say=said.append) == out
    header = load_checkpoint(out).header
    assert header.recipe["parent"] == weights.sha256("denoise")
    assert header.recipe["steps"] == 2
    assert "mine (CC0)" in header.data
    assert header.recipe["learned"] == [flag_id]
    assert f"from {weights.sha256('denoise')[:12]}" in said[0]


def test_a_call_that_cannot_be_meant_is_one_sentence(workplace, tiny_weights, sqlite_store, capsys):
    assert finetuned(workplace, tiny_weights, "--share", "2") == 2
    assert finetuned(workplace, tiny_weights, "--steps", "0") == 2
    assert finetuned(workplace, tiny_weights) == 1
    assert "accept some on /review first" in capsys.readouterr().err.splitlines()[-1]
    serving = workplace[1].parent
    serving.mkdir()
    (serving / "index.json").write_text("{}")
    inside = (workplace[0], serving / "new.safetensors")
    assert finetuned(inside, tiny_weights) == 2
    assert "whose weights serve" in capsys.readouterr().err


def test_flags_that_are_smaller_than_a_patch_are_told(workplace, tiny_weights, sqlite_store, capsys):
    flagged(sqlite_store, 0, side=16, clean=png(picture(8, 16)))
    assert finetuned(workplace, tiny_weights, "--steps", "2") == 1
    assert "no flagged photo holds a patch of 24 pixels" in capsys.readouterr().err
