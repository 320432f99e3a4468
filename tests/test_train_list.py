"""`deconvdemo train-list`: in order of need, each its share, broken off and gone on with; how near to the ceiling."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
import tiny
from PIL import Image
from tiny_training import small

from deconvdemo.checkpoints.checkpoint import load_checkpoint
from deconvdemo.cli import main
from deconvdemo.engine.compute import Compute
from deconvdemo.errors import ControlError, TrainingError
from deconvdemo.tasks import TASKS
from deconvdemo.training import needs as table
from deconvdemo.training.needs import NEEDS, Need, minutes_each, needs, recipe_of
from deconvdemo.training.recipes import RECIPES
from deconvdemo.training.run import in_turn
from deconvdemo.training.run.ceiling import operations
from deconvdemo.training.run.in_turn import Turns, train_in_turn, trained_minutes
from deconvdemo.training.run.log import read_log
from deconvdemo.training.run.plan import Budget
from deconvdemo.training.run.stopping import Stopped

TWO = ("denoise-photo", "upscale-x4-photo")
CPU = Compute("cpu", "fp32", "asked for")


@pytest.fixture(autouse=True)
def _small_networks(tmp_path, monkeypatch):
    """In a folder of its own, without bundled weights, and with a ceiling that takes no time to find."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DECONVDEMO_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(in_turn, "bundled_folder", lambda: tmp_path / "bundled")
    monkeypatch.setattr(in_turn, "ceiling", lambda device, bf16: 1e12)
    monkeypatch.setattr(in_turn, "LEAST", 0.0)
    for name in TWO:
        monkeypatch.setitem(RECIPES, name, small(name, patch=8, batch=2))
    Path("photos").mkdir()
    Image.fromarray(tiny.picture(64, 64)).save("photos/a.png")


def turns(minutes: float = 1.0, total: float = 1.0, **changes) -> Turns:
    return replace(Turns(needs(TWO), ["photos"], Path("out"), minutes, total, "eager"), **changes)


class Done(NamedTuple):
    begun: list[tuple[str, int]]  # each network that was trained, and at which step it began
    said: list[str]
    failed: list[str]


def trained(monkeypatch, given: Turns, steps: int = 3, fail: str = "") -> Done:
    """A network's share of the time is so many steps."""
    begun: list[tuple[str, int]] = []
    real = in_turn.fit

    def fit(run, output, say, until):
        first = run.state(say).step
        begun.append((run.recipe.name, first))
        if run.recipe.name == fail:
            raise TrainingError("the loss became nan")
        done = real(replace(run, budget=Budget(steps=steps)), output, say, until)
        in_turn_seconds(given.state(run.recipe.name), 60 * run.budget.minutes)
        return done

    monkeypatch.setattr(in_turn, "fit", fit)
    said: list[str] = []
    failed = train_in_turn(given, CPU, Path("data/corpus"), said.append)
    monkeypatch.setattr(in_turn, "fit", real)
    return Done(begun, said, failed)


def in_turn_seconds(state: Path, seconds: float) -> None:
    """Writes into a state that it took so long."""
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    with safe_open(state, framework="pt") as opened:
        facts = opened.metadata()
    save_file(load_file(state), state, {**facts, "seconds": str(seconds)})


def test_the_order_of_need_is_the_one_that_was_agreed():
    names = [need.name for need in NEEDS]
    assert names[:7] == [
        "denoise-photo", "upscale-x4-photo", "upscale-x2-photo", "upscale-x2", "upscale-x4", "denoise", "inpaint",
    ]  # fmt: skip
    assert {"upscale-x3", "upscale-x3-photo"} == set(names[7:9])
    assert names[9:] == ["scratches", "upscale-x4-vivid"]
    assert {need.name for need in needs()} == set(names) & set(RECIPES)


