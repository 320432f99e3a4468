"""What our own pages are made of: the style and the script of each, with the stages that show photos on it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from deconvdemo.web.asset import asset

VIEWER = ("viewer",)
UNLISTED = '<meta name="robots" content="noindex">\n'
PAGE = """\
<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="{up}favicon.ico">
{robots}<title>{title} · deconvdemo</title>
{links}</head>
<body>
{body}</body>
</html>
"""


def page_html(
    name: str, title: str, links: str, up: str = "", listed: bool = False, language: str = "en", body: str = ""
) -> str:
    """A page whose body is `body`, else `name`.html. `links` are its style and script, `up` is the way to the
    demo's own address; search engines keep off what is not `listed`."""
    robots = "" if listed else UNLISTED
    body = body or asset(f"{name}.html")
    return PAGE.format(up=up, robots=robots, title=title, links=links, language=language, body=body)


def page_links(place: str, script: bool = True) -> str:
    """To the style of a page, and to its `script` if it has one; `place` is where they are."""
    style = f'<link rel="stylesheet" href="{place}/page.css">\n'
    return style + (f'<script src="{place}/page.js" defer></script>\n' if script else "")


def page_style(name: str, stages: Sequence[str] = VIEWER) -> str:
    """`name`.css, what all pages share, and each stage's own, which holds inside its element alone."""
    nested = [f".{stage} {{\n{asset('stage.css', f'{stage}.css')}\n}}" for stage in stages]
    return "\n".join([asset("pages.css", f"{name}.css"), *nested, ""])


def page_script(words: Mapping[str, Any], *scripts: str, stages: Sequence[str] = VIEWER) -> str:
    """`scripts`, with `words` as WORDS and, for each stage, its HTML and a function that starts it."""
    return "\n".join(
        [
            f"const WORDS = {json.dumps(words)};",
            *(f"const {stage.upper()}_HTML = {json.dumps(asset(f'{stage}.html'))};" for stage in stages),
            asset("keys.js", "pages.js", "stage.js"),
            *(_starter(stage) for stage in stages),
            asset(*scripts),
        ]
    )


def _starter(stage: str) -> str:
    name = f"start{stage.capitalize()}"
    return f"function {name}(element, props, watch) {{ {asset(f'{stage}.js')}\nreturn {stage}; }}"
