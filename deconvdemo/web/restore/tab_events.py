"""What happens in a task's tab: each event's function gives new values for some of its parts, by part."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import gradio as gr

from deconvdemo.engine.admission import Asker, each_for
from deconvdemo.engine.restoration import Progress, Restoration
from deconvdemo.errors import DeconvdemoError, LeftError
from deconvdemo.image.photo import Photo
from deconvdemo.tasks import AUTO, TASKS
from deconvdemo.web.components.examples import Example
from deconvdemo.web.components.viewer import comparison
from deconvdemo.web.restore import html
from deconvdemo.web.restore.cancellations import Cancellations
from deconvdemo.web.restore.service import RestoreService
from deconvdemo.web.restore.tab_parts import Changes, Parts
from deconvdemo.web.restore.under_way import in_sentences, until_seated

log = logging.getLogger(__name__)


class RestoreEvents:
    """Of one tab. A refusal or failure is a sentence at its status, and the app lives on."""

    def __init__(self, service: RestoreService, parts: Parts):
        self.service, self.parts = service, parts
        self._turns = Cancellations()

    def opened(
        self, request: gr.Request, path: str | None, ticket: str, variant: str, mask: Path | None = None
    ) -> Changes:
        """For a new photo, or none: its mask to paint on, the estimated controls, and nothing of the old one."""
        try:
            self._turns.call_off(ticket, request.session_hash)
            found = self._of_photo(request, path, variant, mask)
        except DeconvdemoError as error:
            found = {self.parts.status: html.trouble(error)}
        except Exception:  # the buttons must come back, whatever happened
            log.exception("a photo could not be opened")
            found = {self.parts.status: html.broken()}
        return self.parts.without_photo() | found

    def opening(self, example: Example | None) -> Callable[..., Changes]:
        """The function of an event that opens an example, or nothing."""

        def opens(request: gr.Request, ticket: str, variant: str) -> Changes:
            if not example:
                return self.opened(request, None, ticket, variant)
            found = self.opened(request, str(example.photo), ticket, variant, example.mask)
            return found | self.parts.controls.told(example.controls)

        return opens

    def laid(self, request: gr.Request, path: str | None, mask: str | None) -> Changes:
        """For a mask file: its holes on the photo."""
        try:
            with self.service.place(path, mask):
                painting = self.service.painting(self.service.open(path, request.session_hash), mask)
        except DeconvdemoError as error:
            return {self.parts.status: html.trouble(error)}
        said = html.notice("The mask is on the photo: paint to change it")
        return {self.parts.canvas: painting, self.parts.status: said}

    def found(self, request: gr.Request, path: str | None, sensitivity: float) -> Changes:
        """For a visitor who looks for damage: what was found, on the photo, to be changed."""
        parts, service = self.parts, self.service
        try:
            with service.place(path):
                photo = service.open(path, request.session_hash)
                found = service.restorer.found(photo, sensitivity)
                painting = service.painting(photo, found.mask)
        except LeftError:
            return {parts.status: gr.skip()}
        except DeconvdemoError as error:
            return parts.idle(html.trouble(error))
        except Exception:
            log.exception("scratches could not be looked for")
            return parts.idle(html.broken())
        return {parts.canvas: painting, **parts.idle(html.notice(found.sentence()))}

    def restore(self, request: gr.Request, path: str | None, ticket: str, *values: Any) -> Iterator[Changes]:
        """Progress after each tile, then the result."""
        with self._turns.turn(ticket, request.session_hash) as called_off:
            changes = self._restoring(self.service.asker().or_left(called_off), request, path, values)
            yield from in_sentences(changes, self.parts.idle, "a photo could not be restored")

    def stopped(self, request: gr.Request, ticket: str) -> Changes:
        self._turns.call_off(ticket, request.session_hash)
        return self.parts.idle(html.notice("Stopped: nothing was changed"))

    def _of_photo(self, request: gr.Request, path: str | None, variant: str, mask: Path | None) -> Changes:
        parts, service = self.parts, self.service
        if path is None:
            service.close(request.session_hash)
            return {}
        with service.place(path, mask):
            photo = service.open(path, request.session_hash)
            shown, estimates = service.preview(path, photo), service.estimates(photo)
            saw = service.saw(photo, variant)
            painting = {parts.canvas: service.painting(photo, mask)} if parts.canvas else {}
        # without somebody who could say what harms the photo, Auto is the standard network, which needs the estimate
        judged = parts.controls.judged(variant) if saw or variant != AUTO else ()
        words = _opening_words(photo, {name: value for name, value in estimates.items() if name not in judged}, saw)
        return {parts.photo: shown, parts.status: words, **painting, **parts.estimated(estimates)}

    def _restoring(
        self, asker: Asker, request: gr.Request, path: str | None, values: tuple[Any, ...]
    ) -> Iterator[Changes]:
        painted, settings = (values[0], values[1:]) if self.parts.canvas else (None, values)
        given = self.parts.controls.given(settings)
        with self.service.seat(path, given, asker) as seat:
            yield from until_seated(seat, asker)
            steps = self.service.steps(path, request.session_hash, painted, given)
            for step in chain([Progress(0, 0)], each_for(asker, steps)):
                if asker.left():
                    raise LeftError
                if isinstance(step, Progress):
                    yield self.parts.busy(html.progress(step))
                else:
                    yield self._result(step, path)

    def _result(self, restoration: Restoration, path: str | None) -> Changes:
        kept = self.service.keep(restoration, path)
        return {
            **self.parts.idle(html.notice(_ending_words(restoration))),
            self.parts.picture: comparison(kept.url(kept.observed), kept.url(kept.restored), kept.width, kept.height),
            self.parts.report: html.report(restoration, kept),
            **self.parts.flag.shown(kept),
        }


def _ending_words(restoration: Restoration) -> str:
    if restoration.is_as_it_was:
        return f"{TASKS[restoration.task].nothing.capitalize()}: the photo is given back as it is"
    return ". ".join([f"Done in {restoration.seconds:.1f} s", *_begun(restoration.saw)])


def _opening_words(photo: Photo, estimates: dict[str, Any], saw: str) -> str:
    size = f"{photo.width}×{photo.height}, {photo.format}, {photo.bit_depth} bit"
    estimated = f". Estimated noise: sigma {estimates['sigma']:g}" if "sigma" in estimates else ""
    return html.notice(". ".join([f"{size}{estimated}", *_begun(saw), *photo.notes]))


def _begun(saw: str) -> list[str]:
    """What was seen in a photo as the beginning of a sentence, if it was looked for."""
    return [saw[:1].upper() + saw[1:]] if saw else []
