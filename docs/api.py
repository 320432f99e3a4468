"""Writes docs/api.md: what others rely on, from the docstrings, the tasks' tables, the parser and the demo's routes."""

from __future__ import annotations

import argparse
import inspect
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from deconvdemo import errors
from deconvdemo.__main__ import parser
from deconvdemo.checkpoints.serving import Weights
from deconvdemo.engine.compute import Compute
from deconvdemo.engine.restorer import Progress, Restoration, Restorer
from deconvdemo.settings import Settings
from deconvdemo.tasks import TASKS, Choice
from deconvdemo.web.demo import Demo, build

PAGE = Path(__file__).parent / "api.md"
HEAD = """\
# Reference

<!-- written by `make docs` from the docstrings, the tasks, the command line and the demo's routes -->

What scripts and other programs may rely on: names in [Python](#python), the [tasks](#tasks) and their controls, the
[errors](#errors), the [command line](#command-line), and the [endpoints](#http). The environment's variables are in the
[README](../README.md#deploying).
"""
PYTHON: tuple[tuple[type, tuple[str, ...]], ...] = (
    (Restorer, ("load", "restore", "find_scratches", "steps", "task")),
    (Restoration, ("image", "save", "summary", "report")),
    (Progress, ()),
)
STARS: dict[Any, str] = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
# the routes beside Gradio's own endpoints: what each gives. Those of a page are that page's own, and may change with it
ROUTES = {
    "/results/{key}/{name}": "a result's files, for whoever has its id",
    "/healthz": "whether photos can be restored and flags stored: 200 or 503, and the facts as JSON",
    "/flags/{flag_id}": "a flag's state as JSON: saved, publishing, published (with the revision) or erased",
    "/erase/{flag_id}": "the private link of a flag: what became of it, and a button that erases it",
    "/review": "the review page, or the way to sign in",
    "/review/sign_in": "the review page's form: name and password",
    "/review/page.js": "the review page's script",
    "/review/page.css": "the review page's style",
    "/review/queue": "ids of the flags that the filters show, a page of them",
    "/review/counts": "how many flags each filter would show",
    "/review/cards": "what the grid shows of some flags",
    "/review/audit": "the last verdicts",
    "/review/export": "what the filters show, as a ZIP: `format` says which",
    "/review/flags/{flag_id}": "a flag's facts",
    "/review/flags/{flag_id}/metrics": "PSNR and SSIM, where there is a clean version",
    "/review/flags/{flag_id}/rerun": "the photo restored again with other settings",
    "/review/flags/{flag_id}/catch": "states a flag's truth, or takes that back",
    "/review/flags/{flag_id}/{role}": "one of a flag's images; `small` for a thumbnail",
    "/review/verdicts": "stores a verdict, with a target if there is one",
    "/review/verdicts/bulk": "stores one verdict on many flags",
    "/review/verdicts/several": "verdicts of a page that is being left, in their order",
    "/review/verdicts/{verdict_id}/{role}": "an image that came with a verdict",
    "/review/releases": "the releases page",
    "/review/releases/page.js": "the releases page's script",
    "/review/releases/page.css": "the releases page's style",
    "/review/releases/list": "the releases, with their counts",
    "/review/releases/{sha256}": "what a release made of the flags, a page of them",
    "/review/releases/{sha256}/{flag_id}/{role}": "one of the four pictures of a replayed flag",
    "/learn/generate": "a picture from noise: `seed`, `temperature`, `layer`; or on the way `to` another, `share`",
    "/duel": "the duel page",
    "/duel/page.js": "the duel page's script",
    "/duel/page.css": "the duel page's style",
    "/duel/new": "a new duel: its id, task and size",
    "/duel/ranking": "the rankings, with intervals",
    "/duel/{duel_id}/vote": "stores a vote and tells what made the two sides",
    "/duel/{duel_id}/skip": "forgets a duel that the visitor skips; nothing is stored",
    "/duel/{duel_id}/{side}": "a side's picture, or the observed one",
    "/learn": "the page that explains deconvolution; `?lang=` en or zh, else what the browser prefers",
    "/learn/page.js": "the page's script",
    "/learn/page.css": "the page's style",
    "/learn/networks": "how far the served networks see, layer by layer",
    "/learn/features": "feature maps of the denoising network on a PNG of at most 128×128 pixels and 100 kB",
    "/learn/photo/{name}.webp": "a free photo that its figures begin with",
}


def page(demo: Demo) -> str:
    return "\n".join([HEAD, *python(), *tasks(), *named_errors(), *command_line(), *http(demo)]) + "\n"


def python() -> Iterator[str]:
    yield "## Python\n"
    yield "`from deconvdemo import Restorer` is all that is needed.\n"
    for one, names in PYTHON:
        yield f"### {one.__name__}\n"
        yield _told(one)
        if fixed := [f"`{found}`" for found in (_field(field) for field in _fields(one))]:
            yield f"Fields: {', '.join(fixed)}\n"
        for name in names:
            member = inspect.getattr_static(one, name)
            function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
            called = "" if isinstance(member, property) else _parameters(function)
            yield f"#### `{one.__name__}.{name}{called}`\n"
            yield _told(function)


def _told(one: Any) -> str:
    """A docstring as Markdown: its example is code."""
    text = (inspect.getdoc(one) or "").replace("  # doctest: +SKIP", "")
    return re.sub(r"^>>> ", "    ", text, flags=re.MULTILINE) + "\n"


