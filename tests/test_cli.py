"""The command line: every verb is documented, does its work, and fails in one line with the right status."""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny
from feedback_flags import flag_of
from PIL import Image

from deconvdemo.__main__ import main, parser
from deconvdemo.checkpoints.checkpoint import load_checkpoint
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.tasks import TASKS

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def _own_data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("DECONVDEMO_DATA_DIR", str(tmp_path / "data"))
    for name in ("DECONVDEMO_DATABASE_URL", "DECONVDEMO_MAX_PIXELS", "DECONVDEMO_DEVICE", "DECONVDEMO_PRECISION"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def photo(tmp_path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(tiny.picture(24, 30)).save(path)
    return path


@pytest.fixture
def run(tiny_weights, capsys):
    """`run(verb, …)` with the tiny weights → (status, lines of stdout, lines of stderr)."""

    def run_(*words, weights=True):
        given = [*map(str, words)]
        if weights and words[0] in TASKS:
            given += ["--weights", str(tiny_weights), "--device", "cpu", "--precision", "fp32"]
        status = main(given)
        captured = capsys.readouterr()
        return status, captured.out.splitlines(), captured.err.splitlines()

    return run_


def pixels(path) -> np.ndarray:
    return np.asarray(Image.open(path))


# ---- documentation and wrong calls -------------------------------------------------------------------------


def commands(of: argparse.ArgumentParser, name: str = "deconvdemo"):
    yield name, of
    for action in of._actions:
        if isinstance(action, argparse._SubParsersAction):
            for verb, inner in action.choices.items():
                yield from commands(inner, f"{name} {verb}")


@pytest.mark.parametrize(("name", "command"), [pytest.param(*pair, id=pair[0]) for pair in commands(parser())])
def test_every_command_and_option_is_documented(name, command):
    assert command.description, f"{name} has no description"
    for action in command._actions:
        if isinstance(action, argparse._SubParsersAction):
            listed = {choice.dest: choice.help for choice in action._choices_actions}
            undocumented = [verb for verb in action.choices if not listed.get(verb)]
        else:
            undocumented = [] if action.help else [action.option_strings or action.dest]
        assert not undocumented, f"{name}: {undocumented} has no help"


def test_every_task_is_a_verb_with_its_controls():
    verbs = dict(commands(parser()))
    for task in TASKS.values():
        options = {text for action in verbs[f"deconvdemo {task.name}"]._actions for text in action.option_strings}
        assert {f"--{control.name}" for control in task.controls} <= options
        assert ("--mask" in options) == task.needs_mask


@pytest.mark.parametrize("module", [["-m", "deconvdemo"]])
def test_it_runs_as_a_module(module):
    done = subprocess.run([sys.executable, *module, "--help"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert "VERB" in done.stdout


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["sharpen"],
        ["denoise"],
        ["denoise", "x.png"],
        ["denoise", "x.png", "-o", "y.png", "--sharp", "1"],
        ["inpaint", "x.png", "-o", "y.png"],
        ["serve", "--port", "http"],
        ["train", "denoise", "--images", "x", "--out", "y.safetensors", "--loss", "huber"],
        ["feedback"],
    ],
)
def test_a_wrong_call_is_status_2_and_one_line(run, words):
    status, out, err = run(*words) if words else (main([]), [], ["?"])
    assert status == 2
    assert not out
    assert len(err) == 1


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["denoise", "photo.png", "-o", "out.png", "--sigma", "-1"], 2, "sigma is"),
        (["denoise", "photo.png", "-o", "out.png", "--sigma", "loud"], 2, "sigma is 'loud'"),
        (["denoise", "photo.png", "-o", "out.png", "--strength", "2"], 2, "strength is 2"),
        (["upscale", "photo.png", "-o", "out.png", "--scale", "5"], 2, "scale is 5, but it must be 2, 3 or 4"),
        (["denoise", "photo.png", "-o", "out.png", "--tile", "7"], 2, "tile is '7'"),
        (["denoise", "photo.png", "-o", "out.png", "--variant", "old"], 2, "it must be auto, standard, photo or fast"),
        (
            ["inpaint", "photo.png", "-o", "out.png", "--mask", "black.png", "--variant", "photo"],
            2,
            "auto, standard or fast",
        ),
        (["denoise", "photo.png", "-o", "out.xyz"], 2, "out.xyz has no suffix that can be written"),
        (["denoise", "photo.png", "-o", "photo.png"], 2, "photo.png is the photo itself: name another -o"),
        (["denoise", ".", "-o", "out.png"], 2, "give a folder"),
        (["denoise", "nothing", "-o", "out"], 2, "nothing holds no photos"),
        (["denoise", "missing.png", "-o", "out.png"], 1, "there is no file missing.png"),
        (["denoise", "text.png", "-o", "out.png"], 1, "text.png is not a photo of a known kind"),
        (["denoise", "photo.png", "-o", "text.png/out"], 1, "cannot be made a folder"),
        (["denoise", "photo.png", "-o", "out.png", "--precision", "fp8"], 1, "precision 'fp8' is not known"),
        (["denoise", "photo.png", "-o", "out.png", "--weights", "none.safetensors"], 1, "none.safetensors does not"),
        (["inpaint", "photo.png", "-o", "out.png", "--mask", "black.png"], 1, "the mask is empty"),
        (["inpaint", "photo.png", "-o", "out.png", "--mask", "small.png"], 1, "mask is 5×4 but the photo is 30×24"),
    ],
)
def test_what_fails_says_so_in_one_line(photo, run, monkeypatch, words, status, says):
    monkeypatch.chdir(photo.parent)
    (photo.parent / "nothing").mkdir()
    (photo.parent / "text.png").write_text("a text")
    Image.new("L", (30, 24)).save("black.png")
    Image.new("L", (5, 4), 255).save("small.png")
    before = photo.read_bytes()
    got, out, err = run(*words, weights="--weights" not in words and "--precision" not in words)
    assert (got, out, len(err)) == (status, [], 1)
    assert says in err[0]
    assert photo.read_bytes() == before
    assert not (photo.parent / "out.png").exists()


