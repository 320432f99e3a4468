"""The tasks' tables: what a visitor can set, which networks there are to choose from, and what they are called."""

from __future__ import annotations

import pytest

from deconvdemo.checkpoints.checkpoint import Header
from deconvdemo.errors import ControlError
from deconvdemo.tasks import AUTO, STANDARD, TASKS, Choice, Number, Variant, in_words

COMBINATIONS = [(task, choices) for task in TASKS.values() if task.trains for choices in task.combinations()]


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_every_task_has_a_standard_network_and_words_for_each(task):
    assert next(iter(task.variant.options)) == STANDARD
    assert task.variant.default == AUTO
    names = {control.name for control in task.controls}
    for word, option in task.variant.options.items():
        assert word.isalpha()
        assert word.islower()
        assert option.label
        assert option.meaning.endswith(".")
        assert {control.name for control in task.controls if getattr(control, "automatic", False)} >= {*option.judges}
        assert names >= {*option.judges}
    assert len({option.label for option in task.variant.options.values()}) == len(task.variant.options)


def test_a_task_and_a_weights_file_call_the_same_network_the_same():
    names = []
    for task, choices in COMBINATIONS:
        variant = "" if choices["variant"] == STANDARD else choices["variant"]
        names.append(task.weights(choices))
        assert names[-1] == Header("", {}, task.name, choices.get("scale", 1), variant).name
    assert len(set(names)) == len(names)
    assert {"denoise", "denoise-photo", "upscale-x2", "upscale-x2-photo", "upscale-x4-fast", "inpaint-fast"} <= {*names}


@pytest.mark.parametrize("left_out", [{}, {"variant": ""}, {"variant": STANDARD}])
def test_weights_without_a_variant_are_the_standard_ones(left_out):
    assert TASKS["denoise"].weights(left_out) == "denoise"
    assert TASKS["upscale"].weights({"scale": 3, **left_out}) == "upscale-x3"


@pytest.mark.parametrize(
    ("names", "asked_for", "offered", "default"),
    [
        ([], [], ["standard"], "standard"),
        (["upscale-x2"], [], ["standard"], "standard"),
        (["denoise", "denoise-anime"], [], ["standard"], "standard"),  # somebody else's variant has no words here
        (["denoise", "denoise-photo"], [], ["standard", "photo"], "auto"),
        (["denoise", "denoise-fast"], [], ["standard", "fast"], "standard"),  # nothing that the photo could choose
        (["denoise-photo", "denoise-fast"], [], ["photo", "fast"], "photo"),
        (["denoise", "denoise-photo"], ["denoise-photo"], ["standard", "photo"], "photo"),
        (["denoise", "denoise-photo"], ["denoise-photo", "denoise"], ["standard", "photo"], "auto"),
        (["denoise", "denoise-photo"], ["upscale-x2-photo"], ["standard", "photo"], "auto"),
    ],
)
def test_variants_with_weights_are_offered_and_the_one_that_was_named_is_the_default(
    names, asked_for, offered, default
):
    task = TASKS["denoise"].offering(names, asked_for)
    assert list(task.variant.options) == offered
    assert task.variant.default == task.checked({})["variant"] == default


def test_a_scale_without_weights_is_refused_with_the_weights_there_are():
    task = TASKS["upscale"].offering(["upscale-x2", "upscale-x3", "upscale-x2-photo"])
    assert task.checked({"scale": 2, "variant": "photo"})["variant"] == "photo"
    assert task.checked({"scale": 3})["scale"] == 3
    with pytest.raises(ControlError, match="no weights for upscale-x3-photo: choose what upscale-x2, upscale-x3, up"):
        task.checked({"scale": 3, "variant": "photo"})


def test_a_choice_takes_its_words_and_auto_alone():
    choice = Choice("size", "Size", "", "s", {"s": Variant("Small", ""), "l": Variant("Large", "")})
    assert choice.checked("l") == "l"
    assert choice.checked("auto") == choice.checked(None) == AUTO
    assert choice.expected() == "auto, s or l"
    for wrong in ("m", "S", "", 1, True, ["s"], {"s": 1}):
        with pytest.raises(ControlError, match="but it must be auto, s or l"):
            choice.checked(wrong)


def test_settings_are_told_in_words():
    assert in_words({"sigma": None, "strength": 0.5, "scale": 2, "variant": "photo"}) == [
        "sigma auto",
        "strength 0.5",
        "scale 2",
        "variant photo",
    ]


def test_what_a_number_expects_is_said_in_words():
    assert Number("scale", "", "", 2, choices=(2, 3, 4)).expected() == "2, 3 or 4"
    assert Number("sigma", "", "", None, maximum=75, automatic=True).expected() == "a number from 0 to 75, or auto"
