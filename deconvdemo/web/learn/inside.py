"""What the page asks the server: how far the networks see, and what is inside one while it works on a small photo."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deconvdemo.engine.admission import leaving
from deconvdemo.engine.feature_maps import feature_maps
from deconvdemo.engine.restorer import Restorer
from deconvdemo.engine.worker import Share, compute
from deconvdemo.errors import BusyError, DeconvdemoError, PhotoError
from deconvdemo.image.pixels import as_images, as_pixels
from deconvdemo.image.recognition import stated
from deconvdemo.networks.reach import reach
from deconvdemo.redaction import without_places
from deconvdemo.tasks import STANDARD, task_named
from deconvdemo.web.review.guard import PRIVATE
from deconvdemo.web.server.bodies import PICTURE_BYTES
from deconvdemo.web.server.leaving import while_connected

SIDE = 128  # pixels of the photo whose features are shown
DRAWN = ("denoise", "denoise-fast", "upscale-x2")  # whose reach is drawn, where they serve


def inside_routes(restorer: Restorer, behind_proxy: bool) -> list[Route]:
    def sees(body: bytes) -> dict[str, Any]:
        names = [name for name in DRAWN if name in restorer.weights.names()]
        return {"networks": [{"name": name, **_reach(restorer, name)} for name in names]}

    def answered(work):
        async def answer(request: Request) -> Response:
            try:
                body = await request.body() if request.method == "POST" else b""
                if len(body) > PICTURE_BYTES:
                    raise PhotoError(f"a photo for this figure may have {PICTURE_BYTES // 1000} kB at most: send less")
                found = await while_connected(request, work, body, behind_proxy=behind_proxy)
            except BusyError as error:
                return JSONResponse({"error": str(error)}, 503, headers=PRIVATE)
            except DeconvdemoError as error:
                return JSONResponse({"error": without_places(str(error))}, 400, headers=PRIVATE)
            return JSONResponse(found, headers=PRIVATE)

        return answer

    def features(body: bytes) -> dict[str, Any]:
        size = stated(body)
        if size is None or max(size.width, size.height) > SIDE:
            came = "no photo" if size is None else f"{size.width}×{size.height} pixels"
            raise PhotoError(f"this is {came}: for this figure, send a PNG of {SIDE}×{SIDE} at most")
        with restorer.place(body):
            return _features(restorer, body)

    return [
        Route("/learn/networks", answered(sees)),
        Route("/learn/features", answered(features), methods=["POST"]),
    ]


def _reach(restorer: Restorer, name: str) -> dict[str, Any]:
    network: Any = restorer.network(name)
    steps = [{"kind": kind, "level": level, "pixels": pixels} for kind, level, pixels in reach(network)]
    return {"radius": network.radius, "stride": network.stride, "steps": steps}


def _features(restorer: Restorer, body: bytes) -> dict[str, Any]:
    """Of the standard denoising network, which is told the noise that is estimated."""
    photo = restorer.opener.open(body, SIDE * SIDE)
    task = task_named("denoise")
    controls = task.settled(photo.pixels, task.checked({"variant": STANDARD}), None)
    network = restorer.network(task.weights(controls))
    inputs = task.inputs(as_images(photo.pixels).expand(-1, 3, -1, -1), None, controls)
    work = lambda: feature_maps(network, restorer.compute_on, inputs)
    stages, estimate = compute(work, Share(leaving()))
    height, width = photo.pixels.shape[:2]
    return {
        "width": width,
        "height": height,
        "sigma": controls["sigma"],
        "restored": _text(as_pixels(estimate, np.uint8)),
        "stages": [
            {
                "kind": stage.kind,
                "level": stage.level,
                "channels": stage.channels,
                "height": stage.maps.shape[1],
                "width": stage.maps.shape[2],
                "maps": [_text(one) for one in stage.maps],
            }
            for stage in stages
        ],
    }


def _text(pixels: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(pixels).tobytes()).decode()