def test_a_wrong_setting_names_its_variable(run, monkeypatch):
    monkeypatch.setenv("DECONVDEMO_PORT", "http")
    assert run("weights", "list")[0] == 2
    monkeypatch.setenv("DECONVDEMO_PORT", "80")
    monkeypatch.setenv("DECONVDEMO_MAX_PIXELS", "many")
    status, _, err = run("weights", "list")
    assert status == 2
    assert "DECONVDEMO_MAX_PIXELS is 'many'" in err[0]


def test_the_unexpected_is_one_line_too_and_debug_shows_it_all(run, monkeypatch):
    def fail(*arguments):
        raise ZeroDivisionError("a mistake\nof ours")

    monkeypatch.setattr("deconvdemo.cli.weights._list", fail)
    status, _, err = run("weights", "list")
    assert (status, len(err)) == (1, 1)
    assert "unexpected ZeroDivisionError: a mistake of ours (run again with --debug" in err[0]
    with pytest.raises(ZeroDivisionError):
        main(["--debug", "weights", "list"])
    with pytest.raises(ZeroDivisionError):
        main(["weights", "list", "--debug"])


def test_stopping_is_not_a_traceback(run, monkeypatch):
    def stop(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("deconvdemo.cli.weights._list", stop)
    assert run("weights", "list") == (130, [], ["deconvdemo: stopped"])


# ---- restoring ---------------------------------------------------------------------------------------------


def test_a_photo_is_denoised_as_python_does_it(run, photo, restorer):
    target = photo.with_name("out.png")
    status, out, err = run("denoise", photo, "-o", target, "--sigma", "12.5", "--strength", "0.5")
    assert (status, err) == (0, [])
    assert f"{photo} → {target}: 30×24, sigma 12.5, strength 0.5" in out[0]
    expected = restorer.restore("denoise", photo, sigma=12.5, strength=0.5).photo.pixels
    assert np.array_equal(pixels(target), expected)


def test_the_variant_says_which_network_restores(run, photo, restorer):
    target = photo.with_name("out.png")
    status, out, err = run("denoise", photo, "-o", target, "--variant", "photo")
    assert (status, err) == (0, [])
    assert "30×24, sigma auto, strength 1, variant photo, " in out[0]
    assert " denoise-photo " in out[0]
    assert np.array_equal(pixels(target), restorer.restore("denoise", photo, variant="photo").photo.pixels)
    out = run("upscale", photo, "-o", target, "--variant", "fast", "--scale", "3", "--overwrite")[1]
    assert " upscale-x3-fast " in out[0]


def test_a_missing_variant_is_named_once_for_a_whole_folder(run, photo, tiny_weights, tmp_path):
    (tmp_path / "weights").mkdir()
    tiny.weights_file(tmp_path / "weights", TASKS["denoise"], {"variant": "fast"})
    photo.with_name("second.png").write_bytes(photo.read_bytes())
    weights = tmp_path / "weights" / "denoise-fast.safetensors"
    status, out, err = run(
        "denoise", tmp_path, "-o", tmp_path / "out", "--weights", weights, "--variant", "old", weights=False
    )
    assert (status, out, len(err)) == (2, [], 1)
    assert "variant is 'old', but it must be auto, standard" in err[0]
    assert not (tmp_path / "out").exists()
    # what --weights names is what restores, whichever variant it is
    status, out, _ = run("denoise", photo, "-o", tmp_path / "out.png", "--weights", weights, weights=False)
    assert status == 0
    assert f"denoise-fast {load_checkpoint(weights).sha256[:8]} ({weights})" in out[0]


def test_a_photo_is_upscaled_into_another_format(run, photo):
    target = photo.with_name("large.webp")
    assert run("upscale", photo, "-o", target, "--scale", "3", "--tile", "32")[0] == 0
    assert Image.open(target).size == (90, 72)
    assert Image.open(target).format == "WEBP"


def test_holes_are_filled_and_the_rest_is_left(run, photo):
    mask = np.zeros((24, 30), np.uint8)
    mask[5:9, 6:12] = 255
    Image.fromarray(mask).save(photo.with_name("mask.png"))
    target = photo.with_name("out.png")
    status, *_ = run("inpaint", photo, "--mask", photo.with_name("mask.png"), "-o", target, "--grow", "1")
    assert status == 0
    changed = (pixels(target) != pixels(photo)).any(axis=2)
    assert changed[5:9, 6:12].any()
    assert not changed[:4].any()
    assert not changed[10:].any()


def test_a_note_is_printed(run, tmp_path):
    frames = [Image.fromarray(tiny.picture(12, 12) // step).convert("P") for step in (1, 2)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    status, out, _ = run("denoise", tmp_path / "moving.gif", "-o", tmp_path / "out.png")
    assert status == 0
    assert "note: animated GIF: only its first frame is used" in out[1]


def test_a_folder_is_restored_into_a_folder(run, tmp_path):
    photos, out = tmp_path / "photos", tmp_path / "out"
    (photos / "deeper").mkdir(parents=True)
    for name in ("a.png", "b.tif", "deeper/a.webp", "my.photo.v2.png"):
        Image.fromarray(tiny.picture(12, 14)).save(photos / name, lossless=True)
    (photos / "notes.txt").write_text("not a photo")
    status, lines, err = run("upscale", photos, "-o", out)
    assert (status, len(lines), err) == (0, 5, [])
    assert lines[-1] == "4 done, 1 skipped (1 not photos: notes.txt), 0 failed"
    made = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    assert made == ["a.png", "b.tif", "deeper/a.webp", "my.photo.v2.png"]
    assert all(Image.open(out / name).size == (28, 24) for name in made)


def test_photos_of_one_name_do_not_overwrite_each_other(run, tmp_path):
    shades = {"x/a.png": 10, "x/a.tif": 60, "y/a.png": 110, "y/b.png": 160}
    for name, shade in shades.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (6, 6), (shade,) * 3).save(tmp_path / name)
    out = tmp_path / "out"
    status, lines, _ = run("denoise", *(tmp_path / name for name in shades), "-o", out, "--strength", "0")
    assert status == 0
    made = {path.name: int(pixels(path)[0, 0, 0]) for path in out.iterdir()}
    assert sorted(made.values()) == [10, 60, 110, 160]
    assert made["a-tif.tif"] == 60
    assert made["b.png"] == 160
    assert all(f"{tmp_path / name} → " in line for name, line in zip(shades, lines[:-1], strict=True))


def test_one_bad_photo_does_not_stop_the_others(run, tmp_path):
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    for name in ("a.png", "c.png"):
        Image.fromarray(tiny.picture(8, 8)).save(photos / name)
    (photos / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n and then nothing")
    status, lines, err = run("denoise", photos, "-o", out)
    assert status == 1
    assert len(lines) == 2
    assert "b.png is a damaged or cut-off PNG" in err[0]
    assert err[-1].startswith(f"deconvdemo: 2 done, 0 skipped, 1 failed ({photos}/b.png is a damaged or cut-off")
    assert sorted(path.name for path in out.iterdir()) == ["a.png", "c.png"]


def test_a_folder_is_not_restored_onto_itself(run, photo):
    before = photo.read_bytes()
    status, _, err = run("denoise", photo.parent, "-o", photo.parent)
    assert status == 2
    assert "is the folder of the photos themselves: name another -o" in err[0]
    assert photo.read_bytes() == before


def test_results_of_an_earlier_run_are_not_restored_again(run, photo):
    inside, above = photo.parent / "deeper" / "out", photo.parent
    photos = photo.parent / "deeper"
    photos.mkdir()
    photo.rename(photos / "a.png")
    for again in ([], ["--overwrite"]):
        status, lines, _ = run("denoise", photos, "-o", inside, *again)
        assert (status, len(lines)) == (0, 2)
    assert lines[-1] == "1 done, 1 skipped (1 the folder of the results: out), 0 failed"
    status, lines, _ = run("denoise", photos, "-o", above)  # here the folder of the photos lies inside OUT
    assert (status, len(lines)) == (0, 3)
    assert (above / "a.png").exists()


def test_one_mask_goes_with_one_photo(run, tmp_path):
    for name in ("a.png", "b.png"):
        Image.fromarray(tiny.picture(8, 8)).save(tmp_path / name)
    status, _, err = run("inpaint", tmp_path, "--mask", tmp_path / "a.png", "-o", tmp_path / "out")
    assert status == 2
    assert "one mask goes with one photo" in err[0]


# ---- training, weights, feedback ---------------------------------------------------------------------------


def test_a_network_is_trained_resumed_measured_and_used(run, tmp_path, photo, monkeypatch):
    photos, dev, out = tmp_path / "photos", tmp_path / "dev", tmp_path / "made.safetensors"
    photos.mkdir()
    dev.mkdir()
    Image.fromarray(tiny.picture(64, 64)).save(photos / "a.png")
    Image.fromarray(tiny.picture(32, 32)).save(dev / "a.png")
    train = ["train", "upscale", "--scale", 2, "--images", photos, "--out", out, "--batch", 1, "--patch", 8]
    train += ["--data", "synthetic: CC0", "--precision", "fp32"]
    status, _, err = run(*train, "--steps", 2, "--dev", dev)
    assert status == 0
    assert "4 images" in " ".join(err)  # the one, and three smaller copies
    assert run(*train, "--steps", 3, "--resume", out.with_suffix(".state.safetensors"))[0] == 0
    header = json.loads(out.read_bytes()[8 : 8 + int.from_bytes(out.read_bytes()[:8], "little")])["__metadata__"]
    assert json.loads(header["deconvdemo.recipe"])["steps"] == 3
    assert json.loads(header["deconvdemo.data"]) == ["synthetic: CC0"]
    log = [json.loads(line) for line in out.with_suffix(".log.jsonl").read_text().splitlines()]
    assert "dev ×2 PSNR" in log[0]
    large = photo.with_name("large.png")
    assert run("upscale", photo, "-o", large, "--weights", out, weights=False)[0] == 0
    assert Image.open(large).size == (60, 48)


def test_a_variant_is_trained_by_its_recipe_and_restores_what_it_is_made_for(run, photo, tmp_path):
    (tmp_path / "photos").mkdir()
    Image.fromarray(tiny.picture(96, 96)).save(tmp_path / "photos" / "a.png")
    out = tmp_path / "mine.safetensors"
    train = ["train", "upscale", "--variant", "photo", "--images", tmp_path / "photos", "--out", out, "--steps", 1]
    assert run(*train, "--batch", 1, "--patch", 8, "--precision", "fp32")[0] == 0
    header = load_checkpoint(out).header
    assert (header.name, header.task, header.scale, header.variant) == ("upscale-x2-photo", "upscale", 2, "photo")
    status, said, _ = run("upscale", photo, "-o", tmp_path / "large.png", "--weights", out, weights=False)
    assert status == 0
    assert "variant photo" in said[0]


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["--images", "missing", "--out", "x.safetensors"], 1, "missing is not a folder"),
        (["--images", "empty", "--out", "x.safetensors"], 1, "no images in empty"),
        (["--images", "photos", "--out", "x.pt"], 2, "weights are .safetensors files"),
        (["--images", "photos", "--out", "x.safetensors", "--variant", "old"], 2, "no recipe for denoise-old: choose"),
        (["--images", "photos", "--out", "x.safetensors"], 1, "smaller than the 96×96 patches"),
    ],
)
def test_training_that_cannot_start_says_so(run, tmp_path, monkeypatch, words, status, says):
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("photos").mkdir()
    Image.fromarray(tiny.picture(20, 20)).save("photos/a.png")
    got, _, err = run("train", "denoise", *words)
    assert got == status
    assert says in err[-1]
    assert not Path("x.safetensors").exists()


