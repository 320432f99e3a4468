"""The place to drop, paste or take a photo: Gradio's image component that hands over the file itself."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any

import gradio as gr
from gradio.processing_utils import save_bytes_to_cache

from deconvdemo.web.components.previews import original
from deconvdemo.web.server.ages import GONE


class PhotoInput(gr.Image):
    """Gives its event the uploaded file's path, untouched.

    `gr.Image` decodes with Pillow before the app can look at the header (an 18 KB file of 150 MP takes seconds and
    gigabytes), turns what it cannot read into "Error", and re-encodes. `photo.py` does all of that better.
    """

    over: Callable[[str], bool] = staticmethod(lambda path: False)  # whether a file is too old to be read
    is_template = True  # drawn by gr.Image's own page code

    def preprocess(self, payload: Any) -> str | None:
        if payload is None:
            return None
        if payload.url and payload.url.startswith("data:"):  # a camera's or a pasted picture
            try:
                data = base64.b64decode(payload.url.partition(",")[2], validate=True)
            except binascii.Error:
                raise gr.Error("The pasted picture arrived damaged: paste it again.", print_exception=False) from None
            return save_bytes_to_cache(data, "photo.png", self.GRADIO_CACHE)
        if payload.path and self.over(payload.path):
            raise gr.Error(GONE, print_exception=False)
        return original(payload.path) if payload.path else None
