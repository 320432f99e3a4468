"""The place to drop, paste or take a photo: Gradio's image component that hands over the file itself."""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.image_utils import decode_base64_to_file

from gradio.events import Dependency

class PhotoInput(gr.Image):
    """Gives its event the uploaded file's path, untouched.

    `gr.Image` decodes with Pillow before the app can look at the header (an 18 KB file of 150 MP takes seconds and
    gigabytes), turns what it cannot read into "Error", and re-encodes. `photo.py` does all of that better.
    """

    is_template = True  # drawn by gr.Image's own page code

    def preprocess(self, payload: Any) -> str | None:  # type: ignore[override]
        if payload is None:
            return None
        if payload.url and payload.url.startswith("data:"):  # a camera's or a pasted picture
            return decode_base64_to_file(payload.url, self.GRADIO_CACHE, "png")
        return payload.path
    from typing import Callable, Literal, Sequence, Any, TYPE_CHECKING
    from gradio.blocks import Block

    if TYPE_CHECKING:
        from gradio.components import Timer
        from gradio.components.base import Component
