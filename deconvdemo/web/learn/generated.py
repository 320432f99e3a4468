"""`/learn/generate`: a picture from noise, or one of the steps on its way, as a small PNG."""

from __future__ import annotations

import asyncio

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from deconvdemo.engine.generating import interpolated, layers
from deconvdemo.errors import ControlError, DeconvdemoError
from deconvdemo.image.photo import Photo
from deconvdemo.image.writing import encode_photo

WAITING = 16  # requests that wait for the compute thread, or are on it: a class of visitors, each once
DAY = {"Cache-Control": "max-age=86400"}  # the same question has the same answer


def generated_routes() -> list[Route]:
    waiting = asyncio.Semaphore(WAITING)

    async def generate(request: Request) -> Response:
        """`seed`, `temperature`, `layer` (0, the smallest, to the last); or `to`, another seed, with `share`."""
        if waiting.locked():
            return PlainTextResponse(
                "Many pictures are being drawn: ask again in a moment", 503, headers={"Retry-After": "2"}
            )
        async with waiting:
            try:
                picture = await run_in_threadpool(_drawn, dict(request.query_params))
            except ControlError as error:
                return PlainTextResponse(str(error), 400)
            except DeconvdemoError as error:
                return PlainTextResponse(str(error), 503)
        return Response(picture, media_type="image/png", headers=DAY)

    return [Route("/learn/generate", generate)]


def _drawn(asked: dict[str, str]) -> bytes:
    seed, temperature = _number(asked, "seed", 0), _number(asked, "temperature", 1)
    if "to" in asked:
        share = _number(asked, "share", 0.5)
        if not 0 <= share <= 1:
            raise ControlError(f"share is {share:g}, but it must be a number from 0 to 1")
        picture = interpolated(seed, _number(asked, "to", 0), share, temperature)
    else:
        grown = layers(seed, temperature)
        layer = _number(asked, "layer", len(grown) - 1)
        if layer not in range(len(grown)):
            raise ControlError(f"layer is {layer:g}, but it must be a whole number from 0 to {len(grown) - 1}")
        picture = grown[int(layer)]
    return encode_photo(Photo(picture), "PNG")


def _number(asked: dict[str, str], name: str, default: float) -> float:
    try:
        return float(asked.get(name, default))
    except ValueError:
        raise ControlError(f"{name} is {asked[name]:.40}, but it must be a number") from None
