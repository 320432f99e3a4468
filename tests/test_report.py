"""`evaluate --all`: costs and figures of everything there is, and headers that say the same."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch
from PIL import Image
from safetensors.torch import load_file

from deconvdemo.checkpoints.checkpoint import load_checkpoint
from deconvdemo.checkpoints.index import INDEX, add_to_index, read_index, write_index
from deconvdemo.checkpoints.serving import Weights
from deconvdemo.cli import main
from deconvdemo.engine import device, fastest
from deconvdemo.engine.device import Compute
from deconvdemo.errors import TrainingError
from deconvdemo.evaluation.evaluate import printed
from deconvdemo.evaluation.measure import measured
from deconvdemo.evaluation.protocols import sets_in
from deconvdemo.evaluation.report import ReportPlan, compare_headers, report
from deconvdemo.evaluation.tables import tables
from deconvdemo.tasks.declared import Baseline
from deconvdemo.tasks.denoise import Denoise
from deconvdemo.training.data.corpus import Corpus
from deconvdemo.training.recipes import RECIPES
from deconvdemo.training.run.fit import fit
from deconvdemo.training.run.plan import Budget, Run
from deconvdemo.training.run.writer import Output


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """The development sets, of two small pictures each; polyu is missing."""
    root = tmp_path_factory.mktemp("sets")
    for name in ("CBSD68", "set5", "inpaint"):
        (root / name).mkdir()
        for number in range(2):
            picture = Image.fromarray(np.roll(tiny.picture(48, 60), 10 * number, axis=1))
            picture.save(root / name / f"{number}.png")
    mask = np.zeros((48, 60), np.uint8)
    mask[10:20, 15:30] = 255
    for number in range(2):
        Image.fromarray(mask).save(root / "inpaint" / f"{number}_mask.png")
    (root / "my holidays").mkdir()
    return root


@pytest.fixture
def weights(tmp_path, tiny_weights):
    """Copies of the tiny weights, to write into."""
    return shutil.copytree(tiny_weights, tmp_path / "weights")


@pytest.fixture
def few(tmp_path, tiny_weights, monkeypatch):
    """All the weights there are: one of each task's, and one that has its figures on photos, too."""
    monkeypatch.setattr("deconvdemo.checkpoints.serving.bundled_folder", lambda: tmp_path / "few")
    names = ("denoise", "denoise-photo", "inpaint", "upscale-x2")
    entries = {name: entry for name, entry in read_index(tiny_weights / INDEX).items() if name in names}
    assert len(entries) == len(names)
    (tmp_path / "few").mkdir()
    for entry in entries.values():
        shutil.copy(tiny_weights / entry.file, tmp_path / "few")
    write_index(tmp_path / "few", entries)
    return tmp_path / "few"


def all_of(capsys, *options):
    """The report as JSON, and the lines of stderr."""
    assert main(["evaluate", "--all", "--json", *map(str, options)]) == 0
    out, err = capsys.readouterr()
    return json.loads(out, parse_constant=lambda word: pytest.fail(f"{word} is not JSON")), err.splitlines()


def test_every_network_and_method_is_measured_on_its_sets(sets, weights, capsys):
    found, said = all_of(capsys, "--images", sets, "--weights", weights, "--no-timings", "--sigma", "25")
    assert f"deconvdemo: {sets} has no images in polyu: left out" in said
    names = [network["name"] for network in found["networks"]]
    assert names == sorted(read_index(weights / "index.json"))
    settings = {
        name: [(row["set"], row["setting"]) for row in network["scores"]]
        for name, network in zip(names, found["networks"], strict=True)
    }
    assert settings["denoise"] == [("CBSD68", "sigma 25")]
    assert settings["upscale-x3"] == [("set5", "×3")]
    assert settings["inpaint"] == [("inpaint", "holes")]
    for network in found["networks"]:
        file = weights / f"{network['name']}.safetensors"
        checkpoint = load_checkpoint(file)
        assert network["sha256"] == checkpoint.sha256
        assert network["bytes"] == file.stat().st_size
        assert network["parameters"] == sum(tensor.numel() for tensor in load_file(file).values())
        assert network["multiply_adds_per_megapixel"] > 0
        assert network["milliseconds_per_megapixel"] is None
        assert all(row["images"] == 2 and "seconds_per_megapixel" not in row for row in network["scores"])
    # where there is a photo network, the others stand beside it
    beside = {
        name: [row["setting"] for row in network["photo_scores"]]
        for name, network in zip(names, found["networks"], strict=True)
        if "photo_scores" in network
    }
    assert beside.keys() == {name for name in names if not {"photo", "inpaint", "scratches"} & {*name.split("-")}}
    assert beside["denoise-fast"] == [setting for _, setting in settings["denoise-photo"]]
    assert (
        beside["upscale-x2"] == [setting for _, setting in settings["upscale-x2-photo"]] == ["×2 jpeg 75", "×2 jpeg 40"]
    )
    methods = {(method["task"], method["name"]) for method in found["classical"]}
    assert {("denoise", "nlm"), ("upscale", "bicubic"), ("inpaint", "biharmonic")} <= methods


