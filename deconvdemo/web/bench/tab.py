"""The test bench's tab: what is given at the left, and what every method made of it at the right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

import gradio as gr

from deconvdemo.engine.admission import Asker, each_for
from deconvdemo.errors import LeftError
from deconvdemo.evaluation.bench.run import SIDE
from deconvdemo.image import PHOTOS
from deconvdemo.web.asset import in_the_browser
from deconvdemo.web.bench import shown
from deconvdemo.web.bench.service import OWN, BenchService
from deconvdemo.web.components.controls import QUIET
from deconvdemo.web.components.photo_input import PhotoInput
from deconvdemo.web.restore import html
from deconvdemo.web.restore.cancellations import Cancellations
from deconvdemo.web.restore.tab import AT_ONCE
from deconvdemo.web.restore.tab_parts import Changes
from deconvdemo.web.restore.under_way import in_sentences, until_seated

PROMISE = (
    "Harms a clean photo on purpose, restores it by every method that applies, and measures how near each comes. "
    f"Photos of more than {SIDE} pixels a side are made smaller first."
)
EXAMPLES = {"Astronaut": "astronaut.webp", "Cat": "cat.webp", "Coffee": "coffee.webp"}


class BenchTab:
    """Builds the tab inside the current `gr.Blocks`, and says what happens at each of its events."""

    def __init__(self, service: BenchService):
        self.service, self._turns = service, Cancellations()
        choices = service.choices()
        gr.HTML(f'<p class="dd-promise">{PROMISE}</p>', padding=False)
        with gr.Row(equal_height=False, elem_classes="dd-desk"):
            with gr.Column(scale=4, min_width=320, elem_classes="dd-given"):
                self.clean = _photo("Clean photo")
                with gr.Row(elem_classes="dd-examples"):
                    examples = {
                        gr.Button(label, size="sm", icon=str(PHOTOS / name), min_width=90): str(PHOTOS / name)
                        for label, name in EXAMPLES.items()
                    }
                self.damage = gr.Dropdown(choices, value=choices[0][1] if choices else None, label="Damage")
                self.observed = _photo("Damaged photo", visible=False)
                self.thorough = gr.Checkbox(
                    False, label="Slow methods, too", info="Also classical ones that take minutes.",
                    elem_classes="dd-switch",
                )  # fmt: skip
                self.ticket = gr.Textbox(visible=False)
                self.run = gr.Button("Compare", variant="primary", size="lg", elem_classes="dd-run")
                self.stop = gr.Button("Stop", variant="stop", size="lg", visible=False, elem_classes="dd-stop")
            with gr.Column(scale=8, min_width=320, elem_classes="dd-found"):
                self.status = gr.HTML(padding=False, elem_classes="dd-status-slot")
                self.found = gr.HTML(padding=False, elem_classes="dd-bench")
        self._connect(examples)

    def _connect(self, examples: dict[gr.Button, str]) -> None:
        progress = [self.status, self.run, self.stop]
        starting = in_the_browser(*self._busy(html.waiting("Starting…")).values(), new_ticket=True)
        self.run.click(None, None, [*progress, self.ticket], js=starting, **QUIET)
        given = [self.clean, self.observed, self.damage, self.thorough, self.ticket]
        self.run.click(self.compared, given, [*progress, self.found], trigger_mode="multiple", **AT_ONCE, **QUIET)
        self.stop.click(self.stopped, [self.ticket], progress, concurrency_limit=None, **QUIET)
        own = f"(choice) => ({{__type__: 'update', visible: String(choice).startsWith('{OWN} ')}})"
        self.damage.change(None, [self.damage], [self.observed], js=own, **QUIET)
        for button, path in examples.items():
            button.click(_giving(path), None, [self.clean], queue=False, **QUIET)

    def compared(
        self,
        request: gr.Request,
        clean: str | None,
        observed: str | None,
        choice: str,
        thorough: bool,
        ticket: str,
    ) -> Iterator[Changes]:
        """The table after each method, then all of it."""
        with self._turns.turn(ticket, request.session_hash) as called_off:
            asker = self.service.asker().or_left(called_off)
            changes = self._comparing(asker, clean, observed, str(choice), bool(thorough))
            yield from in_sentences(changes, self._idle, "a photo could not be put on the bench")

    def stopped(self, request: gr.Request, ticket: str) -> Changes:
        self._turns.call_off(ticket, request.session_hash)
        return self._idle(html.notice("Stopped: what is measured so far stays"))

    def _comparing(
        self, asker: Asker, clean: str | None, observed: str | None, choice: str, thorough: bool
    ) -> Iterator[Changes]:
        service, state = self.service, None
        with service.seat(clean, observed, asker) as seat:
            yield from until_seated(seat, asker)
            steps = service.steps(clean, observed, choice, thorough)
            for state in chain([None], each_for(asker, steps)):
                if asker.left():
                    raise LeftError
                if state is None:
                    yield {**self._busy(html.waiting("Reading the photo…")), self.found: ""}
                else:
                    yield {**self._busy(shown.progress(state)), self.found: shown.table(state)}
        if state is not None:
            folder, files = service.keep(state)
            yield {**self._idle(html.notice("Done")), self.found: shown.result(state, folder, files)}

    def _idle(self, words: str) -> Changes:
        return self._said(words, gr.update(visible=True), gr.update(visible=False))

    def _busy(self, words: str) -> Changes:
        return self._said(words, gr.update(visible=False), gr.update(visible=True))

    def _said(self, words: str, run: Any, stop: Any) -> Changes:
        return {self.status: words, self.run: run, self.stop: stop}


def _giving(path: str) -> Callable[[], str]:
    return lambda: path


def _photo(label: str, visible: bool = True) -> PhotoInput:
    return PhotoInput(
        label=label,
        type="filepath",
        image_mode=None,
        sources=["upload", "clipboard"],
        height=220,
        buttons=["fullscreen"],
        elem_classes="dd-photo",
        visible=visible,
        placeholder="# Drop a photo here\nor click to choose one",
    )
