"""The control of a blur: judged, in numbers, drawn with the finger, or from a file; all of it in the browser."""

from __future__ import annotations

import gradio as gr

from deconvdemo.tasks.kernel import Kernel
from deconvdemo.web.asset import html_component


def kernel_pad(control: Kernel) -> gr.HTML:
    """Its value is the control's: "auto", "motion:15,30", or "taps:…" of what was drawn or chosen."""
    return html_component("kernel", ("kernel_taps.js", "kernel.js"), control.label, value=control.default)
