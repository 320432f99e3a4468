"""The HTTP API of the tasks, and `/find_scratches` and `/flag`, with the parameters that the command line has.

Hidden components, not `gr.api`: they type files for every client and keep paths to what was really uploaded.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import gradio as gr

from deconvdemo.engine.restorer import Restorer
from deconvdemo.errors import DeconvdemoError
from deconvdemo.feedback.events.records import REASONS
from deconvdemo.tasks import Control, Number, Switch, Task
from deconvdemo.tasks.helpers import FINDERS, Finder
from deconvdemo.web.components.photo_input import PhotoInput
from deconvdemo.web.restore.flag_routes import erase_link
from deconvdemo.web.restore.flagging import Flagging
from deconvdemo.web.restore.tab import AT_ONCE
from deconvdemo.web.server.leaving import asker
from deconvdemo.web.server.visitors import address_of


def endpoints(tasks: Iterable[Task], restorer: Restorer, flagging: Flagging) -> None:
    """Adds the endpoints to the current `gr.Blocks`: one for each of these tasks, with the variants they offer."""
    for task in tasks:
        _restoring(task, restorer, flagging)
    for helper in FINDERS.values():
        _finding(helper, restorer, flagging)
    _flagging(flagging)


def _restoring(task: Task, restorer: Restorer, flagging: Flagging) -> None:
    files = ["photo", "mask"] if task.needs_mask else ["photo"]
    names = [*files, *(control.name for control in task.controls)]

    def restore(*values: Any) -> tuple[str, dict[str, Any]]:
        given = dict(zip(names, values, strict=True))
        paths = [given.pop(name) for name in files]
        try:
            given = restorer.task(task.name).checked(given)  # so that no stranger's text names a file here
            scale = task.scale(given)
            who = asker(flagging.behind_proxy)
            with restorer.place(*paths, scale=scale, asker=who, by_turns=task.by_turns):
                restoration = restorer.restore(task.name, *paths, **given)
                kept = flagging.results.keep(restoration, Path(paths[0]).name)
        except DeconvdemoError as error:
            raise gr.Error(str(error), print_exception=False) from error
        return str(flagging.results.path(kept, kept.download)), restoration.report() | {"checkpoint": kept.checkpoint}

    # Gradio reads the parameters' names and defaults from the signature
    parameters = [_parameter(name, inspect.Parameter.empty) for name in files]
    parameters += [_parameter(control.name, control.default) for control in task.controls]
    restore.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    inputs = [file_input(name) for name in files] + [_setting(control) for control in task.controls]
    outputs = [gr.File(label="restored", visible=False), gr.JSON(label="report", visible=False)]
    gr.Button(visible=False).click(
        restore, inputs, outputs, api_name=task.name, api_description=task.promise, show_progress="hidden", **AT_ONCE
    )


def _finding(helper: Finder, restorer: Restorer, flagging: Flagging) -> None:
    control = helper.sensitivity

    def find(photo: str, sensitivity: float = control.default) -> tuple[str, dict[str, Any]]:
        try:
            with restorer.place(photo, asker=asker(flagging.behind_proxy)):
                found = restorer.found(photo, sensitivity)
                file = flagging.results.keep_mask(found.mask, Path(photo).name)
        except DeconvdemoError as error:
            raise gr.Error(str(error), print_exception=False) from error
        told = {"marked": round(found.share, 6), "sensitivity": sensitivity, "sentence": found.sentence()}
        return str(file), told

    outputs = [gr.File(label="mask", visible=False), gr.JSON(label="report", visible=False)]
    gr.Button(visible=False).click(
        find, [file_input("photo"), _setting(control)], outputs, api_name=helper.endpoint,
        api_description=helper.promise, show_progress="hidden", **AT_ONCE,
    )  # fmt: skip


def _parameter(name: str, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default)


def file_input(name: str) -> PhotoInput:
    return PhotoInput(label=name, type="filepath", image_mode=None, visible=False)


def _setting(control: Control) -> gr.components.Component:
    # a text, not a list to choose from: Gradio would refuse another word before our sentence can say which there are
    component = {Number: gr.Number, Switch: gr.Checkbox}.get(type(control), gr.Textbox)
    return component(value=control.default, label=f"{control.name}: {control.expected()}", visible=False)


def _flagging(flagging: Flagging) -> None:
    def flag(
        restoration_id: str,
        reasons: list[str],
        comment: str = "",
        consent: bool = True,
        clean: str | None = None,
        region: str | None = None,
        client_token: str = "",
        request: gr.Request = None,
    ) -> dict[str, str]:
        """Stores a flag of a result; durable when it returns. Repeating a `client_token` stores nothing more."""
        try:
            address = address_of(request, flagging.behind_proxy)
            saved = flagging.add(
                restoration_id or "", reasons, comment or "", consent, clean, region, client_token or "", address
            )
        except DeconvdemoError as error:
            raise gr.Error(str(error), print_exception=False) from error
        erase = {"erase": erase_link(saved.flag_id, saved.erase_key)} if saved.erase_key else {}
        return {"flag_id": saved.flag_id, "state": saved.state, **erase}

    inputs = [
        gr.Textbox(label="restoration_id", visible=False),
        gr.JSON(label=f"reasons: a list of {', '.join(REASONS)}", visible=False),
        gr.Textbox(value="", label="comment", visible=False),
        gr.Checkbox(value=True, label="consent to the public dataset", visible=False),
        file_input("clean"),
        file_input("region"),
        gr.Textbox(value="", label="client_token", visible=False),
    ]
    gr.Button(visible=False).click(
        flag,
        inputs,
        gr.JSON(label="flag_id, state, and a private link to erase it", visible=False),
        api_name="flag",
        api_description="Flags a result: what is wrong with it, or that it is good.",
        show_progress="hidden",
    )
