"""A task's controls as sliders and choices."""

from __future__ import annotations

from typing import Any

import gradio as gr

from deconvdemo.tasks import Control


def control_component(control: Control) -> gr.components.Component:
    if control.choices:
        choices = [(f"×{choice}" if control.name == "scale" else str(choice), choice) for choice in control.choices]
        return gr.Radio(choices, value=control.default, label=control.label, info=control.meaning)
    return gr.Slider(
        control.minimum,
        control.maximum,
        value=control.default if control.default is not None else control.minimum,
        step=control.step,
        label=control.label,
        info=control.meaning + (" Estimated when a photo is opened." if control.automatic else ""),
        buttons=[],  # resetting an estimate to the slider's first value would switch the task off
    )


def control_values(controls: tuple[Control, ...], estimates: dict[str, Any]) -> list[Any]:
    """Updates: an estimated control takes its estimate; the visitor's other settings stay from photo to photo."""
    return [gr.update(value=estimates[c.name]) if c.name in estimates else gr.skip() for c in controls]