def test_each_has_its_share_of_the_time():
    shares = minutes_each([Need("a", 3), Need("b", 1)], 20)
    assert shares == {"a": 15, "b": 5}
    assert [need.name for need in needs(["upscale-x2", "denoise", "upscale-x2"])] == ["upscale-x2", "denoise"]
    with pytest.raises(ControlError, match="no recipe for sharpen: choose among denoise"):
        needs(["sharpen"])


def test_a_gpu_is_given_more_and_larger_patches_unless_somebody_says_how_many():
    need = next(need for need in NEEDS if need.name == "denoise")
    cpu, gpu = recipe_of(need, gpu=False), recipe_of(need, gpu=True)
    assert cpu == RECIPES["denoise"]
    assert (gpu.batch, gpu.patch) == (need.batch, need.patch)
    assert gpu.batch * gpu.patch**2 > 2 * cpu.batch * cpu.patch**2
    asked = recipe_of(need, gpu=True, batch=3, patch=40)
    assert (asked.batch, asked.patch) == (3, 40)


def test_networks_are_trained_in_turn_and_those_that_are_ready_are_left(monkeypatch):
    assert trained(monkeypatch, turns()).begun == [("denoise-photo", 0), ("upscale-x4-photo", 0)]
    assert [load_checkpoint(Path(f"out/{name}.safetensors")).name for name in TWO] == list(TWO)
    assert load_checkpoint(Path("out/denoise-photo.safetensors")).header.recipe["steps"] == 3
    again = trained(monkeypatch, turns())
    assert again.begun == []
    assert again.said[1:3] == ["denoise-photo is ready", "upscale-x4-photo is ready"]
    longer = trained(monkeypatch, turns(total=5.0), steps=4)
    assert longer.begun == [("denoise-photo", 3), ("upscale-x4-photo", 3)]


def test_time_that_is_over_breaks_a_network_off_and_the_next_time_goes_on_with_it(monkeypatch):
    """Its weights so far are there, too: whoever comes back with them alone has something."""
    monkeypatch.setattr(in_turn, "LEAST", 0.01)
    said: list[str] = []
    failed = train_in_turn(turns(minutes=0.005, total=1000.0), CPU, Path("data/corpus"), said.append)
    assert failed == []
    goes_on = "denoise-photo: the time is over; the same command goes on with denoise-photo.state.safetensors"
    assert goes_on in said
    assert load_checkpoint(Path("out/denoise-photo.safetensors")).name == "denoise-photo"
    assert not Path("out/upscale-x4-photo.safetensors").exists()
    assert "denoise-photo.state.safetensors" in said[-1]  # to take along: it goes on
    steps = read_log(Path("out/denoise-photo.log.jsonl"))[-1]["step"]
    assert 0 < trained_minutes(Path("out/denoise-photo.state.safetensors")) < 500
    done = trained(monkeypatch, turns(), steps=steps + 1)
    assert done.begun == [("denoise-photo", steps), ("upscale-x4-photo", 0)]
    assert "state" not in done.said[-1]  # both are ready: only weights


def test_somebody_who_asks_it_to_stop_is_obeyed(monkeypatch):
    def fit(run, output, say, until):
        raise Stopped("as asked")

    monkeypatch.setattr(in_turn, "fit", fit)
    with pytest.raises(Stopped):
        train_in_turn(turns(), CPU, Path("data/corpus"), lambda text: None)


def test_one_that_fails_does_not_cost_the_next_its_turn(monkeypatch):
    done = trained(monkeypatch, turns(), fail="denoise-photo")
    assert [name for name, _ in done.begun] == list(TWO)
    assert done.failed == ["denoise-photo: the loss became nan"]
    assert Path("out/upscale-x4-photo.safetensors").exists()


def test_what_serves_is_what_a_network_begins_with(monkeypatch):
    recipe = RECIPES["upscale-x4-photo"]
    assert in_turn.beginning(recipe) is None
    Path("bundled").mkdir()
    for name in (recipe.starts_from, recipe.name):
        Path(f"bundled/{name}.safetensors").write_bytes(b"")
        assert in_turn.beginning(recipe) == Path.cwd() / f"bundled/{name}.safetensors"


