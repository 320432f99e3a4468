"""Beside every result: what is wrong with it, or that it is good, and consent in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from deconvdemo.errors import DeconvdemoError
from deconvdemo.feedback.events.records import CONSENT, REASONS
from deconvdemo.web.asset import asset
from deconvdemo.web.components.painter import mask_from_painter, painter, painting
from deconvdemo.web.components.photo_input import PhotoInput
from deconvdemo.web.restore import html
from deconvdemo.web.restore.flag_routes import erase_link
from deconvdemo.web.restore.flagging import Flagging
from deconvdemo.web.restore.results import Kept
from deconvdemo.web.server.visitors import address_of

FOLLOW = asset("flag_state.js")


@dataclass(frozen=True)
class FlagPanel:
    """What a tab changes to clear the panel, by part, and to show it for a result."""

    cleared: dict[Any, Any]
    shown: Callable[[Kept], dict[Any, Any]]


def flag_panel(flagging: Flagging) -> FlagPanel:
    """Builds the panel, hidden until there is a result."""
    with gr.Group(visible=False, elem_classes="dd-flag") as group:
        gr.HTML(
            "<h3>How is this result?</h3><p>What you flag is reviewed and trains better weights.</p>",
            padding=True,
        )
        result = gr.State("")
        reasons = gr.CheckboxGroup([(label, key) for key, label in REASONS.items()], label="It is, or it has", value=[])
        comment = gr.Textbox(label="Comment", lines=2, max_length=10_000, placeholder="Optional: what and where")
        with gr.Accordion("Mark where, or give a better version (optional)", open=False):
            region = painter("The result appears here, to mark where it is wrong.")
            clean = PhotoInput(
                label="A clean or corrected version, of the result's size",
                type="filepath",
                image_mode=None,
                sources=["upload", "clipboard"],
                height=160,
            )
        consent = gr.Checkbox(label=CONSENT, value=False, elem_classes="dd-consent")
        send = gr.Button("Send flag", variant="secondary", elem_classes="dd-send")
    status = gr.HTML(padding=False, js_on_load=FOLLOW)

    def sent(
        result: str,
        reasons: list[str],
        comment: str,
        region: Any,
        clean: str | None,
        consent: bool,
        request: gr.Request,
    ) -> str:
        try:
            painted = mask_from_painter(region, flagging.max_pixels * 4)
            address = address_of(request, flagging.behind_proxy)
            saved = flagging.add(result, reasons, comment, consent, clean, painted, address=address)
        except DeconvdemoError as error:
            return html.trouble(error)
        return html.saved(saved.flag_id, erase_link(saved.flag_id, saved.erase_key) if saved.erase_key else "")

    send.click(
        sent,
        [result, reasons, comment, region, clean, consent],
        [status],
        api_visibility="private",
        show_progress="hidden",
        concurrency_id="flag",
        concurrency_limit=4,
    )

    cleared = {group: gr.update(visible=False), result: "", region: None, reasons: [], comment: "", clean: None}
    cleared[status] = ""

    def shown(kept: Kept) -> dict[Any, Any]:
        canvas = painting(kept.url(kept.restored), kept.width, kept.height)
        return {**cleared, group: gr.update(visible=True), result: kept.restoration_id, region: canvas}

    return FlagPanel(cleared, shown)
