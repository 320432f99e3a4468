"""Nothing worse is ever served: what the gate lets through, what it refuses and why, and how weights change places."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
from demo_app import png
from feedback_flags import flag_of
from PIL import Image

from deconvdemo.checkpoints import promotion
from deconvdemo.checkpoints.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from deconvdemo.checkpoints.index import INDEX, SHADOW, add_to_index, read_index
from deconvdemo.checkpoints.promotion import history, promote, rollback, shadow, withdraw
from deconvdemo.checkpoints.serving import Weights
from deconvdemo.cli import main
from deconvdemo.engine.device import Compute
from deconvdemo.errors import CheckpointError
from deconvdemo.evaluation import acceptance, promoting, stress, variety
from deconvdemo.evaluation.acceptance import judge
from deconvdemo.evaluation.comparison import CLEAN, FLAGS, Comparison
from deconvdemo.evaluation.lineage import origins
from deconvdemo.evaluation.stress import DRAWN
from deconvdemo.feedback.events.opinions import Verdict
from deconvdemo.feedback.events.records import TARGET, Pair
from deconvdemo.feedback.review import pairs
from deconvdemo.feedback.review.lineage import learned_from
from deconvdemo.image.drawn import drawn_pictures

NAME = "denoise-fast"
CPU = Compute("cpu", "fp32", "a test")


@pytest.fixture(autouse=True)
def few_and_small_pictures_are_judged(monkeypatch):
    """What is asked of the validation images, and what the drawn ones are, `test_single_pictures.py` tests."""
    monkeypatch.setattr(variety, "FEWEST_IMAGES", 4)
    monkeypatch.setattr(stress, "drawn_pictures", lambda seed: list(drawn_pictures(seed, [(64, 64)]))[::3])
    monkeypatch.setattr(acceptance, "TIMED", 64)
    monkeypatch.setattr(acceptance, "SLOWER", np.inf)  # on so little, a busy machine says anything


@pytest.fixture(scope="module")
def good() -> Checkpoint:
    """Bundled weights that do well: the candidate, where the others are made worse from it."""
    return Weights().load(NAME)


def shaken(checkpoint: Checkpoint, folder: Path, amount: float, **recipe) -> Path:
    return tiny.shaken(checkpoint, folder / f"{NAME}.safetensors", amount, **recipe)


@pytest.fixture(scope="module")
def dev(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("validation")
    for number in range(4):
        Image.fromarray(tiny.noisy_and_clean(number + 20, 64)[1]).save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def held_back() -> list[Pair]:
    return [Pair(f"flag{number}", TARGET, *tiny.noisy_and_clean(number, 64)) for number in range(4)]


# ---- the statistics


def test_intervals_and_p_values_are_students():
    from scipy import stats

    rng = np.random.default_rng(0)
    served = rng.normal(30, 2, 12)
    candidate = served + rng.normal(0.2, 0.3, 12)
    one = Comparison("set5", "sigma 25", tuple(served), tuple(candidate))
    expected = stats.ttest_rel(candidate, served)
    assert one.mean == pytest.approx(np.mean(candidate - served))
    assert one.interval == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert one.p_value == pytest.approx(expected.pvalue)


@pytest.mark.parametrize(
    ("images", "differences", "refused"),
    [
        ("set5", [0.0, 0.0, 0.0], False),
        ("set5", [-0.04, -0.03, -0.05], False),  # within the tolerance
        ("set5", [-0.06, -0.05, -0.07], True),
        ("set5", [0.5, -0.9, 0.2], True),  # on average worse
        (FLAGS, [0.5, 0.6, 0.4], False),
        (FLAGS, [0.05, 0.06, 0.04], True),  # too little
        (FLAGS, [2.0, -1.0, 0.5], True),  # nobody knows
        (FLAGS, [1.0, 1.0], True),  # too few
    ],
)
def test_what_keeps_a_candidate_out(images, differences, refused):
    served = tuple(30.0 for _ in differences)
    one = Comparison(images, "", served, tuple(30 + d for d in differences))
    assert bool(one.refusal()) == refused


@pytest.mark.parametrize(
    ("served", "candidate", "refused"),
    [
        ([45.0, 45.0], [45.0, 40.0], False),  # few see it
        ([45.0, 45.0], [45.0, 26.0], True),
        ([34.0, 36.0], [34.0, 36.0], False),  # as before
        ([34.0, 36.0], [33.8, 36.0], True),
    ],
)
def test_good_photos_must_not_be_seen_to_change(served, candidate, refused):
    assert bool(Comparison("set5", CLEAN, tuple(served), tuple(candidate)).refusal()) == refused


# ---- the gate


def test_a_better_candidate_passes(good, dev, held_back, tmp_path):
    served = load_checkpoint(shaken(good, tmp_path, 0.35))
    report = judge(served, good, [dev], held_back, CPU)
    assert report.passed, report.table()
    assert report.table().splitlines()[-1] == "passed"
    of_flags = next(one for one in report.comparisons if one.images == FLAGS)
    assert of_flags.mean > 0.1


def test_a_damaged_candidate_is_refused_with_the_reasons(good, dev, held_back, tmp_path):
    report = judge(good, load_checkpoint(shaken(good, tmp_path, 0.5)), [dev], held_back, CPU)
    assert not report.passed
    reasons = "\n".join(report.refusals)
    assert f"it is worse on {dev.name} sigma 25" in reasons
    assert f"it is not better on {FLAGS}" in reasons


def test_a_candidate_that_breaks_laws_is_refused(good, dev, held_back, tmp_path, monkeypatch):
    report = judge(good, load_checkpoint(shaken(good, tmp_path, 2.0)), [dev], held_back, CPU)
    assert any("a flat field of" in reason for reason in report.refusals)
    monkeypatch.setattr(acceptance, "SLOWER", 0.0)
    served = load_checkpoint(shaken(good, tmp_path, 0.35))
    assert ["times as long" in reason for reason in judge(served, good, [dev], held_back, CPU).refusals] == [True]


def test_a_candidate_of_other_weights_is_refused_before_it_is_measured(good, tmp_path):
    other = load_checkpoint(shaken(good, tmp_path, 0.01, parent="f" * 64))
    assert "it was made from ffffffffffff" in judge(good, other, [], [], CPU).refusals[0]
    assert "these weights serve already" in judge(good, good, [], [], CPU).refusals[0]
    assert "is to be replaced" in judge(Weights().load("denoise"), good, [], [], CPU).refusals[0]


def test_without_held_back_flags_nobody_knows_whether_it_is_better(good, dev, tmp_path):
    served = load_checkpoint(shaken(good, tmp_path, 0.35))
    assert "no held-back flag" in judge(served, good, [dev], [], CPU).refusals[0]


# ---- changing places


@pytest.fixture
def folder(good, tmp_path) -> Path:
    """A folder of weights that serve: shaken ones."""
    file = shaken(good, tmp_path / "weights", 0.35)
    add_to_index(file)
    return file.parent


def serving(folder: Path) -> str:
    return Weights(folder).load(NAME).sha256


def test_promotion_and_rollback_are_each_others_reverse(folder, good, tmp_path):
    first, file = serving(folder), tmp_path / "candidate.safetensors"
    save_checkpoint(file, good.header, good.tensors)
    second = promote(file, folder, {"learned": ["f1"]}).sha256
    assert serving(folder) == second != first
    assert rollback(folder, NAME).sha256 == first
    assert serving(folder) == first
    assert [(line["what"], line["sha256"]) for line in history(folder)] == [
        ("promoted", second),
        ("rolled back", first),
    ]
    assert history(folder)[0]["learned"] == ["f1"]
    with pytest.raises(CheckpointError, match="nothing to go back to"):
        rollback(folder, NAME)
    promote(file, folder, {})
    with pytest.raises(CheckpointError, match="serves as denoise-fast already"):
        promote(file, folder, {})


def test_several_promotions_are_undone_one_by_one(folder, good, tmp_path):
    made = [serving(folder)]
    for number in range(3):
        file = shaken(good, tmp_path / str(number), 0.001 * (number + 1))
        made.append(promote(file, folder, {}).sha256)
    for expected in reversed(made[:-1]):
        assert rollback(folder, NAME).sha256 == expected == serving(folder)


@pytest.mark.parametrize("step", range(3))
def test_whatever_is_killed_whole_weights_serve(folder, good, tmp_path, monkeypatch, step):
    """At each of its writes: the file, the history, the index."""
    first, file = serving(folder), tmp_path / "candidate.safetensors"
    save_checkpoint(file, good.header, good.tensors)
    real, calls = promotion.write_file, []

    def dies(path, data):
        if len(calls) == step:
            raise KeyboardInterrupt
        calls.append(path)
        real(path, data)

    monkeypatch.setattr(promotion, "write_file", dies)
    monkeypatch.setattr("deconvdemo.checkpoints.index.write_file", dies)
    with pytest.raises(KeyboardInterrupt):
        promote(file, folder, {})
    assert serving(folder) == first
    monkeypatch.undo()
    promote(file, folder, {})  # once more, over what was left
    assert serving(folder) == load_checkpoint(file).sha256
    rollback(folder, NAME)
    assert serving(folder) == first


def test_a_file_that_is_gone_or_damaged_is_not_gone_back_to(folder, good, tmp_path):
    file = tmp_path / "candidate.safetensors"
    save_checkpoint(file, good.header, good.tensors)
    old = folder / read_index(folder / INDEX)[NAME].file
    promote(file, folder, {})
    now = serving(folder)
    kept = old.read_bytes()
    old.unlink()
    with pytest.raises(CheckpointError, match="is not there any more"):
        rollback(folder, NAME)
    assert serving(folder) == now
    old.write_bytes(kept)
    (folder / "history.json").write_text("{")
    with pytest.raises(CheckpointError, match="is not a history of weights"):
        rollback(folder, NAME)


# ---- candidates in duels


def test_a_candidate_in_duels_serves_nobody_until_it_is_promoted(folder, good, tmp_path):
    first, file = serving(folder), tmp_path / "candidate.safetensors"
    save_checkpoint(file, good.header, good.tensors)
    second = shadow(file, folder).sha256
    assert serving(folder) == first
    assert [(found.name, found.load().sha256) for found in Weights(folder).candidates()] == [(NAME, second)]
    other = shadow(shaken(good, tmp_path, 0.01), folder).sha256  # one at a time for each name
    assert [found.sha256 for found in Weights(folder).candidates()] == [other]
    shadow(file, folder)
    promote(file, folder, {})
    assert serving(folder) == second
    assert not list(Weights(folder).candidates())
    with pytest.raises(CheckpointError, match="serves as denoise-fast already"):
        shadow(file, folder)
    with pytest.raises(CheckpointError, match="no candidate of denoise-fast stands in duels"):
        withdraw(folder, NAME)
    rollback(folder, NAME)
    shadow(file, folder)
    withdraw(folder, NAME)
    assert not list(Weights(folder).candidates())


def test_candidates_that_cannot_be_read_stand_in_no_duel(folder, caplog):
    (folder / SHADOW).write_text("{")
    assert not list(Weights(folder).candidates())
    assert "no candidate of it stands in duels" in caplog.text


# ---- the commands


@pytest.fixture
def store(sqlite_store, monkeypatch):
    """Flags of noisy photos with clean targets, half of them held back."""
    monkeypatch.setenv("DECONVDEMO_DATA_DIR", str(sqlite_store.folder.parent))
    held: dict[str, bool] = {}
    for number in range(8):
        noisy, clean = tiny.noisy_and_clean(number, 64)
        flag = flag_of(number, observed=png(noisy), restored=png(noisy), clean=png(clean))
        flag_id = sqlite_store.add(flag).flag_id
        held[flag_id] = number % 2 == 0
        sqlite_store.add(Verdict(flag_id=flag_id, reviewer="ada", decision="accept"))
    families: dict[str, str] = {}
    monkeypatch.setattr(pairs.Likenesses, "family", lambda self, flag_id: (families.setdefault(flag_id, flag_id), 1))
    monkeypatch.setattr(pairs, "is_held_out", lambda family: held.get(family, False))
    sqlite_store.held = held
    return sqlite_store


def candidate_of(store, good, folder, tmp_path, learned=None) -> Path:
    trained_on = [flag_id for flag_id, kept in store.held.items() if not kept] if learned is None else learned
    recipe = {"parent": serving(folder), "flags": {"from": "snapshot"}, "learned": trained_on}
    header = replace(good.header, recipe=recipe)
    (tmp_path / "candidate").mkdir(exist_ok=True)
    file = tmp_path / "candidate" / f"{NAME}.safetensors"
    save_checkpoint(file, header, good.tensors)
    return file


def promoted(file: Path, folder: Path, dev: Path, *more: str) -> int:
    asked = ["promote", str(file), "--dev", str(dev), "--into", str(folder), "--device", "cpu", "--precision", "fp32"]
    return main([*asked, *more])


def test_the_command_promotes_what_passes_and_rolls_it_back(store, good, folder, dev, tmp_path, capsys):
    first, file = serving(folder), candidate_of(store, good, folder, tmp_path)
    assert promoted(file, folder, dev, "--dry-run") == 0
    assert serving(folder) == first
    assert promoted(file, folder, dev) == 0
    told = capsys.readouterr().out
    assert "passed" in told
    assert serving(folder) == load_checkpoint(file).sha256
    assert main(["weights", "show", NAME, "--weights", str(folder)]) == 0
    [line] = json.loads(capsys.readouterr().out)["history"]
    assert {row["images"]: "image" in row["worst"] for row in line["found"]} == {
        dev.name: True,
        DRAWN: True,
        FLAGS: False,  # a flag's id would outlast its erasure
    }
    assert main(["weights", "rollback", NAME, "--into", str(folder)]) == 0
    assert serving(folder) == first


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def noisy(tensors):
    import torch

    generator = torch.Generator().manual_seed(0)
    return {
        name: value * (1 + 0.5 * torch.randn(value.shape, generator=generator))
        for name, value in sorted(tensors.items())
    }


def with_a_checkerboard(tensors):
    """Every other pixel of every other line that the last deconvolution paints is stronger."""
    kernel = tensors["up.2.weight"].clone()
    kernel[..., ::2, ::2] *= 1.5
    return {**tensors, "up.2.weight": kernel}


def too_large(tensors):
    return {name: value * 1e20 for name, value in tensors.items()}


@pytest.mark.parametrize(
    ("damaged", "why"),
    [
        (noisy, "refused: it is worse on validation"),
        (with_a_checkerboard, "refused: a flat field of"),
        (too_large, "refused: it cannot be measured: denoise-fast gave a result that is not finite"),
    ],
)
def test_the_command_refuses_what_is_damaged_and_says_why(store, good, folder, dev, tmp_path, capsys, damaged, why):
    file, before = candidate_of(store, good, folder, tmp_path), contents(folder)
    tensors = damaged({name: value.float() for name, value in good.tensors.items()})
    save_checkpoint(file, load_checkpoint(file).header, tensors)
    assert promoted(file, folder, dev) == 1
    assert why in capsys.readouterr().out
    assert contents(folder) == before


def test_the_command_refuses_a_file_with_a_nan_in_it(store, good, folder, dev, tmp_path, capsys):
    """Such a file is never written here, and never loaded: nothing is measured."""
    import torch
    from safetensors.torch import save

    file, before = candidate_of(store, good, folder, tmp_path), contents(folder)
    tensors = {**good.tensors, "tail.weight": torch.full_like(good.tensors["tail.weight"], torch.nan)}
    file.write_bytes(save(tensors, good.header.metadata()))
    assert promoted(file, folder, dev) == 1
    assert "holds NaN or infinite numbers in tail.weight" in capsys.readouterr().err
    assert contents(folder) == before


@pytest.mark.parametrize("why", ["rejected", "erased", "held back", "untold"])
def test_the_command_refuses_what_learned_from_the_wrong_flags(store, good, folder, dev, tmp_path, capsys, why):
    from deconvdemo.feedback.dataset.erase import erase

    file, before = candidate_of(store, good, folder, tmp_path), contents(folder)
    learned = load_checkpoint(file).header.recipe["learned"]
    if why == "rejected":
        store.add(Verdict(flag_id=learned[0], reviewer="ada", decision="reject"))
    elif why == "erased":
        erase(store, learned[:1])
    elif why == "held back":
        candidate_of(store, good, folder, tmp_path, [flag_id for flag_id, kept in store.held.items() if kept])
    else:
        candidate_of(store, good, folder, tmp_path, [])
    assert promoted(file, folder, dev) == 1
    told = capsys.readouterr().out
    expected = {
        "rejected": "which reviewers have not accepted",
        "erased": "which was erased",
        "held back": "by which it is to be judged",
        "untold": "does not say which flags it learned from",
    }
    assert expected[why] in told
    assert contents(folder) == before


def test_a_promotion_may_be_published_at_once(store, good, folder, dev, tmp_path, capsys, monkeypatch):
    from deconvdemo.release import push as release_push

    asked = []

    def push(*given):
        asked.append(given)
        raise CheckpointError("the Hub cannot be reached")

    monkeypatch.setattr(release_push, "push", push)
    monkeypatch.delenv("DECONVDEMO_WEIGHTS_REPO", raising=False)
    first, file = serving(folder), candidate_of(store, good, folder, tmp_path)
    assert promoted(file, folder, dev, "--push") == 2  # to nowhere: known before anything is judged
    assert promoted(file, folder, dev, "--push", "lab/nets", "--dry-run") == 0
    assert (asked, serving(folder)) == ([], first)
    capsys.readouterr()
    assert promoted(file, folder, dev, "--push", "lab/nets") == 1
    assert asked == [(folder, "lab/nets")]
    assert serving(folder) == load_checkpoint(file).sha256  # it stands
    told = capsys.readouterr().err.splitlines()[-1]
    assert "the Hub cannot be reached" in told
    assert f"run `deconvdemo weights push lab/nets --from {folder}` to publish it" in told
    [line] = history(folder)
    of_flags = next(row for row in line["found"] if row["images"] == FLAGS)
    assert of_flags["candidate"] - of_flags["served"] == pytest.approx(of_flags["mean"], abs=1e-3)
    assert of_flags["interval"][0] <= of_flags["mean"] <= of_flags["interval"][1]


def test_the_command_lets_a_candidate_into_the_duels_and_takes_it_out(store, good, folder, tmp_path, capsys):
    first, file = serving(folder), candidate_of(store, good, folder, tmp_path)
    into = ["--into", str(folder)]
    assert main(["promote", str(file), *into, "--shadow"]) == 0
    assert "stands in duels" in capsys.readouterr().out
    assert serving(folder) == first
    assert (folder / SHADOW).exists()
    assert main(["weights", "withdraw", NAME, *into]) == 0
    learned = load_checkpoint(file).header.recipe["learned"]
    store.add(Verdict(flag_id=learned[0], reviewer="ada", decision="reject"))
    assert main(["promote", str(file), *into, "--shadow"]) == 1
    assert "which reviewers have not accepted" in capsys.readouterr().err
    assert main(["promote", str(file), *into]) == 2
    assert "--dev is missing" in capsys.readouterr().err


def test_the_command_refuses_what_people_like_less(store, good, folder, dev, tmp_path, capsys, monkeypatch):
    first, file = serving(folder), candidate_of(store, good, folder, tmp_path)
    monkeypatch.setattr("deconvdemo.evaluation.promoting.direct", lambda *asked: (1.0, 12))
    assert promoted(file, folder, dev) == 1
    assert "people prefer what serves: it was chosen 1 times in 12 duels" in capsys.readouterr().out
    assert serving(folder) == first


@pytest.mark.parametrize("learned", ["flag", {"flag": 1}, [1], [["flag"]]])
def test_a_header_that_names_no_flags_is_one_sentence(store, good, folder, dev, tmp_path, capsys, learned):
    file = candidate_of(store, good, folder, tmp_path, learned)
    assert promoted(file, folder, dev) == 1
    assert "does not name the flags it learned from" in capsys.readouterr().err
    shutil.rmtree(file.parent)
    assert promoted(file, folder, dev) == 1


# ---- as functions, without the command


def test_the_function_promotes_what_passes_and_says_what_it_found(store, good, folder, dev, tmp_path):
    first, file = serving(folder), candidate_of(store, good, folder, tmp_path)
    found = promoting.promote(file, folder, [dev], store, CPU, dry_run=True)
    assert (found.report.passed, found.serves, serving(folder)) == (True, False, first)
    found = promoting.promote(file, folder, [dev], store, CPU)
    assert (found.report.passed, found.serves) == (True, True)
    assert serving(folder) == found.candidate.sha256 == load_checkpoint(file).sha256
    line = promotion.history(folder)[-1]
    assert {"found": line["found"]} == found.report.history()
    assert not {"learned", "flags"} & line.keys(), "the header and the record tell it"
    trained = {flag_id for flag_id, kept in store.held.items() if not kept}
    for one in (first, found.candidate.sha256):  # the weights before, and these: no file is needed to know
        assert learned_from(origins(store, Weights(tmp_path / "nowhere")), one) == (set() if one == first else trained)


def test_the_function_lets_nothing_serve_or_stand_in_duels_that_learned_from_the_wrong_flags(
    store, good, folder, dev, tmp_path
):
    held_back = [flag_id for flag_id, kept in store.held.items() if kept]
    file, before = candidate_of(store, good, folder, tmp_path, held_back), contents(folder)
    found = promoting.promote(file, folder, [dev], store, CPU)
    assert (found.report.passed, found.serves) == (False, False)
    with pytest.raises(CheckpointError, match=r"stays out of the duels: it learned from flag .*to be judged"):
        promoting.stand_in_duels(file, folder, store)
    assert contents(folder) == before
    file = candidate_of(store, good, folder, tmp_path)
    assert promoting.stand_in_duels(file, folder, store).sha256 == load_checkpoint(file).sha256
    assert contents(folder)[INDEX] == before[INDEX]
    assert SHADOW in contents(folder)
