"""One task's tab: a photo, its controls, the result beside what went in, and what the visitor says of it."""

from __future__ import annotations

from typing import Any

from deconvdemo.web.asset import in_the_browser
from deconvdemo.web.components.controls import QUIET
from deconvdemo.web.restore import html
from deconvdemo.web.restore.service import RestoreService
from deconvdemo.web.restore.tab_events import RestoreEvents
from deconvdemo.web.restore.tab_parts import laid_out

# how many photos are in memory at once, and whose turn it is, the admission says: Gradio's places know no sizes
AT_ONCE: dict[str, Any] = {"concurrency_id": "restore", "concurrency_limit": None}
OPENING_AT_ONCE: dict[str, Any] = {"concurrency_id": "open", "concurrency_limit": None}


def restore_tab(service: RestoreService) -> None:
    """Builds the tab inside the current `gr.Blocks`, and says what happens at each of its events."""
    parts = laid_out(service.task, service.flagging, service.helper)
    events = RestoreEvents(service, parts)

    # the page is told in the browser, at once; what the server finds follows
    starting = in_the_browser(*parts.busy(html.waiting("Starting…")).values(), new_ticket=True)
    parts.run.click(None, None, [*parts.progress, parts.ticket], js=starting, **QUIET)
    given = [parts.photo, parts.ticket, *parts.masks[:1], *parts.controls.components]
    restoring = [*parts.progress, *parts.shown]
    parts.run.click(events.restore, given, restoring, trigger_mode="multiple", **AT_ONCE, **QUIET)
    parts.stop.click(events.stopped, [parts.ticket], parts.progress, concurrency_limit=None, **QUIET)

    opening = in_the_browser(*parts.opening(html.waiting("Opening the photo…")).values())
    for begins in (parts.photo.input, *(button.click for button, _ in parts.examples)):
        begins(None, None, parts.progress, js=opening, **QUIET)
    fresh: dict[str, Any] = {"outputs": [*parts.without_photo()], **OPENING_AT_ONCE, **QUIET}
    asked = [parts.ticket, parts.controls.variant]
    parts.photo.input(events.opened, [parts.photo, *asked], **fresh)
    parts.photo.clear(events.opening(None), asked, **fresh)
    for button, example in parts.examples:
        button.click(events.opening(example), asked, **fresh)
    if parts.finding:
        looking = in_the_browser(*parts.opening(html.waiting("Looking for scratches…")).values())
        parts.finding.button.click(None, None, parts.progress, js=looking, **QUIET)
        looked_at = [parts.photo, parts.finding.sensitivity]
        parts.finding.button.click(events.found, looked_at, [parts.canvas, *parts.progress], **AT_ONCE, **QUIET)
    if parts.mask_file:
        laying = [parts.canvas, parts.status]
        parts.mask_file.upload(events.laid, [parts.photo, parts.mask_file], laying, **QUIET)
