"""The test bench over HTTP: `/bench`, with the names that `deconvdemo bench-report --damage list` prints."""

from __future__ import annotations

from typing import Any

import gradio as gr

from deconvdemo.errors import DeconvdemoError
from deconvdemo.evaluation.bench.run import SIDE
from deconvdemo.web.bench.service import ALL, OWN, BenchService
from deconvdemo.web.restore.endpoints import file_input
from deconvdemo.web.restore.tab import AT_ONCE

DAMAGE = "denoise sigma 25"
PROMISE = (
    f"Harms a clean photo (of more than {SIDE} pixels a side: made smaller first) on purpose, restores it by every "
    "method that applies, and measures how near each comes."
)
WORDS = {
    "damage": f'such as "deblur defocus:3, 2.55" or "upscale x2"; "{OWN} " and a task: the damaged photo is given',
    "methods": f"names with commas between, such as standard,nlm; empty: all that are quick; {ALL}: the slow ones, too",
}


def bench_endpoint(service: BenchService) -> None:
    """Adds the endpoint to the current `gr.Blocks`."""

    def bench(
        photo: str, damage: str = DAMAGE, methods: str = "", damaged: str | None = None
    ) -> tuple[dict[str, Any], str, str]:
        try:
            facts, figure, table = service.whole(photo, damaged, damage or "", methods or "")
        except DeconvdemoError as error:
            raise gr.Error(str(error), print_exception=False) from error
        return facts, str(figure), str(table)

    inputs = [
        file_input("photo"),
        gr.Textbox(value=DAMAGE, label=f"damage: {WORDS['damage']}", visible=False),
        gr.Textbox(value="", label=f"methods: {WORDS['methods']}", visible=False),
        file_input("damaged"),
    ]
    outputs = [
        gr.JSON(label="report", visible=False),
        gr.File(label="figure", visible=False),
        gr.File(label="table", visible=False),
    ]
    gr.Button(visible=False).click(
        bench, inputs, outputs, api_name="bench", api_description=PROMISE, show_progress="hidden", **AT_ONCE
    )
