"""A task is one file and one line in TASKS: a new one is found wherever tasks are, and works there."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tiny
from demo_app import png
from feedback_flags import flag_of
from PIL import Image

from deconvdemo.checkpoints.checkpoint import Header, load_checkpoint, save_checkpoint
from deconvdemo.checkpoints.index import INDEX, read_index
from deconvdemo.checkpoints.serving import Weights
from deconvdemo.cli import main
from deconvdemo.engine.device import Compute
from deconvdemo.engine.restorer import Restorer
from deconvdemo.errors import CheckpointError, FeedbackError
from deconvdemo.evaluation import stress, variety
from deconvdemo.evaluation.acceptance import judge
from deconvdemo.evaluation.contenders import DuelSampler, words_of
from deconvdemo.feedback.events.opinions import Verdict
from deconvdemo.feedback.events.records import PAIRS, TARGET
from deconvdemo.feedback.review import pairs
from deconvdemo.feedback.review.pairs import snapshot
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.image.drawn import drawn_pictures
from deconvdemo.release.card import model_card
from deconvdemo.release.metadata import CardEntry
from deconvdemo.release.pictures import caption, picture
from deconvdemo.settings import Settings
from deconvdemo.tasks import STANDARD, TASKS, Task, Variant
from deconvdemo.tasks.common_controls import STRENGTH, variants
from deconvdemo.tasks.declared import Baseline, Degraded
from deconvdemo.web.demo import build

CPU = Compute("cpu", "fp32", "a test")


class Invert(Task):
    name = "invert"
    verb = "Invert"
    title = "Negatives"
    promise = "Makes a photo of a negative."
    controls = (STRENGTH, variants(standard=Variant("Any film", "Negatives of any film.")))
    baselines = (Baseline("difference", lambda observed: 255 - observed, "White minus the negative"),)

    def degraded(self, clean, setting, seed, mask=None):
        return Degraded(clean, 255 - clean, "negative", "inverted")


@pytest.fixture(autouse=True)
def _is_a_task(monkeypatch):
    monkeypatch.setitem(TASKS, "invert", Invert())


@pytest.fixture
def weights(tmp_path):
    folder = tmp_path / "weights"
    folder.mkdir()
    assert tiny.weights_file(folder, TASKS["invert"], {"variant": STANDARD}) == "invert"
    return folder


@pytest.fixture
def restorer(weights):
    return Restorer(Weights(weights), CPU)


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(2):
        Image.fromarray(np.roll(tiny.picture(40, 48), 9 * number, axis=1)).save(folder / f"{number}.png")
    return folder


def test_the_page_has_its_tab_and_http_its_endpoint(restorer, tmp_path):
    blocks = build(Settings(data_dir=tmp_path / "data"), restorer).blocks
    labels = [part["props"].get("label") for part in blocks.get_config_file()["components"]]
    assert "Negatives" in labels
    endpoint = blocks.get_api_info()["named_endpoints"]["/invert"]
    assert [one["parameter_name"] for one in endpoint["parameters"]] == ["photo", "strength", "variant"]


def test_the_command_line_has_its_verb(weights, images, tmp_path, capsys):
    out = tmp_path / "photo.png"
    assert main(["invert", str(images / "0.png"), "-o", str(out), "--weights", str(weights), "--device", "cpu"]) == 0
    assert Image.open(out).size == (48, 40)
    assert main(["--help"]) == 0
    assert "Makes a photo of a negative." in " ".join(capsys.readouterr().out.split())


def test_it_is_evaluated_beside_its_baselines(weights, images, capsys):
    command = ["evaluate", "invert", "--images", str(images), "--weights", str(weights), "--device", "cpu", "--json"]
    assert main(command) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["method"], row["setting"], row["images"]) for row in rows] == [
        ("network", "negative", 2),
        ("difference", "negative", 2),
    ]
    assert rows[1]["measured"]["PSNR"] is None  # infinite


def test_real_pairs_of_it_are_taken_as_they_are(weights, tmp_path, capsys):
    clean = tiny.picture(40, 40)
    for ending, pixels in (("clean", clean), ("degraded", clean // 2)):
        Image.fromarray(pixels).save(tmp_path / f"lamp_{ending}.png")
    command = ["evaluate", "invert", "--images", str(tmp_path), "--method", "classical:difference", "--json"]
    assert main([*command, "--weights", str(weights)]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["setting"], row["images"]) == ("real pairs", 1)
    assert row["measured"]["PSNR"] < 20


def test_its_networks_and_baselines_meet_in_duels(restorer, sqlite_store):
    ring, rng = DuelSampler(restorer, sqlite_store), np.random.default_rng(0)
    assert ring.tasks() == ["invert"]
    subject = ring.subject("invert", rng)
    assert subject.told == "It was inverted"
    assert np.array_equal(subject.observed, 255 - subject.clean)
    made = [make(subject) for make in ring.contenders(subject)]
    assert len(made) == 3
    assert words_of(made[-1][1]) == "White minus the negative"
    assert np.array_equal(made[-1][0], subject.clean)


def test_a_model_card_shows_it_and_tells_how_to_use_it(weights):
    entry = read_index(weights / INDEX)["invert"]
    checkpoint = load_checkpoint(weights / entry.file)
    assert caption(checkpoint.header) == "inverted; restored; the original (photo: NASA, public domain)"
    assert picture(checkpoint)[:4] == b"RIFF"
    card = model_card("lab/nets", [CardEntry(entry, checkpoint.header, 1)], [])
    assert "deconvdemo invert photo.jpg -o restored.png --weights hf://lab/nets" in card
    assert 'restorer.restore("invert", "photo.jpg")' in card


def test_its_flags_are_exported_imported_and_learned_from(sqlite_store, tmp_path, monkeypatch):
    monkeypatch.setattr(pairs, "is_held_out", lambda family: False)
    photo = tiny.picture(32, 32)
    for number, clean in enumerate([png(255 - photo), None]):
        flag = flag_of(number, task="invert", observed=png(photo), restored=png(photo), clean=clean, consent=True)
        flag_id = sqlite_store.add(flag).flag_id
        sqlite_store.add(Verdict(flag_id=flag_id, reviewer="ada", decision="accept"))
    found = snapshot(sqlite_store, "invert")
    assert [pair.kind for pair in found.pairs] == [TARGET]
    assert np.array_equal(found.pairs[0].target, 255 - photo)
    assert "invert learns from targets alone" in found.skipped[0]

    monkeypatch.setenv("DECONVDEMO_DATA_DIR", str(sqlite_store.folder.parent))
    assert main(["feedback", "export", str(tmp_path / "export"), "--task", "invert"]) == 0
    monkeypatch.setenv("DECONVDEMO_DATA_DIR", str(tmp_path / "elsewhere"))
    assert main(["feedback", "import", str(tmp_path / "export"), "--task", "invert"]) == 0
    imported = FeedbackStore.of(Settings(data_dir=tmp_path / "elsewhere"))
    assert [flag.task for flag in imported.flags()] == ["invert", "invert"]
    imported.close()
    with pytest.raises(FeedbackError):
        snapshot(sqlite_store, "denoise")


def test_the_gate_measures_it_by_its_own_protocol(weights, images, monkeypatch):
    monkeypatch.setattr(variety, "FEWEST_IMAGES", 1)
    monkeypatch.setattr(variety, "SMALLEST", 1)
    monkeypatch.setattr(stress, "drawn_pictures", lambda seed: drawn_pictures(seed, [(32, 32)]))
    served = load_checkpoint(weights / "invert.safetensors")
    candidate = load_checkpoint(tiny.shaken(served, weights.parent / "candidate.safetensors", 0.2))
    report = judge(served, candidate, [images], [], CPU)
    assert [(one.images, one.setting) for one in report.comparisons] == [
        ("images", "negative"),
        ("drawn pictures", "negative"),
    ]


def test_what_a_task_names_of_others_is_there():
    for task in TASKS.values():
        assert not task.own_pair or task.own_pair in PAIRS
        assert {*task.protocols} <= {*task.variant.options}
        assert {*task.duelled} <= {*task.axes()}
        assert {*task.watched} <= {*task.sets}
        assert task.expert in ("", *task.variant.options)
        assert {*task.blind} <= {*task.variant.options}
        task.checked({**task.usual, **task.altered})


# ---- weights for what is not here


def test_weights_of_a_task_that_is_not_here_are_refused_by_name(weights, monkeypatch):
    checkpoint = load_checkpoint(weights / "invert.safetensors")
    alone = Restorer(Weights(spec=str(weights / "invert.safetensors")), CPU)
    monkeypatch.delitem(TASKS, "invert")
    with pytest.raises(CheckpointError, match="for invert, but the tasks here are denoise, upscale, inpaint"):
        alone.restore("denoise", tiny.picture(16, 16))
    with pytest.raises(CheckpointError, match=r"for task 'invert', but the tasks here are"):
        alone.swap({"invert": checkpoint})


@pytest.mark.parametrize(("task", "side", "shown"), [("denoise", 0, 1), ("inpaint", 0, 1), ("invert", 1, 0)])
def test_a_network_that_does_not_take_what_its_task_shows_is_not_served(tmp_path, task, side, shown):
    config = {**tiny.SIZES["DeconvUNet"], "side_channels": side}
    file = tmp_path / "it.safetensors"
    save_checkpoint(file, Header("DeconvUNet", config, task), tiny.network("DeconvUNet", **config).state_dict())
    with pytest.raises(CheckpointError, match=f"takes {side} side channels, where {task} shows it {shown}"):
        Restorer.of(load_checkpoint(file), CPU).restore(
            task, tiny.picture(16, 16), np.eye(16) > 0 if task == "inpaint" else None
        )