def test_the_weights_are_listed(run, tiny_weights, tmp_path):
    status, out, _ = run("weights", "list", "--weights", tiny_weights, "--json")
    rows = {row["name"]: row for row in json.loads("\n".join(out))}
    assert status == 0
    tiny_files = {path.stem for path in tiny_weights.glob("*.safetensors")}
    assert tiny_files <= rows.keys()
    assert all(len(rows[name]["sha256"]) == 64 for name in tiny_files)
    assert [rows[name]["variant"] for name in ("denoise", "denoise-photo", "upscale-x4-fast")] == ["", "photo", "fast"]
    status, out, _ = run("weights", "list", "--weights", tiny_weights)
    assert any(line.startswith("denoise: ") for line in out)
    assert any(line.startswith("denoise-photo (--variant photo): ") for line in out)


def test_the_feedback_of_a_new_folder_is_empty(run, tmp_path):
    status, out, err = run("feedback", "stats")
    assert (status, err) == (0, [])
    assert out
    status, out, _ = run("feedback", "stats", "--json")
    assert status == 0
    assert 0 in json.loads("\n".join(out)).values()
    status, _, err = run("feedback", "export", tmp_path / "dataset")
    assert (status, len(err)) == (1, 1)
    assert "nothing to export" in err[0]


def test_weights_show_prints_the_header(run, tiny_weights):
    status, out, _ = run("weights", "show", "upscale-x3", "--weights", tiny_weights)
    shown = json.loads("\n".join(out))
    assert status == 0
    assert (shown["name"], shown["network"], shown["scale"]) == ("upscale-x3", "DeconvSR", 3)
    assert shown["variant"] == ""
    shown = json.loads("\n".join(run("weights", "show", "denoise-photo", "--weights", tiny_weights)[1]))
    assert (shown["name"], shown["task"], shown["variant"]) == ("denoise-photo", "denoise", "photo")
    assert run("weights", "show", "colourise", "--weights", tiny_weights)[0] == 1
    assert json.loads("\n".join(run("weights", "show", tiny_weights / "inpaint.safetensors")[1]))["name"] == "inpaint"
    assert run("weights", "show", tiny_weights / "nothing.safetensors")[0] == 1


def test_flags_are_counted_and_exported_and_a_damaged_one_is_named(run, tmp_path, monkeypatch):
    monkeypatch.setenv("DECONVDEMO_DATA_DIR", str(tmp_path / "data"))
    store = FeedbackStore(tmp_path / "data")
    for number in range(3):
        store.add(flag_of(number))
    assert run("feedback", "stats")[1][0] == "total: 3"
    status, out, err = run("feedback", "export", tmp_path / "whole")
    assert (status, err) == (0, [])
    assert "3 flags" in out[0]
    blob = next(file for file in (tmp_path / "data" / "feedback" / "blobs").rglob("*.png"))
    blob.write_bytes(b"spoilt")
    status, out, err = run("feedback", "export", tmp_path / "rest")
    assert status == 1
    assert "2 flags" in out[0]
    assert err[-1].startswith("deconvdemo: left out: flag ")
