"""Each release replays what was flagged: what it fixed, what is bad still, what it made worse; by figures alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny
from demo_app import png
from feedback_flags import flag_of, picture
from sqlalchemy import Float, cast, func, select

from deconvdemo.checkpoints.checkpoint import Checkpoint, load_checkpoint
from deconvdemo.checkpoints.index import Entry, add_to_index, write_index
from deconvdemo.checkpoints.promotion import history, promote, rollback
from deconvdemo.checkpoints.serving import FETCHED, Weights
from deconvdemo.checkpoints.sources import Nothing, source_of
from deconvdemo.cli import main
from deconvdemo.engine.device import Compute
from deconvdemo.engine.restorer import Restorer
from deconvdemo.errors import CheckpointError, FeedbackError, PhotoError
from deconvdemo.evaluation.lineage import of_old_lines
from deconvdemo.evaluation.replaying import ReleaseRestorers, Replayer, figures
from deconvdemo.feedback.dataset.erase import erase
from deconvdemo.feedback.events.opinions import Verdict
from deconvdemo.feedback.review import pairs
from deconvdemo.feedback.review.gold_items import GoldItems
from deconvdemo.feedback.review.lineage import learned_from, note_weights
from deconvdemo.feedback.review.replays import FIXED, NEWLY_BAD, STILL_BAD, Due, Replays, state_of
from deconvdemo.feedback.store.tables import replays as table
from deconvdemo.image.metrics import psnr, psnr_inside

NAME = "denoise-fast"
FAST = {"variant": "fast", "sigma": 25.0}
OLD, NEW = "a" * 64, "b" * 64


def judge(store, flag_id: str, decision: str = "accept", reviewer: str = "ada", **said) -> None:
    store.add(Verdict(flag_id=flag_id, reviewer=reviewer, decision=decision, **said))


def accepted(store, number: int = 0, **fields) -> str:
    """The id of an accepted flag, by default with a target and made by the quick denoiser."""
    given = {"controls": FAST, "clean": picture("clean"), **fields}
    flag_id = store.add(flag_of(number, **given)).flag_id
    judge(store, flag_id)
    return flag_id


def released(store, *sha256: str, name: str = NAME) -> None:
    for one in sha256:
        note_weights(store, name, one, "", {})


def noted(store, sha256: str, flag_id: str, now: float, flagged: float = 30.0) -> None:
    Replays(store).note(Due(NAME, sha256, flag_id, "target.png"), flagged, now)


def counts(replays: Replays, reviewer: str = "") -> dict[str, dict[str, int]]:
    """sha256 → state → flags, without zeros."""
    return {one.sha256: dict(+one.all) for one in replays.releases(reviewer)}


# ---- states


@pytest.mark.parametrize(
    ("flagged", "now", "before", "state"),
    [
        (30.0, 30.5, None, FIXED),
        (30.12, 30.62, None, FIXED),  # hundredths decide, however floats are rounded
        (30.0, 30.49, None, STILL_BAD),
        (30.0, 29.51, None, STILL_BAD),
        (30.0, 29.5, None, NEWLY_BAD),
        (30.0, 30.49, 30.5, NEWLY_BAD),  # it was fixed
        (30.0, 30.49, 30.49, STILL_BAD),
        (30.0, 30.5, 29.0, FIXED),
        (30.0, 29.4, 29.4, NEWLY_BAD),
        (30.0, 30.0, 29.0, STILL_BAD),
    ],
)
def test_a_state_follows_from_three_figures(store, flagged, now, before, state):
    with store.reading() as connection:
        given = (cast(value, Float(53)) for value in (flagged, now, before))
        assert connection.execute(select(state_of(*given))).scalar() == state


def test_a_release_is_compared_with_the_one_before_of_the_same_name(store):
    first, second = (accepted(store, number) for number in range(2))
    released(store, OLD)
    released(store, "c" * 64, name="denoise")
    released(store, NEW)
    for sha256, flag_id, now in ((OLD, first, 33.0), (NEW, first, 30.0), (OLD, second, 30.2), (NEW, second, 31.0)):
        noted(store, sha256, flag_id, now)
    replays = Replays(store)
    assert counts(replays) == {NEW: {NEWLY_BAD: 1, FIXED: 1}, OLD: {FIXED: 1, STILL_BAD: 1}}
    assert [one.sha256 for one in replays.releases()] == [NEW, OLD]  # the newest first; nobody replayed for "denoise"
    assert [(one.flag_id, one.state, one.before) for one in replays.page(NEW)] == [
        (first, NEWLY_BAD, 33.0),
        (second, FIXED, 30.2),
    ]
    assert [one.flag_id for one in replays.page(NEW, state=FIXED)] == [second]


def test_pages_show_the_worst_first_and_each_flag_once(store):
    ids = [accepted(store, number) for number in range(45)]
    released(store, NEW)
    for place, flag_id in enumerate(ids):
        noted(store, NEW, flag_id, 28.0 + place * 0.1)
    pages = [[one.flag_id for one in Replays(store).page(NEW, number=number)] for number in (1, 2, 3, 4)]
    assert [len(page) for page in pages] == [20, 20, 5, 0]
    assert [flag_id for page in pages for flag_id in page] == ids


def test_what_cannot_be_shown_is_one_sentence(store):
    replays = Replays(store)
    released(store, NEW)
    for wrong in ({"state": "good"}, {"kept": "x"}):
        with pytest.raises(FeedbackError, match="choose among"):
            replays.page(NEW, **wrong)
    with pytest.raises(FeedbackError, match="choose a release"):
        replays.page("f" * 64)
    with pytest.raises(FeedbackError, match="there is no replay of flag"):
        replays.get(NEW, "nobody")


# ---- which flags


def due(store, serving=None) -> list[tuple[str, str]]:
    found = list(Replays(store).due(serving or {NAME: NEW}))
    return [(one.flag_id, one.sha256) for one in found]


def test_accepted_flags_of_the_name_with_a_target_are_due(store):
    own = accepted(store, 0)
    uploaded = accepted(store, 1, clean=None)
    judge(store, uploaded, clean=picture("better"), target={"source": "upload"})
    rerun = accepted(store, 2, clean=None)
    judge(store, rerun, clean=picture("better"), target={"source": "rerun"})  # our own output
    accepted(store, 3, clean=None)
    accepted(store, 4, reasons=("good",))
    accepted(store, 5, controls={})  # the standard network's
    blurred = accepted(store, 6, task="deblur")  # the same network's, which it asks
    accepted(store, 7, task="upscale", controls={})  # nobody knows its scale
    large = accepted(store, 8, task="upscale", controls={"scale": 4})
    disputed = accepted(store, 9)
    judge(store, disputed, "reject", "bob")
    assert sorted(due(store)) == sorted((flag_id, NEW) for flag_id in (own, uploaded, blurred))
    assert due(store, {"upload-x4": NEW, "upscale-x4": OLD}) == [(large, OLD)]


def test_a_flag_is_due_once_for_each_release_and_again_with_another_target(store):
    flag_id = accepted(store)
    replays = Replays(store)
    (first,) = replays.due({NAME: NEW})
    replays.note(first, 30, 31)
    assert due(store) == []
    assert due(store, {NAME: OLD}) == [(flag_id, OLD)]
    judge(store, flag_id, clean=picture("better"), target={"source": "upload"})
    (again,) = replays.due({NAME: NEW})
    assert again.target != first.target
    replays.note(again, 20, 21)
    released(store, NEW)
    assert [(one.flagged, one.now) for one in replays.page(NEW)] == [(20, 21)]


def test_an_erased_flag_leaves_no_replay_and_gets_none(store):
    first, second = (accepted(store, number) for number in range(2))
    released(store, NEW)
    for flag_id in (first, second):
        noted(store, NEW, flag_id, 31.0)
    erase(store, [first])
    noted(store, NEW, first, 31.0)  # it was under way when the flag was erased
    with store.reading() as connection:
        assert connection.execute(select(table.c.flag_id)).scalars().all() == [second]


def test_what_is_not_accepted_any_more_is_not_shown(store):
    flag_id = accepted(store)
    released(store, NEW)
    noted(store, NEW, flag_id, 31.0)
    assert counts(Replays(store)) == {NEW: {FIXED: 1}}
    assert not Replays(store, needed=2).releases()
    judge(store, flag_id, "withdrawn")
    assert not Replays(store).releases()
    assert Replays(store).page(NEW) == []
    with pytest.raises(FeedbackError):
        Replays(store).get(NEW, flag_id)
    judge(store, flag_id)
    assert counts(Replays(store)) == {NEW: {FIXED: 1}}


def test_held_back_flags_are_counted_by_themselves(store, monkeypatch):
    ids = [accepted(store, number) for number in range(3)]
    released(store, NEW)
    monkeypatch.setattr(pairs, "is_held_out", lambda family: family == ids[0])
    for flag_id in ids:
        noted(store, NEW, flag_id, 31.0)
    (release,) = Replays(store).releases()
    assert (release.all[FIXED], release.held_back[FIXED]) == (3, 1)
    shown = {kept: [one.flag_id for one in Replays(store).page(NEW, kept=kept)] for kept in ("held_back", "others")}
    assert shown == {"held_back": ids[:1], "others": sorted(ids[1:])}


def test_a_catch_item_does_not_give_its_truth_away(store):
    flag_id = accepted(store)
    released(store, NEW)
    noted(store, NEW, flag_id, 31.0)
    GoldItems(store).set(flag_id, "accept", "test")
    replays = Replays(store)
    assert counts(replays, "ada") == {NEW: {FIXED: 1}}  # who has judged it
    assert not replays.releases("bob")
    assert replays.page(NEW, reviewer="bob") == []
    with pytest.raises(FeedbackError):
        replays.get(NEW, flag_id, "bob")


# ---- restoring again


@pytest.fixture(scope="module")
def good() -> Checkpoint:
    return Weights().load(NAME)


@pytest.fixture
def folder(good, tmp_path) -> Path:
    """A folder of weights that serve: shaken ones."""
    file = tiny.shaken(good, tmp_path / "weights" / f"{NAME}.safetensors", 0.25)
    add_to_index(file)
    return file.parent


def restorer_of(folder: Path) -> Restorer:
    return Restorer(Weights(folder), Compute("cpu", "fp32", "a test"))


def replayer_of(store, folder: Path) -> Replayer:
    return Replayer(Replays(store), ReleaseRestorers(restorer_of(folder)))


@pytest.fixture
def flagged(sqlite_store, folder) -> list[str]:
    """Three accepted flags of what the shaken weights made."""
    restorer, ids = restorer_of(folder), []
    for number in range(3):
        noisy, clean = tiny.noisy_and_clean(number)
        done = restorer.restore("denoise", noisy, **FAST)
        images = {"observed": png(noisy), "restored": png(done.photo.pixels), "clean": png(clean)}
        controls = {**done.controls, "gone": 1}  # a control that this version does not know
        ids.append(accepted(sqlite_store, number, controls=controls, checkpoint=done.checkpoint, **images))
    return ids


def serve(checkpoint: Checkpoint, folder: Path, file: Path, amount: float, **facts) -> str:
    return promote(tiny.shaken(checkpoint, file, amount), folder, facts).sha256


def test_better_weights_fix_and_damaged_ones_make_newly_bad(sqlite_store, folder, flagged, good, tmp_path):
    store = sqlite_store
    first = Weights(folder).sha256(NAME)
    assert replayer_of(store, folder).all() == (3, [])
    better = serve(good, folder, tmp_path / "better.safetensors", 0.0)
    assert replayer_of(store, folder).all() == (3, [])
    damaged = serve(good, folder, tmp_path / "damaged.safetensors", 0.6)
    assert replayer_of(store, folder).all() == (3, [])
    found = counts(Replays(store))
    assert found == {damaged: {NEWLY_BAD: 3}, better: {FIXED: 3}, first: {STILL_BAD: 3}}
    assert [one.now for one in Replays(store).page(first)] == [one.flagged for one in Replays(store).page(first)]
    rollback(folder, NAME)
    assert replayer_of(store, folder).all() == (0, [])  # they were replayed when they served


def test_a_replay_that_was_stopped_goes_on_where_it_was(sqlite_store, folder, flagged):
    first = replayer_of(sqlite_store, folder)
    assert first.piece()
    assert first.piece()
    first._lease.release()  # as a killed process leaves it, after a while
    with sqlite_store.reading() as connection:
        done = connection.execute(select(func.count()).select_from(table)).scalar()
    assert done == 2
    assert replayer_of(sqlite_store, folder).all() == (1, [])


def test_behind_a_demo_flags_are_replayed_when_they_come_and_when_weights_change(
    sqlite_store, folder, flagged, good, tmp_path, monkeypatch
):
    store = sqlite_store
    weights = Weights(folder)
    replayer = Replayer(Replays(store), ReleaseRestorers(Restorer(weights, Compute("cpu", "fp32", "a test"))))
    other = replayer_of(store, folder)

    def pieces() -> int:
        number = 0
        while replayer.piece():
            number += 1
        return number

    assert replayer.piece()
    assert not other.piece()  # one demo of several works
    assert pieces() == 2
    with monkeypatch.context() as patched:
        patched.delattr(Replays, "due")  # where nothing has happened, nothing is looked through
        assert not replayer.piece()
    noisy, clean = tiny.noisy_and_clean(7)
    accepted(store, 7, observed=png(noisy), restored=png(noisy), clean=png(clean))
    assert pieces() == 1
    serve(good, folder, tmp_path / "new.safetensors", 0.01)
    weights._take_over("bundled", lambda checkpoints: None)
    assert pieces() == 4


def test_weights_that_come_from_a_repository_replay_like_those_of_a_folder(
    sqlite_store, folder, flagged, good, tmp_path
):
    better = tiny.shaken(good, tmp_path / "better.safetensors", 0.0)

    restorer = restorer_of(folder)
    replayer = Replayer(Replays(sqlite_store), ReleaseRestorers(restorer))
    assert replayer.all() == (3, [])
    restorer.weights._sources[FETCHED] = source_of(str(better))  # as a fetched repository's
    assert replayer.piece()
    sha256 = load_checkpoint(better).sha256
    assert counts(Replays(sqlite_store))[sha256] == {FIXED: 1}
    restorer.weights._sources[FETCHED] = Nothing()  # its next commit may be another: of this one nothing is left here
    assert not ReleaseRestorers(restorer).here(NAME, sha256)


def test_a_flag_that_cannot_be_replayed_stops_nobody(sqlite_store, folder, flagged):
    blob = next(path for path in (sqlite_store.folder / "blobs").rglob("*.png"))
    wrong = accepted(sqlite_store, 9, observed=picture("o", side=40), restored=picture("r", side=40))
    replayer = replayer_of(sqlite_store, folder)
    done, refused = replayer.all()
    assert done == 3
    assert len(refused) == 1
    assert wrong in refused[0]
    assert "8×8 and 40×40" in refused[0]
    while replayer.piece():
        pass
    assert not replayer.piece()  # and it is not tried again and again
    assert blob.exists()


@pytest.mark.parametrize("task", ["upscale", "inpaint"])
def test_figures_are_of_the_task(restorer, task):
    clean, holes = tiny.picture(48, 48), np.zeros((48, 48), bool)
    holes[10:20, 10:30] = True
    flagged = np.roll(clean, 1, axis=0)
    observed = clean[::2, ::2] if task == "upscale" else clean
    given = {"scale": 2} if task == "upscale" else {}
    mask = png(holes.astype(np.uint8) * 255) if task == "inpaint" else None
    flag = flag_of(1, task=task, observed=png(observed), restored=png(flagged), mask=mask, controls=given)
    before, now = figures(restorer, flag, png(clean))
    done = restorer.restore(task, observed, holes if mask else None, **given).photo.pixels
    if task == "upscale":
        assert now == pytest.approx(psnr(done, clean, 2, on_luma=True))
        assert before == pytest.approx(psnr(flagged, clean, 2, on_luma=True))
    else:
        assert now == pytest.approx(psnr_inside(done, clean, holes))
        assert before == pytest.approx(psnr_inside(flagged, clean, holes))
    with pytest.raises(PhotoError, match="cannot be compared"):
        figures(restorer, flag, picture("small"))


# ---- the weights of a release


def test_older_weights_are_found_as_long_as_they_are_there(folder, good, tmp_path):
    first = Weights(folder).load(NAME)
    old = next(folder.glob("*.safetensors"))
    second = serve(good, folder, tmp_path / "b.safetensors", 0.01)
    past = ReleaseRestorers(restorer_of(folder))
    assert past.serving() == {NAME: second}
    assert past.restorer(NAME, first.sha256).weights.load(NAME).sha256 == first.sha256
    assert past.here(NAME, second)
    old.unlink()
    gone = ReleaseRestorers(restorer_of(folder))
    assert not gone.here(NAME, first.sha256)
    with pytest.raises(CheckpointError, match="are not here any more: their figures stand"):
        gone.restorer(NAME, first.sha256)
    shutil.copy(tmp_path / "b.safetensors", old)  # a file of that name, but not of that content
    with pytest.raises(CheckpointError, match="has sha256"):
        ReleaseRestorers(restorer_of(folder)).restorer(NAME, first.sha256)


def test_weights_learned_what_those_learned_that_they_were_made_from(folder, good, tmp_path):
    def line(sha256, before, learned, flags=True):
        told = {"what": "promoted", "name": NAME, "sha256": sha256, "before": before and {"sha256": before}}
        return {**told, "learned": learned, "flags": {"from": "snapshot"} if flags else None}

    lines = [line("a", None, ["f1"]), line("b", "a", ["f2"]), line("c", "b", [], flags=False), line("a", "c", ["f9"])]
    lines = of_old_lines(lines)
    assert learned_from(lines, "b") == {"f1", "f2"}
    assert learned_from(lines, "c") == set()  # trained from the beginning
    assert learned_from(lines, "a") == {"f1"}
    assert learned_from(lines, "x") is None
    sha256 = serve(good, folder, tmp_path / "b.safetensors", 0.01, learned=["f1"], flags={"from": "snapshot"})
    assert learned_from(of_old_lines(history(folder)), sha256) == {"f1"}


# ---- the command


def test_the_command_replays_and_prints_the_counts(sqlite_store, folder, flagged, good, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DECONVDEMO_DATA_DIR", str(sqlite_store.folder.parent))
    monkeypatch.setattr(pairs, "is_held_out", lambda family: family == flagged[0])
    asked = ["feedback", "replay", "--weights", str(folder), "--device", "cpu", "--precision", "fp32"]
    assert main(asked) == 0
    sha256 = Weights(folder).sha256(NAME)[:12]
    held_back = "held back from training: 0 newly bad, 1 still bad, 0 fixed"
    assert capsys.readouterr().out.splitlines() == [
        "3 flags replayed",
        f"{NAME} {sha256}: 0 newly bad, 3 still bad, 0 fixed; {held_back}",
    ]
    serve(good, folder, tmp_path / "b.safetensors", 0.0)
    assert main(asked) == 0
    told = capsys.readouterr().out.splitlines()
    assert "0 newly bad, 0 still bad, 3 fixed; held back from training: 0 newly bad, 0 still bad, 1 fixed" in told[1]
    assert main([*asked, "--json"]) == 0
    (now, before) = json.loads(capsys.readouterr().out)["releases"]
    assert (now["all"]["fixed"], before["all"]["still_bad"], now["name"]) == (3, 3, NAME)
    wrong = accepted(sqlite_store, 9, observed=picture("o", side=40), restored=picture("r", side=40))
    assert main(asked) == 1
    assert wrong in capsys.readouterr().err


def test_weights_tell_their_sha256_without_being_fetched(folder, tmp_path):
    weights = Weights(folder)
    assert weights.sha256(NAME) == load_checkpoint(next(folder.glob("*.safetensors"))).sha256
    alone = Weights(spec=str(next(folder.glob("*.safetensors"))))
    assert alone.sha256(NAME) == weights.sha256(NAME)
    elsewhere = Entry("denoise.safetensors", OLD, "lab/weights", "abc1234")  # not on this disk, and nobody asks the Hub
    write_index(tmp_path, {"denoise": elsewhere})
    assert ReleaseRestorers(restorer_of(tmp_path)).serving() == {"denoise": OLD}
