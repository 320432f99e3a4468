"""One task's tab: a photo, its controls, the result beside what went in, and what the visitor says of it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Any

import gradio as gr

from deconvdemo.engine.admission import each_for
from deconvdemo.engine.restorer import Progress
from deconvdemo.errors import DeconvdemoError, LeftError
from deconvdemo.image.photo import Photo
from deconvdemo.tasks import Task
from deconvdemo.web.asset import in_the_browser
from deconvdemo.web.components.controls import QUIET, ControlPanel
from deconvdemo.web.components.examples import Example, examples_of
from deconvdemo.web.components.painter import painter
from deconvdemo.web.components.photo_input import PhotoInput
from deconvdemo.web.components.previews import preview
from deconvdemo.web.components.viewer import comparison, viewer
from deconvdemo.web.restore import html
from deconvdemo.web.restore.cancellations import Cancellations
from deconvdemo.web.restore.flag_panel import flag_panel
from deconvdemo.web.restore.service import RestoreService

log = logging.getLogger(__name__)

# how many photos are in memory at once, and whose turn it is, the admission says: Gradio's places know no sizes
AT_ONCE: dict[str, Any] = {"concurrency_id": "restore", "concurrency_limit": None}
OPENING_AT_ONCE: dict[str, Any] = {"concurrency_id": "open", "concurrency_limit": None}
LOOKS = 0.3  # seconds between two looks at who waits for a place: whether they have stopped, or left

# updates of the two buttons, of which one is seen at a time
OPENING = [gr.update(visible=True, interactive=False), gr.update(visible=False)]
IDLE = [gr.update(visible=True, interactive=True), gr.update(visible=False)]
BUSY = [gr.update(visible=False), gr.update(visible=True)]


def restore_tab(desk: RestoreService) -> None:
    """Builds the tab inside the current `gr.Blocks`."""
    task = desk.task
    gr.HTML(f'<p class="dd-promise">{task.promise}</p>', padding=False)
    with gr.Row(equal_height=False, elem_classes="dd-desk"):
        with gr.Column(scale=4, min_width=320, elem_classes="dd-given"):
            photo = _photo_input()
            examples = _example_buttons(task)
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
            panel = flag_panel(desk.flagging)
    turns = Cancellations()
    masks: list[Any] = [canvas, mask_file] if mask_file else []
    progress = [status, run, stop]
    shown = [picture, report, *panel.shows]

    def opened(request: gr.Request, path: str | None, ticket: str, variant: str, mask: Path | None = None) -> list[Any]:
        """For a new photo, or none: its mask to paint on, the estimated controls, and nothing of the old one."""
        value, says, canvas_value, estimates = None, "", None, {}
        try:
            turns.call_off(ticket, request.session_hash)
            if path is not None:
                with desk.place(path, mask):
                    opened_photo = desk.open(path)
                    value, estimates = preview(path, opened_photo), desk.estimates(opened_photo)
                    canvas_value = desk.painting(opened_photo, mask) if masks else None
                judged = controls.judged(variant)
                says = _opening_words(opened_photo, {k: v for k, v in estimates.items() if k not in judged})
        except DeconvdemoError as error:
            value, says = None, html.trouble(error)
        except Exception:  # the buttons must come back, whatever happened
            log.exception("a photo could not be opened")
            value, says = None, html.broken()
        cleared = [None, "", *panel.cleared()]
        return [value, says, *IDLE, *[canvas_value, None][: len(masks)], *controls.opened(estimates), *cleared]

    def restore(request: gr.Request, path: str | None, ticket: str, *values: Any) -> Iterator[list[Any]]:
        """Progress after each tile, then the result; a refusal or failure is a sentence and the app lives on."""
        nothing = [gr.skip() for _ in shown]
        # Gradio repeats the last values when a generator ends, after what Stop has said
        unchanged = [gr.skip() for _ in (*progress, *shown)]
        with ExitStack() as held:
            try:
                called_off = held.enter_context(turns.turn(ticket, request.session_hash))
                asker = desk.asker().or_left(called_off)
                painted, settings = (values[0], values[1:]) if masks else (None, values)
                given = controls.given(settings)
                seat = held.enter_context(desk.seat(path, given, asker))
                while not seat.wait(LOOKS) and not asker.left():
                    yield unchanged
                for step in chain([Progress(0, 0)], each_for(asker, desk.steps(path, painted, given))):
                    if asker.left():
                        yield unchanged
                        return
                    if isinstance(step, Progress):
                        yield [html.progress(step), *BUSY, *nothing]
                        continue
                    kept = desk.keep(step, path)
                    compared = comparison(kept.url(kept.observed), kept.url(kept.restored), kept.width, kept.height)
                    done = html.notice(f"Done in {step.seconds:.1f} s")
                    yield [done, *IDLE, compared, html.report(step, kept), *panel.shown(kept)]
            except LeftError:
                yield unchanged
            except DeconvdemoError as error:
                yield [html.trouble(error), *IDLE, *nothing]
            except Exception:
                log.exception("a photo could not be restored")
                yield [html.broken(), *IDLE, *nothing]

    def stopped(request: gr.Request, ticket: str) -> list[Any]:
        turns.call_off(ticket, request.session_hash)
        return [html.notice("Stopped: nothing was changed"), *IDLE]

    starting = in_the_browser(html.waiting("Starting…"), *BUSY, new_ticket=True)
    run.click(None, None, [*progress, ticket], js=starting, **QUIET)
    inputs = [photo, ticket, *masks[:1], *controls.components]
    run.click(restore, inputs, [*progress, *shown], trigger_mode="multiple", **AT_ONCE, **QUIET)
    stop.click(stopped, [ticket], progress, concurrency_limit=None, **QUIET)

    fresh: dict[str, Any] = {"outputs": [photo, *progress, *masks, *controls.components, *shown]}
    fresh |= {**OPENING_AT_ONCE, **QUIET}
    opening = in_the_browser(html.waiting("Opening the photo…"), *OPENING)
    for begins in (photo.input, *(button.click for button, _ in examples)):
        begins(None, None, progress, js=opening, **QUIET)
    given = [ticket, controls.variant]
    photo.input(opened, [photo, *given], **fresh)
    photo.clear(_opening(opened, None), given, **fresh)
    for button, example in examples:
        button.click(_opening(opened, example), given, **fresh)
    if mask_file:
        mask_file.upload(_laid_on(desk), [photo, mask_file], [*masks[:1], status], **QUIET)


def _opening(opened: Any, example: Example | None) -> Any:
    """An event's function that opens an example, or nothing."""

    def opens(request: gr.Request, ticket: str, variant: str) -> list[Any]:
        if example is None:
            return opened(request, None, ticket, variant)
        return opened(request, str(example.photo), ticket, variant, example.mask)

    return opens


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


def _mask_upload() -> gr.File:
    with gr.Accordion("Or upload a mask", open=False):
        return gr.File(
            label="Mask image of the photo's size: white is filled in",
            file_types=["image"],
            type="filepath",
            height=140,
        )


def _laid_on(desk: RestoreService) -> Any:
    def lay(path: str | None, mask: str | None) -> list[Any]:
        try:
            with desk.place(path, mask):
                painting = desk.painting(desk.open(path), mask)
            return [painting, html.notice("The mask is on the photo: paint to change it")]
        except DeconvdemoError as error:
            return [gr.skip(), html.trouble(error)]

    return lay


def _opening_words(photo: Photo, estimates: dict[str, Any]) -> str:
    size = f"{photo.width}×{photo.height}, {photo.format}, {photo.bit_depth} bit"
    estimated = f". Estimated noise: sigma {estimates['sigma']:g}" if "sigma" in estimates else ""
    return html.notice(". ".join([f"{size}{estimated}", *photo.notes]))
