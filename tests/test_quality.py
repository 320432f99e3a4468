"""docs/results.md shows docs/results.json and nothing else, and the pictures show who stands where."""

import itertools
import json
import re
from pathlib import Path

import pytest

from deconvdemo.networks import NETWORKS

DOCS = Path(__file__).parent.parent / "docs"
RESULTS, PUBLISHED, WILD = (
    json.loads((DOCS / name).read_text()) for name in ("results.json", "published.json", "wild.json")
)


@pytest.fixture
def plot_quality(monkeypatch):
    """docs/plot_quality.py, which is a script and no part of the package."""
    monkeypatch.syspath_prepend(DOCS)
    import plot_quality

    return plot_quality


def test_the_page_is_what_the_script_makes_of_the_results(plot_quality):
    shown = (DOCS / "results.md").read_text()
    assert shown == plot_quality.page(shown, RESULTS, PUBLISHED, WILD), "run `python docs/plot_quality.py`"


def test_another_result_is_another_page(plot_quality):
    shown = (DOCS / "results.md").read_text()
    changed = json.loads(json.dumps(RESULTS))
    changed["networks"][0]["scores"][0]["measured"] = {"PSNR": 12.345, "SSIM": 0.5}
    page = plot_quality.page(shown, changed, PUBLISHED, WILD)
    assert page != shown
    assert "12.35 / 0.5000" in page or "12.34 / 0.5000" in page


def test_the_first_table_is_what_the_first_click_gives(plot_quality):
    shown = (DOCS / "results.md").read_text()
    changed = json.loads(json.dumps(WILD))
    default = next(row for row in changed["rows"] if row["method"] == "first click")
    default["worst"]["PSNR"]["gain"] = -12.34
    page = plot_quality.page(shown, RESULTS, PUBLISHED, changed)
    first_table = page[page.index("\n| ") :].partition("\n\n")[0]
    assert "first click" in first_table.splitlines()[1]
    assert "-12.34" in first_table
    assert WILD["machine"]["processor"] in page[: page.index("\n| ")]


def test_results_are_of_networks_that_exist_and_pictures_are_there():
    assert RESULTS["networks"]
    assert all(network["network"] in NETWORKS for network in RESULTS["networks"])
    for picture in re.findall(r"\(pictures/(\S+)\)", (DOCS / "results.md").read_text()):
        assert (DOCS / "pictures" / picture).read_text().lstrip().startswith("<?xml")


def test_every_published_figure_has_a_source():
    for network in PUBLISHED["networks"]:
        assert network["source"] in PUBLISHED["sources"]
        assert network.get("psnr") or network.get("measured_psnr")
        assert network["task"] in PUBLISHED["timed_at"]
    assert PUBLISHED["sources"].keys() == {network["source"] for network in PUBLISHED["networks"]}


def results(milliseconds):
    """One network of each task, as `evaluate --all --json` has them."""
    network = {"variant": "", "parameters": 400_000, "milliseconds_per_megapixel": milliseconds}
    score = {"set": "Set5", "setting": "×2", "images": 5, "measured": {"PSNR": 38.0, "SSIM": 0.96}}
    noisy = {"set": "cbsd68", "setting": "sigma 25", "images": 68, "measured": {"PSNR": 31.3, "SSIM": 0.88}}
    photo = {"set": "Set5", "setting": "×2 jpeg 75", "images": 5, "measured": {"PSNR": 30.0, "SSIM": 0.9}}
    return {
        "machine": {"device": "cpu", "threads": 2, "busy": False, "load": 0.1},
        "networks": [
            {**network, "task": "denoise", "scale": 1, "scores": [noisy]},
            {**network, "task": "upscale", "scale": 2, "scores": [score], "photo_scores": [photo]},
            {**network, "task": "upscale", "scale": 2, "variant": "fast", "scores": [score]},
            {**network, "task": "upscale", "scale": 2, "variant": "photo", "scores": [photo]},
        ],
    }


def test_times_are_of_a_megapixel_of_the_result(plot_quality):
    panel = plot_quality.Panel("", "upscale", 2, "set5 ×2", timed=True)
    marks = {mark.name: mark for mark in plot_quality.marks(panel, results({"fp32": 900.0, "bf16": 300.0}), PUBLISHED)}
    assert marks["deconvdemo"].costs == marks["deconvdemo fast"].costs == {"fp32": 900.0, "bf16": 300.0}
    assert "deconvdemo photo" not in marks
    # 2414 ms for 1280×720, and the PSNR that was measured with them, not the paper's
    assert marks["RLFN-S"].costs["fp32"] == pytest.approx(2414 / 0.9216)
    assert marks["VDSR"].psnr == 37.46
    assert "FSRCNN" not in marks
    panel = plot_quality.Panel("", "denoise", 1, "cbsd68 sigma 25", timed=True)
    marks = {mark.name: mark for mark in plot_quality.marks(panel, results(None), PUBLISHED)}
    assert marks["FFDNet"].costs["bf16"] == pytest.approx(188 / (0.768 * 0.512))
    assert "deconvdemo" not in marks  # nobody timed it


def test_against_parameters_stand_those_that_nobody_timed(plot_quality):
    panel = plot_quality.Panel("", "upscale", 2, "set5 ×2", timed=False)
    marks = {mark.name: mark for mark in plot_quality.marks(panel, results(None), PUBLISHED)}
    assert marks["deconvdemo"].costs == {"parameters": 400_000}
    assert marks["FSRCNN"].costs == {"parameters": 12_000}
    assert "RLFN-S" not in marks


def test_timings_that_cannot_be_compared_are_said(plot_quality):
    fine = results({"fp32": 900.0, "bf16": 300.0})
    assert list(plot_quality.not_comparable(fine, PUBLISHED)) == []
    fine["machine"] |= {"threads": 1, "busy": True, "load": 4.5}
    threads, load = plot_quality.not_comparable(fine, PUBLISHED)
    assert "threads: 1" in threads
    assert "load 4.5" in load


@pytest.mark.parametrize("name", ["denoise", "upscale"])
def test_pictures_name_everyone_and_have_no_ground_of_their_own(plot_quality, name):
    pytest.importorskip("matplotlib", reason="`pip install deconvdemo[train]` brings it")
    timed = results({"fp32": 900.0, "bf16": 300.0})
    svg = plot_quality.picture(name, timed, PUBLISHED)
    texts = set(re.findall(r"<text[^>]*>([^<]+)</text>", svg))
    _, rows = plot_quality.FIGURES[name]
    for panel in itertools.chain(*rows):
        for mark in plot_quality.marks(panel, timed, PUBLISHED):
            assert any(text.startswith(mark.name) for text in texts), mark.name
    assert "#ffffff" not in svg
    assert svg == plot_quality.picture(name, timed, PUBLISHED)