def _fields(one: type) -> tuple[Any, ...]:
    return fields(one) if hasattr(one, "__dataclass_fields__") else ()


def _field(field: Any) -> str:
    given = "" if field.default is MISSING else f" = {field.default!r}"
    return f"{field.name}: {field.type}{given}"


def _parameters(function: Callable[..., Any]) -> str:
    """As they are given: without `self`, and without the types, which the docstring tells in words."""
    told = []
    for name, one in inspect.signature(function).parameters.items():
        if name not in ("self", "cls"):
            given = "" if one.default is one.empty else f"={one.default!r}" if _is_plain(one.default) else "=…"
            told.append(STARS.get(one.kind, "") + name + given)
    return f"({', '.join(told)})"


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float | bool)


def tasks() -> Iterator[str]:
    yield "## Tasks\n"
    yield "Controls have these names in Python, on the command line (`--name`), over HTTP, in reports and datasets.\n"
    for task in TASKS.values():
        yield f"### {task.name}\n"
        yield f"{task.promise}{' It needs a mask.' if task.needs_mask else ''}\n"
        yield "| control | default | takes | meaning |\n|---|---|---|---|"
        for control in task.controls:
            default = "auto" if control.default is None else f"{control.default}".lower()
            yield f"| `{control.name}` | {default} | {control.expected()} | {control.meaning} |"
        yield ""
        for control in task.controls:
            if isinstance(control, Choice):
                for word, option in control.options.items():
                    yield f"- `{word}`: {option.label}. {option.meaning}"
        yield ""


def named_errors() -> Iterator[str]:
    yield "## Errors\n"
    yield "All are in `deconvdemo.errors`; each is one sentence.\n"
    for name, one in vars(errors).items():
        if inspect.isclass(one) and issubclass(one, errors.DeconvdemoError):
            base = "" if one is errors.DeconvdemoError else f" ({one.__bases__[0].__name__})"
            yield f"- `{name}`{base}: {inspect.getdoc(one)}"
    yield ""


def commands(of: argparse.ArgumentParser, name: str = "deconvdemo") -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Every command that does something, with its parser."""
    within = [action for action in of._actions if isinstance(action, argparse._SubParsersAction)]
    if not within:
        yield name, of
    for action in within:
        for verb, inner in action.choices.items():
            yield from commands(inner, f"{name} {verb}")


def command_line() -> Iterator[str]:
    yield "## Command line\n"
    yield "`deconvdemo VERB …`, or `python -m deconvdemo VERB …`. Status 0: done; 1: something failed, in a line of"
    yield "stderr; 2: the call is wrong. `--debug` shows the traceback; `--help` and `--version` are there, too.\n"
    for name, command in commands(parser()):
        yield f"### `{name}`\n"
        yield f"{command.description}\n"
        rows = [_option(action) for action in command._actions if not isinstance(action, argparse._HelpAction)]
        if rows:
            yield "| | |\n|---|---|"
            yield from rows
            yield ""


def _option(action: argparse.Action) -> str:
    value = action.metavar if isinstance(action.metavar, str) else ""
    if not value and action.nargs != 0:
        value = "|".join(map(str, action.choices)) if action.choices else action.dest.upper()
    more = " …" if action.nargs in ("+", "*") else ""
    words = [f"{option} {value}".strip() for option in action.option_strings] or [value]
    needed = " **needed**:" if action.required and action.option_strings else ""
    cells = (f"`{', '.join(words)}{more}`", f"{needed} {action.help}".strip())
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def http(demo: Demo) -> Iterator[str]:
    yield "## HTTP\n"
    yield "Gradio's endpoints, for `gradio_client`, and for curl at `/gradio_api/call/NAME`.\n"
    for name, endpoint in demo.blocks.get_api_info()["named_endpoints"].items():
        told = [_given(one) for one in endpoint["parameters"]]
        yield f"### `{name}({', '.join(told)})`\n"
        yield f"{endpoint['description']}\n"
        for one in endpoint["parameters"]:
            if (label := one["label"]) != one["parameter_name"]:
                yield f"- `{one['parameter_name']}`: {label.removeprefix(one['parameter_name'] + ': ')}"
        yield f"- gives: {'; '.join(one['label'] for one in endpoint['returns'])}\n"
    yield "Beside them (`/insight` and the demo itself are Gradio's pages):\n"
    yield "| | | |\n|---|---|---|"
    for path, methods in routes(demo):
        yield f"| {methods} | `{path}` | {ROUTES.get(path, '')} |"


def _given(one: dict[str, Any]) -> str:
    default = f"={one['parameter_default']!r}" if one["parameter_has_default"] else ""
    return f"{one['parameter_name']}{default}"


def built() -> Demo:
    """The demo as it would be launched, with no weights loaded and nothing listened to."""
    with tempfile.TemporaryDirectory() as folder:
        return build(Settings(data_dir=Path(folder)), Restorer(Weights(), Compute("cpu", "fp32", "for the reference")))


def routes(demo: Demo) -> Iterable[tuple[str, str]]:
    """(path, methods) of what the demo has beside Gradio; a path with a slash at its end goes on to the one without."""
    for route in demo.routes:
        if not route.path.endswith("/"):
            yield route.path, ", ".join(sorted((route.methods or set()) - {"HEAD"}))


if __name__ == "__main__":
    PAGE.write_text(page(built()), encoding="utf-8")
