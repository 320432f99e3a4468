"""`/learn`: what it is made of, the free photos its figures begin with, and how far the served networks see."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from deconvdemo.engine.restorer import Restorer
from deconvdemo.image import PHOTOS
from deconvdemo.web.asset import asset
from deconvdemo.web.components.page import page_html, page_links, page_style
from deconvdemo.web.learn.inside import inside_routes
from deconvdemo.web.learn.words import LANGUAGES, TAGS, filled, in_language, language_of
from deconvdemo.web.review.guard import html

SECTIONS = ("grid", "checkerboard", "fourier", "subpixel", "features", "tiles", "generated")  # the last where it is
SCRIPTS = (
    "learn.js",
    "learn_grid_maths.js",
    "learn_grid.js",
    "learn_checkerboard.js",
    "learn_fft.js",
    "learn_photo.js",
    "learn_fourier.js",
    "learn_subpixel.js",
    "learn_features.js",
    "learn_tiles.js",
    "learn_generated.js",
    "learn_start.js",
)
BUNDLED = ("cat", "astronaut", "coffee", "rocket")  # the first is what the figures begin with


def learn_routes(restorer: Restorer, behind_proxy: bool = False, generated: Sequence[Route] = ()) -> list[Route]:
    """Open to everybody; what runs in the browser asks the server for nothing but these files. `generated` answers
    `/learn/generate`: without it there is no section on that."""
    sections = SECTIONS if generated else SECTIONS[:-1]

    def page(request: Request) -> Response:
        language = language_of(request.query_params.get("lang", ""), request.headers.get("accept-language", ""))
        reply = html(page_of(language, sections))
        reply.headers["Content-Language"] = TAGS[language]
        reply.headers.add_vary_header("Accept-Language")
        return reply

    def photo(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in BUNDLED:
            return Response("Not Found", 404)
        return FileResponse(PHOTOS / f"{name}.webp", headers={"Cache-Control": "max-age=3600"})

    def static(text: Callable[[], str], kind: str) -> Callable[[Request], Response]:
        return lambda request: Response(text(), media_type=kind, headers={"Cache-Control": "no-cache"})

    return [
        Route("/learn", page),
        Route("/learn/page.js", static(lambda: script(sections), "text/javascript")),
        Route("/learn/page.css", static(_style, "text/css")),
        Route("/learn/photo/{name}.webp", photo),
        *inside_routes(restorer, behind_proxy),
        *generated,
    ]


def page_of(language: str, sections: Sequence[str] = SECTIONS) -> str:
    """The whole page in one language."""
    figures = "\n".join(asset(f"learn_{name}.html") for name in sections)
    body = asset("learn.html").replace("<!-- sections -->", figures)
    title = in_language(language)["page.title"]
    return page_html("", title, page_links("learn"), listed=True, language=TAGS[language], body=filled(body, language))


def script(sections: Sequence[str] = SECTIONS) -> str:
    words = {TAGS[language]: in_language(language) for language in LANGUAGES}
    facts = {"sections": sections, "photos": BUNDLED}
    constants = [f"const WORDS = {json.dumps(words)};", f"const FACTS = {json.dumps(facts)};"]
    return "\n".join([*constants, asset("keys.js", "pages.js", *SCRIPTS)])


def _style() -> str:
    return page_style("learn", stages=())
