"""`deconvdemo train`: which network, from which weights, and what it does not begin with."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import tiny
from PIL import Image

from deconvdemo.checkpoints.checkpoint import load_checkpoint
from deconvdemo.cli import main

ROOT = Path(__file__).parent.parent
QUICK = ["--batch", "1", "--patch", "8", "--steps", "1", "--device", "cpu", "--precision", "fp32"]


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DECONVDEMO_DATA_DIR", str(tmp_path / "data"))
    Path("photos").mkdir()
    Image.fromarray(tiny.picture(64, 64)).save("photos/a.png")
    for name in ("sets/inpaint", "sets/polyu", "sets/set5", "empty"):
        Path(name).mkdir(parents=True)
    Image.fromarray(tiny.picture(32, 32)).save("sets/set5/a.png")
    for name in ("inpaint/a", "inpaint/a_mask", "polyu/a_noisy", "polyu/a_clean"):
        Image.fromarray(tiny.picture(32, 32)).save(f"sets/{name}.png")


def train(capsys, *words, images="photos", out="out.safetensors") -> tuple[int, list[str]]:
    """The status, and what was said but for progress bars."""
    status = main(["train", *map(str, words), "--images", str(images), "--out", str(out)])
    return status, [line.rpartition("\r")[2] for line in capsys.readouterr().err.splitlines()]


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["denoise", "--minutes", "0"], 2, "--minutes is 0, but it must be a number above 0"),
        (["denoise", "--minutes", "nan"], 2, "--minutes is nan, but it must be a number above 0"),
        (["denoise", "--steps", "0"], 2, "--steps is 0, but it must be 1 or more"),
        (["denoise", "--steps", "1", "--minutes", "1"], 2, "not allowed with argument"),
        (["denoise", "--rate", "-0.1"], 2, "--rate is -0.1, but it must be a number above 0"),
        (["denoise", "--rate", "inf"], 2, "--rate is inf"),
        (["denoise", "--batch", "0"], 2, "--batch is 0, but it must be 1 or more"),
        (["denoise", "--patch", "7"], 2, "--patch is 7, but it must be 8 or more"),
        (["denoise", "--seed", "-1"], 2, "--seed is -1, but it must be 0 or more"),
        (["denoise", "--measure-every", "-1"], 2, "--measure-every is -1, but it must be 0 or more"),
        (["denoise", "--precision", "fp16"], 2, "--precision is 'fp16', but networks are trained in fp32 or bf16"),
        (["sharpen"], 2, "there is no recipe for sharpen: choose among denoise, denoise-"),
        (["upscale-x5"], 2, "there is no recipe for upscale-x5: choose among"),
        ([*QUICK, "inpaint", "--dev", "sets/set5"], 1, "a.png has no a_mask beside it"),
        ([*QUICK, "upscale", "--dev", "sets/inpaint"], 2, "whose files *_mask are for inpaint, not for upscale"),
        ([*QUICK, "upscale", "--dev", "sets/polyu"], 2, "whose files *_noisy are for denoise, not for upscale"),
        ([*QUICK, "denoise", "--dev", "empty"], 1, "no images in empty"),
        ([*QUICK, "denoise", "--dev", "missing"], 1, "missing is not a folder"),
        ([*QUICK, "denoise", "--resume", "photos/a.png"], 1, "photos/a.png is not a state to resume from"),
        ([*QUICK, "denoise", "--start-from", "photos/a.png"], 1, "photos/a.png is not a safetensors file"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence_and_trains_nothing(capsys, words, status, says):
    got, err = train(capsys, *words)
    assert got == status
    assert says in err[-1]
    assert not list(Path().glob("out*"))


def test_images_that_cannot_be_read_are_said(capsys):
    Path("empty/a.png").write_bytes(b"no image")
    status, err = train(capsys, *QUICK, "denoise", images="empty")
    assert status == 1
    assert "none of the 1 images in empty could be read" in err[-1]


def test_a_networks_name_stands_for_its_task_scale_and_variant(capsys):
    named = ["upscale-x3-photo"], ["upscale", "--scale", "3", "--variant", "photo"]
    for words, out in zip(named, ("one.safetensors", "other.safetensors"), strict=True):
        assert train(capsys, *words, *QUICK, "--start-from", "none", out=out)[0] == 0
    one, other = (load_checkpoint(out) for out in ("one.safetensors", "other.safetensors"))
    assert one.name == other.name == "upscale-x3-photo"
    assert one.sha256 == other.sha256 or one.header.recipe["minutes"] != other.header.recipe["minutes"]


def test_a_network_starts_from_what_its_recipe_says(capsys, monkeypatch):
    monkeypatch.setattr("deconvdemo.checkpoints.index.bundled_folder", lambda: Path("bundled"))
    status, err = train(capsys, "upscale-x3", *QUICK, out="made/upscale-x3.safetensors")
    assert status == 1
    assert "upscale-x3 begins with the weights of upscale-x2, but there is no made/upscale-x2.safetensors" in err[-1]
    assert train(capsys, "upscale-x2", *QUICK, out="made/upscale-x2.safetensors")[0] == 0
    given = load_checkpoint("made/upscale-x2.safetensors").sha256[:12]
    assert train(capsys, "upscale-x3", *QUICK, out="made/upscale-x3.safetensors")[0] == 0
    assert load_checkpoint("made/upscale-x3.safetensors").header.recipe["started from"] == f"upscale-x2 {given}"
    assert train(capsys, "upscale-x3", *QUICK, "--start-from", "none", out="made/fresh.safetensors")[0] == 0
    assert "started from" not in load_checkpoint("made/fresh.safetensors").header.recipe
    Path("made").rename("bundled")
    assert train(capsys, "upscale-x4", *QUICK)[0] == 0
    assert load_checkpoint("out.safetensors").header.recipe["started from"] == f"upscale-x2 {given}"


@pytest.mark.timeout(120)
def test_ctrl_c_is_one_sentence_and_what_it_says_goes_on(capsys):
    words = ["upscale", "--images", "photos", "--out", "out.safetensors", *QUICK]
    command = [sys.executable, "-m", "deconvdemo", "train", *words, "--steps", "1000000"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as running:
        assert running.stderr
        for line in running.stderr:  # the bar appears when the first step is to be taken
            if "training upscale-x2" in line:
                break
        running.send_signal(signal.SIGINT)
        rest = running.stderr.read().splitlines()
        assert running.wait(60) == 1
    sentence = rest[-1].rpartition("\r")[2]
    assert sentence.startswith("deconvdemo: stopped after ")
    assert sentence.endswith("the same command with --resume out.state.safetensors goes on")
    assert not Path("out.safetensors").exists()
    steps = sentence.split()[3]
    status, _ = train(capsys, "upscale", *QUICK, "--steps", int(steps) + 1, "--resume", "out.state.safetensors")
    assert status == 0
