"""One task's tab: a photo, its controls, the result beside what went in, and what the visitor says of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from deconvdemo.engine.restorer import Progress, Restorer
from deconvdemo.errors import DeconvdemoError, PhotoError
from deconvdemo.photo import Photo, open_mask
from deconvdemo.tasks import Control, Task
from deconvdemo.ui import words
from deconvdemo.ui.examples import EXAMPLES, Example
from deconvdemo.ui.flag_panel import flag_panel
from deconvdemo.ui.flagging import Flagging
from deconvdemo.ui.painter import mask_from_painter, painter, painting
from deconvdemo.ui.photo_input import PhotoInput
from deconvdemo.ui.viewer import comparison, viewer

# one id for all restoring events: so many photos are in memory at once, while their tiles are computed one by one
AT_ONCE: dict[str, Any] = {"concurrency_id": "restore", "concurrency_limit": 4}
QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}


@dataclass(frozen=True)
class Desk:
    """What a tab's events work with."""

    task: Task
    restorer: Restorer
    flagging: Flagging

    def open(self, path: str | None) -> Photo:
        if path is None:
            raise PhotoError("there is no photo yet: drop one, paste one, or try an example")
        return Photo.open(path, self.restorer.max_pixels)

    def estimates(self, photo: Photo) -> dict[str, Any]:
        """Every control's value for this photo, the automatic ones estimated."""
        return self.task.settled(photo.pixels, self.task.checked({}))

    def painting(self, photo: Photo, mask: str | Path | None) -> dict[str, Any]:
        """The painter's value: the photo, and on it the holes of a mask file."""
        holes = None
        if mask is not None:
            import PIL.Image

            holes = PIL.Image.fromarray(open_mask(mask, photo.height, photo.width, self.restorer.max_pixels))
        return painting(self.flagging.results.show(photo), photo.width, photo.height, holes)


def restore_tab(desk: Desk) -> None:
    """Builds the tab inside the current `gr.Blocks`."""
    task = desk.task
    gr.HTML(f'<p class="dd-promise">{task.promise}</p>', padding=False)
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=320):
            photo = PhotoInput(
                label="Photo",
                type="filepath",
                image_mode=None,
                sources=["upload", "clipboard", "webcam"],
                height=240,
                buttons=["fullscreen"],
                elem_classes="dd-photo",
                placeholder="# Drop a photo here\nor click to choose one",
            )
            examples = _example_buttons(task)
            controls = {control.name: _component(control) for control in task.controls}
            mask_file = _mask_upload() if task.needs_mask else None
            run = gr.Button(task.verb, variant="primary", size="lg", elem_classes="dd-run")
            stop = gr.Button("Stop", variant="stop", visible=False, elem_classes="dd-stop")
        with gr.Column(scale=8, min_width=320):
            canvas = (
                painter("Your photo appears here to be painted on. Drop one, or try an example.")
                if task.needs_mask
                else None
            )
            status = gr.HTML(padding=False)
            picture = viewer("The result appears here beside the photo, to compare them down to the pixel.")
            report = gr.HTML(padding=False)
            panel = flag_panel(desk.flagging)

    sliders = list(controls.values())
    mask_parts = [part for part in (canvas, mask_file) if part is not None]

    def opened(path: str | None, mask: Path | None = None) -> list[Any]:
        """For a new photo: its mask on the painter, the estimated controls, and no old result."""
        cleared = [None, "", *panel.cleared()]
        try:
            opened_photo = desk.open(path) if path else None
            settled = desk.estimates(opened_photo) if opened_photo else {}
            canvas_value = desk.painting(opened_photo, mask) if opened_photo and canvas is not None else None
        except DeconvdemoError as error:
            return [words.trouble(error), *([None, None][: len(mask_parts)]), *[gr.skip() for _ in sliders], *cleared]
        shown = [_shown(control, settled.get(control.name)) for control in task.controls]
        return [_opening_words(opened_photo, settled), *([canvas_value, None][: len(mask_parts)]), *shown, *cleared]

    when_opened = [status, *mask_parts, *sliders, picture, report, *panel.shows]
    photo.input(opened, [photo], when_opened, **QUIET)
    for button, example in examples:
        button.click(
            lambda example=example: [str(example.photo), *opened(str(example.photo), example.mask)],
            None,
            [photo, *when_opened],
            **QUIET,
        )
    if canvas is not None and mask_file is not None:
        mask_file.upload(_mask_uploaded(desk), [photo, mask_file], [canvas, status], **QUIET)

    def restore(path: str | None, *values: Any) -> Iterator[list[Any]]:
        """Progress after each tile, then the result; a refusal or failure is a sentence and the app lives on."""
        busy, idle = (
            [gr.update(visible=False), gr.update(visible=True)],
            [gr.update(visible=True), gr.update(visible=False)],
        )
        nothing = [gr.skip()] * (2 + len(panel.shows))
        try:
            desk.open(path)
            yield [words.progress(Progress(0, 0)), *busy, *nothing]
            given = dict(zip(controls, values, strict=False))
            mask = mask_from_painter(values[-1], desk.restorer.max_pixels or 10**9) if canvas is not None else None
            steps = desk.restorer.steps(task.name, path, mask, **given)
            for step in steps:
                if isinstance(step, Progress):
                    yield [words.progress(step), *busy, *nothing]
                    continue
                kept = desk.flagging.results.keep(step, Path(path or "photo").name)
                compared = comparison(kept.url(kept.observed), kept.url(kept.restored), kept.width, kept.height)
                shown = panel.shown(kept)
                yield [words.notice(f"Done in {step.seconds:.1f} s"), *idle, compared, words.report(step, kept), *shown]
        except DeconvdemoError as error:
            yield [words.trouble(error), *idle, *nothing]

    inputs = [photo, *sliders, *([canvas] if canvas is not None else [])]
    running = run.click(restore, inputs, [status, run, stop, picture, report, *panel.shows], **AT_ONCE, **QUIET)
    stop.click(
        lambda: [words.notice("Stopped, nothing was changed"), gr.update(visible=True), gr.update(visible=False)],
        None,
        [status, run, stop],
        cancels=[running],
        **QUIET,
    )


