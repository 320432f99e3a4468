"""What a task's tab is made of, and where each part stands on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from deconvdemo.tasks import Task
from deconvdemo.tasks.helpers import Finder
from deconvdemo.web.components.controls import ControlPanel
from deconvdemo.web.components.examples import Example, examples_of
from deconvdemo.web.components.painter import painter
from deconvdemo.web.components.photo_input import PhotoInput
from deconvdemo.web.components.viewer import viewer
from deconvdemo.web.restore.flag_panel import FlagPanel, flag_panel
from deconvdemo.web.restore.flagging import Flagging

Changes = dict[Any, Any]  # what an event's function gives: new values by part; the other parts stay as they are


@dataclass(frozen=True, eq=False)
class Parts:
    """One tab's. `canvas` and `mask_file` are there for a task that needs a mask, `finding` where one can be found."""

    photo: PhotoInput
    examples: list[tuple[gr.Button, Example]]
    controls: ControlPanel
    mask_file: gr.File | None
    finding: Finding | None
    ticket: gr.Textbox
    run: gr.Button
    stop: gr.Button
    status: gr.HTML
    canvas: gr.HTML | None
    picture: gr.HTML
    report: gr.HTML
    flag: FlagPanel

    @property
    def masks(self) -> list[Any]:
        return [self.canvas, self.mask_file] if self.mask_file else []

    @property
    def progress(self) -> list[Any]:
        """What `said` changes."""
        return [self.status, self.run, self.stop]

    @property
    def shown(self) -> list[Any]:
        """What a result is seen in, and flagged by."""
        return [self.picture, self.report, *self.flag.cleared]

    def opening(self, words: str) -> Changes:
        """Words at the status, and the two buttons, of which one is seen at a time: here none that can be pressed."""
        return self._said(words, gr.update(visible=True, interactive=False), gr.update(visible=False))

    def idle(self, words: str) -> Changes:
        return self._said(words, gr.update(visible=True, interactive=True), gr.update(visible=False))

    def busy(self, words: str) -> Changes:
        return self._said(words, gr.update(visible=False), gr.update(visible=True))

    def _said(self, words: str, run: Any, stop: Any) -> Changes:
        return dict(zip(self.progress, (words, run, stop), strict=True))

    def without_photo(self) -> Changes:
        """Nothing of an old photo is left; the settings are."""
        return {
            self.photo: None,
            **self.idle(""),
            **dict.fromkeys(self.masks),
            **self.estimated({}),
            self.picture: None,
            self.report: "",
            **self.flag.cleared,
        }

    def estimated(self, estimates: dict[str, Any]) -> Changes:
        return dict(zip(self.controls.components, self.controls.opened(estimates), strict=True))


@dataclass(frozen=True, eq=False)
class Finding:
    """What finds a mask."""

    sensitivity: gr.Slider
    button: gr.Button


def laid_out(task: Task, flagging: Flagging, helper: Finder | None = None) -> Parts:
    """Builds a tab's parts inside the current `gr.Blocks`; `helper` finds what is to be filled in."""
    gr.HTML(f'<p class="dd-promise">{task.promise}</p>', padding=False)
    with gr.Row(equal_height=False, elem_classes="dd-desk"):
        with gr.Column(scale=4, min_width=320, elem_classes="dd-given"):
            photo = _photo_input()
            examples = _example_buttons(task)
            finding = _finding(helper) if helper else None
            controls = ControlPanel(task)
            mask_file = _mask_upload() if task.needs_mask else None
            ticket = gr.Textbox(visible=False)
            run = gr.Button(task.verb, variant="primary", size="lg", elem_classes="dd-run")
            stop = gr.Button("Stop", variant="stop", size="lg", visible=False, elem_classes="dd-stop")
        with gr.Column(scale=8, min_width=320, elem_classes="dd-found"):
            status = gr.HTML(padding=False, elem_classes="dd-status-slot")
            canvas = painter("Open a photo, then paint here over what is to be filled in.") if mask_file else None
            picture = viewer("The result appears here over the photo, to compare them down to the pixel.")
            report = gr.HTML(padding=False, elem_classes="dd-report-slot")
            flag = flag_panel(flagging)
    return Parts(
        photo, examples, controls, mask_file, finding, ticket, run, stop, status, canvas, picture, report, flag
    )


def _photo_input() -> PhotoInput:
    return PhotoInput(
        label="Photo",
        type="filepath",
        image_mode=None,
        sources=["upload", "clipboard", "webcam"],
        height=260,
        buttons=["fullscreen"],
        elem_classes="dd-photo",
        placeholder="# Drop a photo here\nor click to choose one",
    )


def _example_buttons(task: Task) -> list[tuple[gr.Button, Example]]:
    with gr.Row(elem_classes="dd-examples"):
        return [
            (gr.Button(example.label, size="sm", icon=str(example.photo), min_width=140), example)
            for example in examples_of(task)
        ]


def _finding(helper: Finder) -> Finding:
    control = helper.sensitivity
    with gr.Column(elem_classes="dd-finding"):  # a group would make the button look like a heading
        button = gr.Button(helper.verb)
        sensitivity = gr.Slider(
            control.minimum,
            control.maximum,
            value=control.default,
            step=control.step,
            label=control.label,
            info=f"{control.meaning} Press {helper.verb} again after moving it.",
            buttons=[],
        )
    return Finding(sensitivity, button)


def _mask_upload() -> gr.File:
    with gr.Accordion("Or upload a mask", open=False):
        return gr.File(
            label="Mask image of the photo's size: white is filled in",
            file_types=["image"],
            type="filepath",
            height=140,
        )