def test_a_line_of_the_log_tells_how_near_to_the_ceiling_it_was(monkeypatch):
    done = trained(monkeypatch, turns(wanted=needs(TWO[:1])))
    row = read_log(Path("out/denoise-photo.log.jsonl"))[-1]
    reached = row["images_per_second"] * operations(RECIPES["denoise-photo"])
    assert row["teraflops"] == pytest.approx(reached / 1e12, abs=1e-4)
    assert row["of_ceiling"] == pytest.approx(reached / 1e12, abs=1e-4)  # of 10¹²
    assert "% of the ceiling" in done.said[-2]


def test_operations_are_those_of_the_convolutions():
    """Forward, and the gradients of weights and of inputs: but for the first layer's input three times as many."""
    recipe = small("upscale-x2", config={"scale": 2, "channels": 8, "depth": 3}, patch=10)
    pixels, inner = 100, 4 * 9 * 8 * 8  # the trunk, and the convolution that joins
    head, last = 9 * 3 * 8, 9 * 8 * 3 * 4
    assert operations(recipe) == pytest.approx(2 * pixels * (3 * (inner + last) + 2 * head), rel=0.01)


def test_the_ceiling_is_measured_once():
    from deconvdemo.training.run.ceiling import ceiling

    found = ceiling("cpu", False)
    since = time.perf_counter()
    assert ceiling("cpu", False) == found > 1e8
    assert time.perf_counter() - since < 0.1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--minutes", "0"], "--minutes is 0, but it must be a number above 0"),
        (["--minutes", "1", "--total", "nan"], "--total is nan, but it must be a number above 0"),
        (["--minutes", "1", "--list", "denoise,sharpen"], "there is no recipe for sharpen"),
        (["--minutes", "1", "--batch", "0"], "--batch is 0, but it must be 1 or more"),
        (["--minutes", "1", "--precision", "fp16"], "trained in fp32 or bf16"),
        (["--minutes", "1", "--out", "a.safetensors"], "name a folder"),
        (["--minutes", "1", "--out", "serving"], "whose weights serve"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(capsys, words, says):
    Path("serving").mkdir()
    Path("serving/index.json").write_text("{}")
    assert main(["train-list", "--images", "photos", "--out", "out", *words]) == 2
    assert says in capsys.readouterr().err.splitlines()[-1]


def test_the_command_trains_a_list(capsys):
    words = ["--list", "denoise-photo", "--minutes", "0.003", "--device", "cpu", "--precision", "fp32"]
    assert main(["train-list", "--images", "photos", "--out", "made", *words, "--data", "drawn (CC0)"]) == 0
    made = load_checkpoint(Path("made/denoise-photo.safetensors"))
    assert made.header.data == ["drawn (CC0)"]
    assert read_log(Path("made/denoise-photo.log.jsonl"))[-1]["step_is"] == "eager"
    assert "to take along:\n  denoise-photo.safetensors" in capsys.readouterr().err


def test_weights_that_invent_are_offered_as_such_and_only_once_there_are_some():
    upscale = TASKS["upscale"]
    assert "invents detail" in upscale.variant.options["vivid"].label
    served = [name for name in RECIPES if name.startswith("upscale") and "vivid" not in name]
    assert "vivid" not in upscale.offering(served).variant.options
    offered = upscale.offering([*served, "upscale-x4-vivid"])
    assert "vivid" in offered.variant.options
    assert offered.variant.default == "auto"
    assert offered.choosing(offered.checked({"scale": 4}))["variant"] == "standard"
    assert offered.checked({"scale": 4, "variant": "vivid"})
    with pytest.raises(ControlError, match="no weights for upscale-x2-vivid"):
        offered.checked({"scale": 2, "variant": "vivid"})
    assert table.RECIPES["upscale-x4-vivid"].adversarial > 0
