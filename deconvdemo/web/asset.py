"""Our own components: `gr.HTML` with its template, style and script kept in `assets/`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr

ASSETS = Path(__file__).parent / "assets"


def asset(*names: str) -> str:
    """The text of these files of `assets/`, one after another."""
    return "\n".join((ASSETS / name).read_text(encoding="utf-8") for name in names)


def html_component(name: str, scripts: tuple[str, ...], empty: str, **kwargs: Any) -> gr.HTML:
    """A component that shows photos on a stage: `name`.html, `name`.css, the stage's script and `scripts`.

    The template takes nothing from the value, so Gradio never redraws what the script draws; the script reads
    `props.value` when it starts and whenever `watch` says that the server changed it.
    """
    return gr.HTML(
        html_template=asset(f"{name}.html"),
        css_template=asset("stage.css", f"{name}.css"),
        js_on_load=asset("keys.js", "stage.js", *scripts),
        apply_default_css=False,
        empty=empty,
        elem_classes=f"dd-{name}",
        **kwargs,
    )


def in_the_browser(*values: Any, new_ticket: bool = False) -> str:
    """For an event's `js`: gives its outputs these values at once, before the server hears of it.

    With `new_ticket` one more output gets a text that no other visitor has (`crypto` is not there without https).
    """
    ticket = ', Date.now() + "-" + Math.random()' if new_ticket else ""
    return f"() => [...{json.dumps(values)}{ticket}]"


def looked_up(table: Mapping[tuple[Any, ...], list[Any]]) -> str:
    """For an event's `js`: its outputs' values by those of its inputs, without waiting for a server that is busy."""
    return f"(...given) => ({json.dumps({_key(given): values for given, values in table.items()})})[given.join(' ')]"


def _key(given: tuple[Any, ...]) -> str:
    return " ".join(map(str, given))  # as the page's own `join` writes words and whole numbers