def _example_buttons(task: Task) -> list[tuple[gr.Button, Example]]:
    with gr.Row(elem_classes="dd-examples"):
        return [
            (gr.Button(example.label, size="sm", icon=str(example.photo), min_width=120), example)
            for example in EXAMPLES.get(task.name, ())
        ]


def _component(control: Control) -> gr.components.Component:
    if control.choices:
        choices = [(f"×{choice}" if control.name == "scale" else str(choice), choice) for choice in control.choices]
        return gr.Radio(choices, value=control.default, label=control.label, info=control.meaning)
    return gr.Slider(
        control.minimum,
        control.maximum,
        value=control.default if control.default is not None else control.minimum,
        step=control.step,
        label=control.label,
        info=control.meaning + (" Estimated when a photo is opened." if control.automatic else ""),
    )


def _shown(control: Control, settled: Any) -> Any:
    """An estimated control takes its estimate; the visitor's other settings stay from photo to photo."""
    return gr.update(value=settled) if control.automatic and settled is not None else gr.skip()


def _opening_words(photo: Photo | None, settled: dict[str, Any]) -> str:
    if photo is None:
        return ""
    size = f"{photo.width}×{photo.height}, {photo.format}, {photo.bit_depth} bit"
    estimated = f". Estimated noise: sigma {settled['sigma']:g}" if "sigma" in settled else ""
    return words.notice(". ".join([f"{size}{estimated}", *photo.notes]))


def _mask_upload() -> gr.File:
    with gr.Accordion("Or upload a mask", open=False):
        return gr.File(
            label="Mask image of the photo's size: white is filled in",
            file_types=["image"],
            type="filepath",
            height=110,
        )


def _mask_uploaded(desk: Desk) -> Callable[[str | None, str | None], list[Any]]:
    def show(path: str | None, mask: str | None) -> list[Any]:
        try:
            return [desk.painting(desk.open(path), mask), words.notice("The mask is on the photo: paint to change it")]
        except DeconvdemoError as error:
            return [gr.skip(), words.trouble(error)]

    return show
