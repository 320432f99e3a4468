"""The controls on the page: what is shown for each network, and what an event makes of them."""

from __future__ import annotations

import gradio as gr
import pytest
from tiny import picture

from deconvdemo.image.reading import read_photo
from deconvdemo.tasks import TASKS, TRAINED
from deconvdemo.web.components.controls import AUTO_MEANING, ControlPanel
from deconvdemo.web.restore.service import RestoreService

EVERY = [task.weights(choices) for task in TASKS.values() for choices in task.combinations()]


def panel(task: str, *names: str) -> ControlPanel:
    with gr.Blocks():
        return ControlPanel(TASKS[task].offering(names or EVERY))


def starts(shown: ControlPanel) -> tuple:
    """The values with which the page begins."""
    return tuple(component.value for component in shown.components)


@pytest.mark.parametrize("task", TASKS)
def test_untouched_controls_are_the_tasks_defaults(task):
    shown = panel(task)
    given = shown.given(starts(shown))
    served = TASKS[task].offering(EVERY)
    defaults = served.checked({})
    estimated = {c.name for c in shown.controls if c.automatic and c.name not in shown.judged(defaults["variant"])}
    assert {**served.checked(given), **dict.fromkeys(estimated)} == defaults


@pytest.mark.parametrize("task", TRAINED)  # others have classical methods to choose among
def test_with_one_network_there_is_nothing_to_choose(task):
    standard = [name for name in EVERY if not name.endswith(("photo", "vivid", "fast"))]
    assert not panel(task, *standard).variant.visible
    assert panel(task).variant.visible


@pytest.mark.parametrize(
    ("variant", "automatic", "sigma"),
    [
        ("auto", True, None),
        ("auto", False, 12),
        ("standard", True, 12),
        ("standard", False, 12),
        ("photo", True, None),
        ("photo", False, 12),
    ],
)
def test_only_what_the_network_judges_is_left_to_it(variant, automatic, sigma):
    shown = panel("denoise", "denoise", "denoise-photo")
    given = shown.given((variant, 12, 1, automatic, False))
    assert given == {"variant": variant, "sigma": sigma, "strength": 1, "wrap": False}


def test_a_new_photo_brings_its_estimate_and_is_automatic_again():
    shown = panel("denoise", "denoise", "denoise-photo")
    variant, sigma, strength, automatic, wrap = shown.opened({"sigma": 12.5})
    assert sigma["value"] == 12.5
    assert automatic is True
    assert "value" not in {**variant, **strength, **wrap}
    assert len(shown.opened({})) == len(shown.components)


def test_the_page_follows_the_network():
    shown = panel("denoise", "denoise", "denoise-photo")
    assert [word for _, word in shown.variant.choices] == ["auto", "standard", "photo"]
    assert shown.variant.info == AUTO_MEANING
    assert shown.components[-2].visible
    assert "Estimated when a photo is opened." in panel("denoise", "denoise").components[1].info
    variant, sigma, _, automatic, _ = shown.chosen("photo")
    assert variant["info"] == TASKS["denoise"].variant.options["photo"].meaning
    assert "Estimated" not in sigma["info"]
    assert automatic["visible"]
    *_, automatic, _ = shown.chosen("standard")
    assert not automatic["visible"]
    *_, automatic, _ = shown.chosen("auto")
    assert automatic["visible"]


def test_a_network_offers_the_scales_that_it_was_trained_for():
    shown = panel("upscale", "upscale-x2", "upscale-x3", "upscale-x4", "upscale-x2-photo", "upscale-x3-photo")
    scales = lambda update: [value for _, value in update["choices"]]
    for chosen, nearest in ((2, 2), (3, 3), (4, 3)):
        _, scale, *_ = shown.chosen("photo", chosen)
        assert (scales(scale), scale["value"]) == ([2, 3], nearest)
    _, scale, *_ = shown.chosen("standard", 3)
    assert (scales(scale), scale["value"]) == ([2, 3, 4], 3)
    only_four = panel("upscale", "upscale-x4")
    assert (only_four.components[1].choices, only_four.components[1].value) == ([("×4", 4)], 4)


@pytest.mark.parametrize("names", [["denoise"], ["denoise", "denoise-photo"], ["denoise-photo", "denoise-fast"]])
def test_a_photo_is_estimated_for_the_networks_that_need_it(names):
    desk = RestoreService(TASKS["denoise"].offering(names), None, None)
    assert desk.estimates(read_photo(picture(40, 40)))["sigma"] > 0


def test_nothing_is_estimated_for_networks_that_judge_by_themselves():
    photo = read_photo(picture(40, 40))
    assert RestoreService(TASKS["denoise"].offering(["denoise-photo"]), None, None).estimates(photo) == {}
    assert RestoreService(TASKS["upscale"], None, None).estimates(photo) == {}
