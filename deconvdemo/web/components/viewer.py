"""The before/after comparison."""

from __future__ import annotations

from typing import Any

import gradio as gr

from deconvdemo.web.asset import html_component


def viewer(empty: str, **kwargs: Any) -> gr.HTML:
    """Before and after: split, side by side, flicker or difference, at any zoom; with no value it says `empty`.

    Its value is None or what `comparison` returns; `kwargs` are `gr.HTML`'s (`elem_id`, `visible`, …).
    Give the events that fill it `show_progress="hidden"`, or Gradio fades the old result under its spinner.
    """
    return html_component("viewer", ("viewer.js",), empty, **kwargs)


def comparison(
    before: str,
    after: str,
    width: int,
    height: int,
    before_label: str = "Before",
    after_label: str = "After",
) -> dict[str, Any]:
    """A viewer's value: two URLs of our own pages and the size, in pixels, of the picture after.

    The picture before may be smaller, as in upscaling: it is drawn at the same size, smoothly or as pixels.
    """
    return {
        "before": before,
        "after": after,
        "width": width,
        "height": height,
        "before_label": before_label,
        "after_label": after_label,
    }
