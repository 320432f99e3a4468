"""What the page that explains asks the server: feature maps of a small photo, and how far the networks see."""

from __future__ import annotations

import base64
import threading

import numpy as np
import pytest
import torch
from demo_app import bomb, png
from starlette.applications import Starlette
from starlette.testclient import TestClient

from deconvdemo.engine.admission import Admission
from deconvdemo.engine.feature_maps import SHOWN, feature_maps
from deconvdemo.errors import CheckpointError
from deconvdemo.networks import NETWORKS
from deconvdemo.networks.reach import reach
from deconvdemo.web.learn.inside import SIDE, inside_routes

PHOTO = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)


@pytest.fixture
def visitor(restorer) -> TestClient:
    return TestClient(Starlette(routes=inside_routes(restorer, False)))


def pixels(text: str, *shape: int) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(shape)


def test_every_stage_is_shown_and_the_result_is_the_restorers(visitor, restorer):
    found = visitor.post("/learn/features", content=png(PHOTO)).json()
    kinds = [stage["kind"] for stage in found["stages"]]
    lowest = kinds.count("down")
    assert kinds == ["down"] * lowest + ["body"] + ["deconvolution", "up"] * lowest + ["tail"]
    for stage in found["stages"]:
        assert (stage["height"], stage["width"]) == (SIDE >> stage["level"],) * 2
        assert len(stage["maps"]) == min(SHOWN, stage["channels"])
        for text in stage["maps"]:
            pixels(text, stage["height"], stage["width"])
    restored = pixels(found["restored"], SIDE, SIDE, 3)
    whole = restorer.restore("denoise", PHOTO, variant="standard", sigma=found["sigma"])
    assert np.abs(restored.astype(int) - whole.photo.pixels).max() <= 1


def test_a_grey_photo_of_an_odd_size_is_taken(visitor):
    found = visitor.post("/learn/features", content=png(PHOTO[:37, :51, :1])).json()
    assert (found["height"], found["width"]) == (37, 51)
    pixels(found["restored"], 37, 51, 3)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (png(np.zeros((SIDE + 1, 8, 3), np.uint8)), "8×129 pixels"),
        (bomb(), "12000×12000 pixels"),
        (b"\x89PNG" + bytes(100_001), "100 kB at most"),
        (b"no picture", "not a photo of a known kind"),
        (b"", "is empty"),
        (png(PHOTO)[:2000], ""),
    ],
)
def test_what_is_too_large_or_no_photo_is_refused_in_a_sentence(visitor, body, told):
    reply = visitor.post("/learn/features", content=body)
    assert reply.status_code == 400
    assert set(reply.json()) == {"error"}
    assert told in reply.json()["error"]
    assert "Traceback" not in reply.text
    assert "/" not in reply.json()["error"]


def test_where_too_many_wait_it_says_so_and_computes_nothing(restorer, monkeypatch):
    monkeypatch.setattr(restorer, "admission", Admission(places=0, room=0))
    visitor = TestClient(Starlette(routes=inside_routes(restorer, False)))
    reply = visitor.post("/learn/features", content=png(PHOTO))
    assert reply.status_code == 503
    assert "try again" in reply.json()["error"]


def test_looking_inside_leaves_the_serving_network_as_it_is(restorer):
    network = restorer.network("denoise")
    hooks = [len(module._forward_hooks) for module in network.modules()]
    inputs = torch.rand(1, 4, 24, 24, generator=torch.Generator().manual_seed(0))
    maps, estimate = feature_maps(network, restorer.compute_on, inputs)
    assert [len(module._forward_hooks) for module in network.modules()] == hooks
    with torch.inference_mode():
        assert torch.equal(network(inputs), estimate)
    assert maps[0].maps.dtype == np.uint8
    with pytest.raises(CheckpointError, match="DeconvUNet"):
        feature_maps(NETWORKS["DeconvSR"](2, 4, 1), restorer.compute_on, inputs)


def test_what_many_ask_at_once_is_each_their_own(visitor):
    photos = [np.full((16, 16, 3), level, np.uint8) for level in (10, 120, 240)]
    alone = [visitor.post("/learn/features", content=png(photo)).json() for photo in photos]
    found: dict[int, object] = {}
    ask = lambda number: found.update({number: visitor.post("/learn/features", content=png(photos[number])).json()})
    threads = [threading.Thread(target=ask, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[number] for number in range(3)] == alone


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("DeconvUNet", {"widths": [2, 4, 6, 8], "blocks": [4, 4, 2, 2]}),
        ("DeconvUNet", {"widths": [3], "blocks": 1}),
        ("DeconvSR", {"scale": 2, "channels": 4, "depth": 5}),
    ],
)
def test_the_last_layer_reaches_as_far_as_the_network_says(kind, config):
    network = NETWORKS[kind](**config)
    steps = reach(network)
    assert steps[-1][2] == network.radius
    assert [pixels for _, _, pixels in steps] == sorted(pixels for _, _, pixels in steps)


def test_networks_without_layers_told_are_no_secret_failure():
    with pytest.raises(ValueError, match="HarmJudge"):
        reach(NETWORKS["HarmJudge"](4))


def test_the_page_is_told_how_far_the_served_networks_see(visitor, restorer):
    told = {one["name"]: one for one in visitor.get("/learn/networks").json()["networks"]}
    assert set(told) >= {"denoise", "upscale-x2"}
    for name, one in told.items():
        assert one["radius"] == one["steps"][-1]["pixels"] == restorer.network(name).radius
