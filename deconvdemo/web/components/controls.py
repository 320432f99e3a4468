"""A task's controls as sliders and choices, and what events take from them and give to them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import gradio as gr

from deconvdemo.tasks import AUTO, Number, Switch, Task
from deconvdemo.tasks.kernel import Kernel
from deconvdemo.web.asset import in_the_browser, looked_up
from deconvdemo.web.components.kernel_pad import kernel_pad

AUTO_LABEL = "Auto"
AUTO_MEANING = "Looks at the photo, and takes the network that is made for what it finds there."
QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}


class _Offered(gr.Radio):
    """Choices that change with the network, in the browser alone.

    `gr.Radio` would refuse, in words of its own, what was not there when the page was built; the task checks it.
    """

    is_template = True  # drawn by gr.Radio's own page code

    def preprocess(self, payload: Any) -> Any:
        return payload


class ControlPanel:
    """Adds the controls of `task` to the current `gr.Blocks`: which network, then its numbers and switches.

    A number that some network judges by itself has a checkbox, seen with that network alone: "automatic" until the
    visitor moves the slider, and again for the next photo.
    """

    def __init__(self, task: Task):
        self.task = task
        self.controls = [control for control in task.controls if isinstance(control, Number)]
        switches = [control for control in task.controls if isinstance(control, Switch)]
        self._kernels = {control.name: kernel_pad(control) for control in task.controls if isinstance(control, Kernel)}
        judged = self.judged(AUTO)
        labels = {AUTO: AUTO_LABEL} if task.chooses else {}
        labels |= {word: option.label for word, option in task.variant.options.items()}
        self._first = task.variant.default if task.variant.default in labels else next(iter(labels))
        self._words = list(labels)
        self.variant = gr.Radio(
            [(label, word) for word, label in labels.items()],
            value=self._first,
            label=task.variant.label,
            info=self._meaning(self._first),
            visible=len(task.variant.options) > 1,
            elem_classes="dd-variant",
        )
        self._numbers: list[Any] = []
        self._automatic: dict[str, gr.Checkbox] = {}
        for control in self.controls:
            self._numbers.append(self._number(control))
            if control.name in judged:
                self._automatic[control.name] = self._automatically(control)
        self._switches = {
            control.name: gr.Checkbox(
                control.default, label=control.label, info=control.meaning, elem_classes="dd-switch"
            )
            for control in switches
        }
        self._connect()

    @property
    def components(self) -> list[Any]:
        """What events take as inputs for `given`, and as outputs for `opened`."""
        numbers, automatic = self._numbers, self._automatic.values()
        return [self.variant, *numbers, *automatic, *self._switches.values(), *self._kernels.values()]

    def given(self, values: tuple[Any, ...]) -> dict[str, Any]:
        """The components' values as the task's controls; what the network is to judge by itself is None."""
        rest = iter(values)
        controls = dict(zip(["variant", *(control.name for control in self.controls)], rest, strict=False))
        automatic = dict(zip(self._automatic, rest, strict=False))
        controls |= dict(zip(self._switches, rest, strict=False))
        controls |= dict(zip(self._kernels, rest, strict=True))
        for name in self.judged(controls["variant"]):
            controls[name] = None if automatic[name] else controls[name]
        return controls

    def judged(self, variant: str) -> tuple[str, ...]:
        """What this network judges by itself, or Auto or some do; nothing for a word that is none of the choices."""
        if variant == AUTO:
            found = [*(name for option in self.task.variant.options.values() for name in option.judges)]
            return tuple(dict.fromkeys([*found, *self.task.found_by_auto]))
        option = self.task.variant.options.get(variant)
        return option.judges if option else ()

    def opened(self, estimates: dict[str, Any]) -> list[Any]:
        """For a new photo: its estimates; what is judged is automatic again; other settings stay as they were."""
        numbers = [gr.update(value=estimates[c.name]) if c.name in estimates else gr.skip() for c in self.controls]
        return [gr.skip(), *numbers, *[True] * len(self._automatic), *self._unchanged]

    def told(self, controls: Mapping[str, Any]) -> dict[Any, Any]:
        """For settings that go with a photo: their values, by component."""
        return {self._kernels[name]: value for name, value in controls.items() if name in self._kernels}

    def chosen(self, variant: str, *choices: int) -> list[Any]:
        """What the page shows for this network: what it is made for, and the numbers that it takes.

        `choices` are the values of the numbers that have some, in their order.
        """
        values = iter(choices)
        numbers = [self._shown(control, variant, values) for control in self.controls]
        checkboxes = [gr.update(visible=name in self.judged(variant)) for name in self._automatic]
        return [gr.update(info=self._meaning(variant)), *numbers, *checkboxes, *self._unchanged]

    @property
    def _unchanged(self) -> list[Any]:
        """What neither a new photo nor another network changes."""
        return [gr.skip()] * (len(self._switches) + len(self._kernels))

    def _connect(self) -> None:
        choosing = [control for control in self.controls if control.choices]
        every: Any = itertools.product(self._words, *(control.choices for control in choosing))
        updates = looked_up({given: self.chosen(*given) for given in every})
        inputs = [self.variant, *(self._component(control.name) for control in choosing)]
        self.variant.input(None, inputs, self.components, js=updates, **QUIET)
        for name, checkbox in self._automatic.items():
            self._component(name).input(None, None, [checkbox], js=in_the_browser(False), **QUIET)

    def _component(self, name: str) -> Any:
        return self._numbers[[control.name for control in self.controls].index(name)]

    def _shown(self, control: Number, variant: str, values: Iterator[int]) -> Any:
        if not control.choices:
            return gr.update(info=self._info(control, variant))
        offered = self._offered(control, variant)
        # what was chosen for the other network may not be there for this one
        return gr.update(choices=_labelled(control, offered), value=_nearest(offered, next(values)))

    def _number(self, control: Number) -> Any:
        variant = self._first
        if control.choices:
            offered = self._offered(control, variant)
            nearest = _nearest(offered, control.default)
            return _Offered(_labelled(control, offered), value=nearest, label=control.label, info=control.meaning)
        return gr.Slider(
            control.minimum,
            control.maximum,
            value=control.default if control.default is not None else control.minimum,
            step=control.step,
            label=control.label,
            info=self._info(control, variant),
            buttons=[],  # resetting an estimate to the slider's first value would switch the task off
            elem_classes="dd-automated" if control.automatic else None,
        )

    def _automatically(self, control: Number) -> gr.Checkbox:
        return gr.Checkbox(
            True,
            label="Automatic",
            info="The network judges it from the photo. Moving the slider sets it by hand.",
            visible=control.name in self.judged(self._first),
            elem_classes="dd-automatic",
        )

    def _offered(self, control: Number, variant: str) -> list[int]:
        """The choices of this number for which the variant has weights; all of them where there are no weights."""
        served = [c[control.name] for c in self.task.served if variant in (AUTO, c["variant"])]
        return [choice for choice in control.choices if choice in served or not served]

    def _meaning(self, variant: str) -> str:
        if variant == AUTO:
            return AUTO_MEANING
        option = self.task.variant.options.get(variant)
        return option.meaning if option else ""

    def _info(self, control: Number, variant: str) -> str:
        found = (*self.judged(variant), *self.task.found_by_auto)
        estimated = control.automatic and control.name not in found
        return control.meaning + (" Estimated when a photo is opened." if estimated else "")


def _nearest(offered: list[int], value: int) -> int:
    return min(offered, key=lambda choice: abs(choice - value))


def _labelled(control: Number, choices: list[int]) -> list[tuple[str, int]]:
    return [(f"×{choice}" if control.name == "scale" else str(choice), choice) for choice in choices]