def test_the_figures_are_those_of_one_task_alone(sets, weights, capsys):
    found, _ = all_of(capsys, "--images", sets, "--weights", weights, "--no-timings", "--scale", "2,4")
    command = ["evaluate", "upscale", "--images", str(sets / "set5"), "--weights", str(weights), "--json"]
    assert main([*command, "--scale", "2,4"]) == 0
    alone = {(row["method"], row["setting"]): row["measured"] for row in json.loads(capsys.readouterr().out)}
    together = {
        (name, row["setting"]): row["measured"]
        for name, method in [
            *(("network", network) for network in found["networks"] if not network["variant"]),
            *((method["name"], method) for method in found["classical"]),
        ]
        for row in method["scores"]
        if row["set"] == "set5"
    }
    assert together == alone


def test_costs_need_no_images_and_one_method_can_be_chosen(sets, weights, capsys, monkeypatch):
    from deconvdemo.evaluation import cost

    monkeypatch.setattr(cost, "result_size", lambda scale: (48, 48))
    found, _ = all_of(capsys, "--weights", weights)
    assert found["classical"] == []
    assert found["runs"] == 5
    for network in found["networks"]:
        assert set(network["milliseconds_per_megapixel"]) == {"fp32", "bf16"}
        assert network["timed_at"] == "48×48"
        assert network["scores"] == []
    found, _ = all_of(capsys, "--images", sets, "--weights", weights, "--no-timings", "--method", "classical:telea")
    assert [method["name"] for method in found["classical"]] == ["telea"]
    assert not any(network["scores"] for network in found["networks"])


def test_the_table_says_what_the_json_says(sets, few, capsys):
    options = ["--images", sets, "--weights", few, "--no-timings", "--sigma", "25", "--scale", "2"]
    found, _ = all_of(capsys, *options)
    assert main(["evaluate", "--all", *map(str, options)]) == 0
    table = capsys.readouterr().out
    for method in found["networks"] + found["classical"]:
        for row in method["scores"] + method.get("photo_scores", []):
            # where the settings of one table are measured in other ways, each figure has its name
            named = "" if "PSNR" in row["measured"] else "{what} "
            told = [named.format(what=what) + printed(what, value) for what, value in row["measured"].items()]
            assert " / ".join(told[:2]) in table
    for network in found["networks"]:
        assert f"| {network['name']} ({network['network']})" in table


def test_what_borrows_anothers_network_stands_beside_the_classical_methods(tmp_path, tiny_weights, capsys):
    images = tmp_path / "sets" / "set3c"
    images.mkdir(parents=True)
    Image.fromarray(tiny.picture(48, 40)).save(images / "leaves.png")
    given = ["--weights", str(tiny_weights), "--kernel", "gaussian:1.6", "--noise", "7.65"]
    given += ["--method", "network", "--method", "classical:wiener"]
    found, said = all_of(capsys, "--images", images.parent, "--no-timings", *given)
    rows = {(row["name"], row["variant"]): row["scores"] for row in found["borrowed"]}
    assert rows.keys() == {("denoise", ""), ("denoise-fast", "fast")}
    assert "deconvdemo: deblur by denoise-fast: set3c" in said
    for (_, variant), scores in rows.items():
        command = ["evaluate", "deblur", "--images", str(images), *given, "--variant", variant or "standard", "--json"]
        assert main(command) == 0
        alone = {row["method"]: row["measured"] for row in json.loads(capsys.readouterr().out)}
        assert [(row["set"], row["setting"], row["images"]) for row in scores] == [("set3c", "gaussian:1.6, 7.65", 1)]
        assert scores[0]["measured"] == alone["network"]
        assert found["classical"][0]["scores"][0]["measured"] == alone["wiener"]
    lines = [line.split("|")[1].strip() for line in tables(found).splitlines() if line.startswith("|")]
    assert lines[-3:] == ["network", "network, fast", "wiener"]


