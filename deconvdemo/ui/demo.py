"""The demo: its pages, its routes, and its start."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# before Gradio is imported: it reads this once, and a demo must not phone home
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import gradio as gr
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from deconvdemo import __version__
from deconvdemo.engine.restorer import Restorer
from deconvdemo.errors import ControlError, DeconvdemoError
from deconvdemo.feedback.store import FeedbackStore
from deconvdemo.settings import Settings
from deconvdemo.tasks import TASKS
from deconvdemo.ui.endpoints import endpoints
from deconvdemo.ui.flagging import Flagging
from deconvdemo.ui.restore_tab import QUIET, Desk, restore_tab
from deconvdemo.ui.results import Results

ASSETS = Path(__file__).parent / "assets"
INTRODUCTION = """
<header class="dd-header">
  <h1>deconvdemo</h1>
  <p>Restore a photo with small deconvolution networks, look closely, and say where they fail:
  what you flag trains the next weights.</p>
</header>
"""


@dataclass(frozen=True)
class Demo:
    """The built pages, and what `launch` must pass with them."""

    blocks: gr.Blocks
    routes: list[Route]
    folder: Path  # of results: the only folder that Gradio may serve files from


def build(settings: Settings, restorer: Restorer) -> Demo:
    """Puts the pages together; nothing is listened to yet, and no file is written."""
    results = Results(settings.data_dir / "results", settings.results_hours, settings.results_mb)
    store = FeedbackStore(settings.data_dir, settings.database_url, settings.min_free_mb)
    flagging = Flagging(results, store, settings.max_pixels)
    with gr.Blocks(title="deconvdemo", analytics_enabled=False, fill_width=False) as blocks:
        gr.HTML(INTRODUCTION, padding=False)
        for task in TASKS.values():
            with gr.Tab(task.title, id=task.name):
                restore_tab(Desk(task, restorer, flagging))
        serving = gr.HTML(padding=False)
        blocks.load(lambda: _serving(restorer), None, [serving], queue=False, **QUIET)
        endpoints(restorer, flagging)
    blocks.queue(max_size=64)
    return Demo(blocks, [results.route(), _health(restorer, store)], results.folder)


def launch(settings: Settings, restorer: Restorer, share: bool = False, block: bool = True) -> Any:
    """Serves the demo on settings.host and settings.port. `block=False` returns Gradio's (app, local URL, share URL).

    With a weights repository in the settings, its weights are fetched behind the serving ones, then take over.
    Raises ControlError for a port that is taken.
    """
    demo = build(settings, restorer)
    restorer.weights.fetch_in_background(restorer.swap)
    try:
        return demo.blocks.launch(
            server_name=settings.host,
            server_port=settings.port,
            share=share,
            prevent_thread_lock=not block,
            quiet=not block,
            theme=theme(),
            css_paths=[ASSETS / "page.css"],
            app_kwargs={"routes": demo.routes},
            allowed_paths=[str(demo.folder.resolve())],
            max_file_size=f"{settings.max_upload_mb}mb",
            run_history=False,  # it would keep every visitor's photos in the browser, and offers to upload them
            footer_links=["api", "gradio", "settings"],
            ssr_mode=False,
        )
    except OSError as error:
        raise ControlError(
            f"cannot listen on {settings.host}:{settings.port} ({error}): choose another --port"
        ) from error


def theme() -> gr.Theme:
    """Gradio's base theme with the system's fonts: nothing is fetched from elsewhere."""
    fonts = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"]
    return gr.themes.Soft(
        primary_hue="teal",
        secondary_hue="teal",
        neutral_hue="slate",
        font=fonts,
        font_mono=["ui-monospace", "monospace"],
    ).set(
        # Soft's own greys and teals are too faint to read: these reach 4.5:1 on their backgrounds
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_400",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_600",
        button_primary_text_color="white",
        block_title_background_fill="transparent",
        block_title_background_fill_dark="transparent",
        block_title_padding="0",
        checkbox_border_color="*neutral_400",
        checkbox_border_color_dark="*neutral_500",
        block_title_text_color="*neutral_800",
        block_title_text_color_dark="*neutral_100",
        block_label_background_fill="*neutral_100",
        block_label_background_fill_dark="*neutral_800",
        block_label_text_color="*neutral_700",
        block_label_text_color_dark="*neutral_200",
    )


def _serving(restorer: Restorer) -> str:
    """Which weights serve, and why if they are not the ones asked for, under the tabs."""
    from html import escape

    names = restorer.weights.names()
    try:
        rows = [f"{name}: {restorer.weights.status(name)}" for name in names]
    except DeconvdemoError as error:
        rows = [str(error)]
    machine = f"{restorer.compute_on.device}, {restorer.compute_on.precision} ({restorer.compute_on.why})"
    text = " · ".join([f"deconvdemo {__version__}", machine, *rows])
    return f'<p class="dd-serving">{escape(text)}</p>'


def _health(restorer: Restorer, store: FeedbackStore) -> Route:
    """/healthz: 200 and the facts while photos can be restored and flags stored, else 503 and why."""

    def health(request: Request) -> JSONResponse:
        try:
            facts: dict[str, Any] = {"status": "ok", "version": __version__, "flags": store.stats()["total"]}
            facts["weights"] = {name: restorer.weights.status(name) for name in restorer.weights.names()}
        except DeconvdemoError as error:
            return JSONResponse({"status": "failing", "version": __version__, "error": str(error)}, 503)
        return JSONResponse(facts)

    return Route("/healthz", health)
