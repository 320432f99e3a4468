"""Photos as people's are: each goes through the same everywhere, and what became of the worst one is told."""

import io
import json

import numpy as np
import pytest
import tiny
from PIL import Image

from deconvdemo.cli import main
from deconvdemo.errors import ControlError, TrainingError
from deconvdemo.evaluation.evaluate import classical_method, evaluate
from deconvdemo.evaluation.protocols import WILD, cases, each_case, other_task
from deconvdemo.evaluation.wild import FIRST_CLICK, Tally, WildPlan, sets_for, wild
from deconvdemo.evaluation.wild_tables import first_click, wild_tables
from deconvdemo.image.metrics import psnr
from deconvdemo.tasks import TASKS
from deconvdemo.tasks.wild import SEVERITIES, Drawn, seed_of

MILD = {"severity": ("mild",), "scale": (2,)}
quiet = lambda text: None


def picture(number: int) -> np.ndarray:
    return np.roll(tiny.picture(48, 62), 10 * number, axis=1)


@pytest.fixture
def folder(tmp_path):
    clean = tmp_path / "clean"
    clean.mkdir()
    for number in (0, 1):
        Image.fromarray(picture(number)).save(clean / f"image{number}.png")
    return clean


@pytest.fixture
def pairs(tmp_path):
    """As other programs make them: a clean one, a noisy one, and two that are smaller and lost an odd edge."""
    clean = tmp_path / "wild"
    clean.mkdir()
    photo = Image.fromarray(picture(0)).crop((0, 0, 61, 47))
    photo.save(clean / "lamp_clean.png")
    photo.save(clean / "lamp_noisy.jpg", quality=40)
    for scale in (2, 4):
        photo.resize((61 // scale, 47 // scale)).save(clean / f"lamp_lr_x{scale}.jpg", quality=60)
    return clean


# ---- what a photo goes through


@pytest.mark.parametrize("task", ["denoise", "upscale"])
def test_what_a_photo_goes_through_is_its_own(folder, tmp_path, task):
    """Not its name's, its place's, its file's, or that of what is measured beside it."""
    first, second = each_case(task, folder, MILD, WILD)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    Image.fromarray(picture(2)).save(elsewhere / "a.png")
    Image.fromarray(picture(1)).save(elsewhere / "z.webp", lossless=True)
    _, same = each_case(task, elsewhere, MILD, WILD)
    assert same.file == second.file != first.file
    assert same.image == "z"
    among = each_case(task, elsewhere, {"scale": (2,)}, WILD)
    assert second.file in [case.file for case in among if case.image == "z"]


def test_luck_is_the_same_on_every_machine():
    drawn = Drawn(7)
    assert drawn.between("iso", 10, 20) == pytest.approx(15.731284754355386, rel=1e-12)
    assert [drawn.one_of(name, "abcd") for name in ("twice", "there", "back", "radius")] == list("abcc")
    assert seed_of(np.arange(12, dtype=np.uint8).reshape(2, 2, 3)) == 6835738901255388101
    assert seed_of(np.zeros((2, 3, 3), np.uint8)) != seed_of(np.zeros((3, 2, 3), np.uint8))


@pytest.mark.parametrize("task", ["denoise", "upscale"])
def test_a_severer_treatment_harms_more(folder, task):
    found = cases(task, folder, {"scale": (2,)}, WILD)
    nothing = classical_method(task, TASKS[task].baselines[0].name)
    figures = [score.measured["PSNR"] for score in evaluate("nothing", nothing, found)]
    assert len(figures) == len(SEVERITIES)
    assert figures == sorted(figures, reverse=True)
    assert figures[0] - figures[-1] > 1
    assert 15 < figures[-1] < figures[0] < 45


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_it_is_a_jpeg_as_a_person_brings_it(folder, scale):
    task = "denoise" if scale == 1 else "upscale"
    for case in each_case(task, folder, {"scale": (scale,)}, WILD):
        with Image.open(io.BytesIO(case.brought)) as file:
            assert file.format == "JPEG"
            assert file.size == (62 // scale, 48 // scale)
            assert np.array_equal(np.asarray(file), case.observed)
        assert case.controls == ({} if scale == 1 else {"scale": scale})  # nobody knows a photo's sigma


# ---- ready pairs


def test_ready_pairs_are_taken_as_they_are(pairs):
    clean = np.asarray(Image.open(pairs / "lamp_clean.png"))
    [noisy] = cases("denoise", pairs, variant=WILD)
    assert noisy.brought == pairs / "lamp_noisy.jpg"
    assert noisy.score(noisy.observed)["PSNR"] == psnr(noisy.observed, clean)
    twice, four_times = cases("upscale", pairs, variant=WILD)
    assert [(case.image, case.setting, dict(case.controls)) for case in (twice, four_times)] == [
        ("lamp", "×2 pairs", {"scale": 2}),
        ("lamp", "×4 pairs", {"scale": 4}),
    ]
    large = classical_method("upscale", "bicubic")(twice)
    assert large.shape == (46, 60, 3)
    assert twice.score(large)["PSNR"] == psnr(large, clean[:46, :60], border=2, on_luma=True)
    assert [case.setting for case in cases("upscale", pairs, {"scale": (4,)})] == ["×4 pairs"]
    with pytest.raises(TrainingError, match="has pairs of other scales alone: its files end in _lr_x2 or _lr_x4"):
        cases("upscale", pairs, {"scale": (3,)})


def test_a_pair_that_does_not_fit_is_named(pairs):
    Image.fromarray(picture(0)).resize((20, 23)).save(pairs / "lamp_lr_x2.jpg")
    with pytest.raises(TrainingError, match=r"lamp_clean\.png is 61×47, but lamp_lr_x2\.jpg is 20×23.*expected 40×46"):
        cases("upscale", pairs)
    (pairs / "lamp_clean.png").unlink()
    with pytest.raises(TrainingError, match=r"lamp_lr_x2\.jpg has no lamp_clean beside it"):
        cases("upscale", pairs)


def test_a_folder_is_another_tasks_only_if_it_has_nothing_for_this_one(pairs):
    assert other_task("denoise", pairs) == other_task("upscale", pairs) == ("", "")
    assert other_task("inpaint", pairs)[1] == "denoise"
    (pairs / "lamp_noisy.jpg").unlink()
    assert other_task("denoise", pairs) == ("_lr_x2", "upscale")
    assert sets_for("denoise", pairs, {}) == []


# ---- what is told of it


class Recorder:
    """A Restorer's stand-in that keeps what it was asked."""

    def __init__(self, restorer):
        self.restorer, self.asked = restorer, []

    def __getattr__(self, name):
        return getattr(self.restorer, name)

    def restore(self, task, photo, mask=None, **controls):
        self.asked.append((photo, controls))
        return self.restorer.restore(task, photo, mask, **controls)


@pytest.mark.parametrize("task", ["denoise", "upscale"])
def test_the_first_click_is_asked_as_the_page_asks(folder, restorer, task):
    recorder = Recorder(restorer)
    report = wild(recorder, WildPlan(folder, [task], MILD, ["network"], first=1), quiet)
    [case] = each_case(task, folder, MILD, WILD, first=1)
    given, controls = recorder.asked[0]
    assert given == case.file
    assert controls == case.controls
    figures = {row["method"]: row for row in report["rows"]}
    by_hand = restorer.restore(task, case.file, **case.controls)
    row = figures[FIRST_CLICK]
    assert row["measured"]["PSNR"] == pytest.approx(case.score(by_hand.photo.pixels)["PSNR"], abs=1e-4)
    assert row["weights"] == {by_hand.checkpoint["name"]: 1}
    # every network that serves the task has a row of its own
    offered = restorer.task(task)
    names = {offered.weights(one) for one in offered.served if one.get("scale", 2) == 2}
    rows = [row for name, row in figures.items() if name.startswith("network")]
    assert {name for row in rows for name in row["weights"]} == names & set(restorer.weights.names())
    assert next(iter(figures)) == TASKS[task].baselines[0].name


def test_the_worst_photo_stands_beside_the_mean():
    tally = Tally()
    for image, gained in {"lamp": 3.0, "cat": -2.0, "sky": 0.001, "sea": -0.001}.items():
        plain = {"PSNR": 30.0, "SSIM": 0.9}
        tally.add(image, {"PSNR": 30 + gained, "SSIM": 0.9 - gained / 100}, plain, "denoise")
    row = tally.row()
    assert row["measured"]["PSNR"] == 30.25
    assert row["gain"]["PSNR"] == 0.25
    assert row["worst"]["PSNR"] == {"image": "cat", "gain": -2.0}
    assert row["worst"]["SSIM"] == {"image": "lamp", "gain": -0.03}
    assert row["below"] == 0.25  # a thousandth of a dB is no loss
    assert row["weights"] == {"denoise": 4}


def test_a_table_has_the_mean_the_worst_and_the_share(folder, restorer):
    report = wild(restorer, WildPlan(folder, ["denoise"], {"severity": ("mild",)}), quiet)
    table = first_click(report)
    nothing, default = report["rows"][:2]
    [line] = [line for line in table.splitlines() if line.startswith("| denoise: clean wild, mild")]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[1:] == [
        "2",
        f"{nothing['measured']['PSNR']:.2f}",
        f"{default['measured']['PSNR']:.2f}",
        f"{default['gain']['PSNR']:+.2f}",
        f"{default['worst']['PSNR']['gain']:+.2f}",
        f"{100 * default['below']:.0f} %",
        "denoise 2",
    ]
    assert report["machine"]["processor"] in table
    text = wild_tables(report)
    assert text.index("first click") < text.index("network, photo") < text.index("nlm")


def test_the_command_measures_what_a_folder_has(folder, tiny_weights, tmp_path, capsys):
    quick = ["--severity", "mild", "--scale", "2", "--first", "1"]
    command = ["evaluate", "--wild", "--images", str(folder), *quick, "--weights", str(tiny_weights)]
    assert main([*command, "--json", "--method", "classical:lanczos"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [(row["task"], row["method"], row["images"]) for row in rows] == [
        ("denoise", "nothing", 1),
        ("upscale", "bicubic", 1),
        ("upscale", "lanczos", 1),
    ]


def test_folders_of_sets_are_taken_by_their_names(folder, pairs, restorer):
    (folder.parent / "other").mkdir()
    folder.rename(folder.with_name("cbsd68"))
    assert [path.name for path in sets_for("upscale", folder.parent, {})] == ["cbsd68", "wild"]
    # of the other one there are pairs of ×2 and ×4
    assert [path.name for path in sets_for("upscale", folder.parent, {"scale": (3,)})] == ["cbsd68"]
    with pytest.raises(TrainingError, match="has no images for denoise or upscale"):
        wild(restorer, WildPlan(folder.parent / "other"), quiet)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--severity", "awful"], "--severity is awful, but wild photos have severities mild, usual, harsh"),
        (["--scale", "5"], "--scale is 5, but wild photos have scales 2, 3, 4"),
        (["--method", "classical:telea"], "no classical method 'telea'"),
        (["--photo"], "--photo does not go with --wild"),
        (["--all"], "--all does not go with --wild"),
        (["--variant", "photo"], "--variant does not go with --wild"),
        (["--first", "0"], "--first is 0, but it must be 1 or more"),
    ],
)
def test_wrong_calls_end_in_one_sentence(folder, capsys, options, says):
    assert main(["evaluate", "--wild", "--images", str(folder), *options]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


def test_a_task_without_wild_photos_says_so(folder, capsys):
    assert main(["evaluate", "inpaint", "--wild", "--images", str(folder)]) == 2
    assert "there are no wild photos for 'inpaint': evaluate denoise or upscale" in capsys.readouterr().err
    with pytest.raises(ControlError, match="no wild photos"):
        WildPlan(folder, ["inpaint"]).checked()
    assert main(["evaluate", "denoise", "--first", "2", "--images", str(folder)]) == 2
    assert "--first goes with --wild" in capsys.readouterr().err