# ---- a header says what evaluate prints -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "variant", "serves"),
    [("denoise", "", "bf16"), ("denoise", "photo", "fp32"), ("inpaint", "", "fp32"), ("upscale-x3", "fast", "bf16")],
)
def test_the_header_of_a_trained_file_is_what_evaluate_prints(
    name, variant, serves, sets, tmp_path, capsys, monkeypatch
):
    """Trained in the precision that does not serve: equal to the last digit that is printed."""
    monkeypatch.setattr(fastest, "fastest", lambda device, folder: Compute(device, serves, "a test"))
    trains = Compute("cpu", "fp32" if serves == "bf16" else "bf16", "a test")
    recipe = RECIPES[name]
    recipe = replace(
        recipe, variant=variant, config={**recipe.config, **tiny.SIZES[recipe.network]}, patch=16, batch=2, rate=0.02
    )
    images = sets / {"denoise": "CBSD68", "upscale": "set5", "inpaint": "inpaint"}[recipe.task]
    corpus = Corpus.open([images], tmp_path / "corpus", say=lambda text: None)
    out = tmp_path / "made.safetensors"
    measure = lambda network: measured(network, recipe, images, trains)
    quiet = lambda text: None
    fit(Run(recipe, corpus, Budget(steps=4), bf16=serves == "fp32"), Output(out, measure=measure), quiet)
    add_to_index(out)
    header = load_checkpoint(out).header
    assert header.variant == variant
    command = ["evaluate", recipe.task, "--images", str(images), "--weights", str(out), "--method", "network"]
    command += ["--scale", str(recipe.scale)] if recipe.task == "upscale" else []
    command += ["--photo"] if variant == "photo" else []
    assert main([*command, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert main(command) == 0
    table = capsys.readouterr().out
    evaluated = {
        f"{images.name} {row['setting']} {what}": value for row in rows for what, value in row["measured"].items()
    }
    assert header.measured == evaluated
    for name, value in header.measured.items():
        assert f"{value:.4f}" in table if "SSIM" in name else f"{value:.2f}" in table
    everything = report(
        Weights(tmp_path), device.choose("cpu"), ReportPlan(sets, methods=["network"], timings=False), quiet
    )
    assert [row["measured"] for row in everything["networks"][0]["scores"]] == [row["measured"] for row in rows]
    compare_headers(Weights(tmp_path), everything, False, pytest.fail)


def test_headers_that_say_something_else_are_named_and_written(sets, few, capsys):
    options = ["--images", sets, "--weights", few, "--no-timings", "--method", "network"]
    before = {file.name: load_file(file) for file in few.glob("*.safetensors")}
    _, said = all_of(capsys, *options)
    assert any("denoise: CBSD68 sigma 15 PSNR unknown → " in line and "--update-headers" in line for line in said)
    found, _ = all_of(capsys, *options, "--update-headers")
    for network in found["networks"]:
        checkpoint = load_checkpoint(few / f"{network['name']}.safetensors")
        assert checkpoint.header.measured
        assert network["sha256"] == checkpoint.sha256 == read_index(few / "index.json")[network["name"]].sha256
    for name, tensors in before.items():
        after = load_file(few / name)
        assert all(torch.equal(tensors[key], after[key]) for key in tensors)
    _, said = all_of(capsys, *options)
    assert not any("→" in line for line in said)


# ---- what cannot be done ----------------------------------------------------------------------------------


def test_sets_are_known_by_their_folders_names(tmp_path):
    for name in ("Set14", "Urban100", "McMaster", "set5", "holidays"):
        (tmp_path / name).mkdir()
        if name != "set5":
            Image.fromarray(tiny.picture(16, 16)).save(tmp_path / name / "a.png")
    said = []
    found = sets_in(tmp_path, said.append)
    names = {task: [path.name for path in paths] for task, paths in found.items()}
    assert names == {"denoise": ["McMaster", "Urban100"], "upscale": ["Set14", "Urban100"]}
    assert said == [f"{tmp_path} has no images in cbsd68, polyu, set5, inpaint: left out"]


def test_a_folder_without_any_known_set_is_refused(tmp_path):
    with pytest.raises(TrainingError, match="has none of the folders cbsd68, kodak24"):
        sets_in(tmp_path, pytest.fail)
    with pytest.raises(TrainingError, match="is not a folder"):
        sets_in(tmp_path / "missing", pytest.fail)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--update-headers", "--precision", "fp32"], "goes without --precision or --device"),
        (["--method", "median"], "method 'median' is not known"),
        (["--sigma", "15,many"], "--sigma is '15,many'"),
        (["denoise"], "name one task"),
    ],
)
def test_wrong_calls_end_in_one_sentence(options, says, capsys):
    assert main(["evaluate", "--all", *options]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


def test_a_method_whose_package_is_missing_is_said_and_left_out(sets, weights, capsys, monkeypatch):
    from deconvdemo.errors import ControlError

    def missing(*observed):
        raise ControlError("wavelet needs PyWavelets: `pip install PyWavelets` to have it")

    monkeypatch.setattr(Denoise, "baselines", (Baseline("wavelet", missing),))
    options = ["--images", sets, "--weights", weights, "--no-timings", "--method", "classical:wavelet"]
    found, said = all_of(capsys, *options)
    assert found["classical"] == []
    assert any("wavelet needs PyWavelets" in line and line.endswith("left out") for line in said)
