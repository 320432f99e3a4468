"""The figures of the page that explains, in a real browser: their numbers are PyTorch's and NumPy's."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
import torch
import uvicorn
from audit import faults
from demo_app import free_port, png
from playwright.sync_api import expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from deconvdemo.web.learn.routes import learn_routes


def generated(request: Request) -> Response:
    """As the generator's own route answers."""
    side = 4 << int(request.query_params.get("layer", 4))
    return Response(png(np.full((side, side, 3), int(request.query_params["seed"]), np.uint8)), media_type="image/png")


@pytest.fixture(scope="module")
def url(restorer) -> Iterator[str]:
    """The page's own routes alone: Gradio would take seconds to start."""
    icon = Route("/favicon.ico", lambda request: Response(media_type="image/x-icon"))
    port = free_port()
    app = Starlette(routes=[*learn_routes(restorer, generated=[Route("/learn/generate", generated)]), icon])
    server = uvicorn.Server(uvicorn.Config(app, "127.0.0.1", port, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{port}/learn"
    server.should_exit = True
    thread.join()


def test_the_figures_compute_what_they_say(open_page, url):
    page = open_page(url)
    rng = np.random.default_rng(3)
    x, w = rng.integers(-5, 9, (4, 4)).astype(float), rng.integers(-5, 9, (3, 3)).astype(float)
    given = [x.tolist(), w.tolist()]
    one, other = (torch.tensor(array)[None, None] for array in (x, w))
    for name, function in (
        ("transposed", torch.nn.functional.conv_transpose2d),
        ("convolved", torch.nn.functional.conv2d),
    ):
        for stride, padding in ((1, 0), (2, 1), (3, 2)):
            found = page.evaluate(f"([x, w]) => {name}(x, w, {stride}, {padding})", given)
            assert found == function(one, other, stride=stride, padding=padding)[0, 0].tolist()
    # a flat field's unevenness inside: none where the stride divides the kernel
    uneven = "([k, s]) => unevenness(transposed(gridOf(9, 9, () => 1), gridOf(k, k, () => 1), s, 0), k)"
    for k, s in ((4, 2), (2, 2), (6, 3)):
        assert page.evaluate(uneven, [k, s]) == 0
    assert page.evaluate(uneven, [3, 2]) > 1
    assert page.evaluate(uneven, [5, 2]) > 0.5
    # the sub-pixel way gives the same numbers
    kernel = rng.integers(-5, 9, (6, 6)).tolist()
    same = "([x, w]) => JSON.stringify(shuffled(smallPictures(x, w, 3), 3)) === JSON.stringify(transposed(x, w, 3, 0))"
    assert page.evaluate(same, [x.tolist(), kernel])


def test_inverse_wiener_and_adjoint_are_what_mathematics_says(open_page, url):
    page = open_page(url)
    rng = np.random.default_rng(4)
    side = 16
    picture, kernel, other = (rng.uniform(0, 255, (side, side)) for _ in range(3))
    kernel /= kernel.sum()
    kernel[0, 0] += 1  # no wave is lost
    found = page.evaluate(
        """([x, h, side]) => {
          const [X, H, N] = [spectrumOf(x, side), spectrumOf(h, side), spectrumOf(noiseOf(side * side), side)];
          const noisy = waysBack(X, H, N, 5, 0.01, side), clean = waysBack(X, H, N, 0, 0.01, side);
          const list = (values) => Array.from(values);
          const {observed, adjoint, wiener} = noisy.pictures;
          return {re: list(X.re), im: list(X.im), noise: list(noiseOf(side * side)),
            inverse: list(clean.pictures.inverse), observed: list(observed),
            adjoint: list(adjoint), wiener: list(wiener)};
        }""",
        [picture.ravel().tolist(), kernel.ravel().tolist(), side],
    )
    spectrum, transfer = np.fft.fft2(picture), np.fft.fft2(kernel)
    assert np.allclose(np.array(found["re"]) + 1j * np.array(found["im"]), spectrum.ravel())
    assert np.allclose(found["inverse"], picture.ravel(), atol=1e-6)
    y = np.fft.ifft2(spectrum * transfer).real + 5 * np.reshape(found["noise"], (side, side))
    assert np.allclose(found["observed"], y.ravel())
    back = np.fft.ifft2(np.conj(transfer) * np.fft.fft2(y)).real
    assert np.allclose(found["adjoint"], back.ravel())
    ax, aty = np.fft.ifft2(transfer * np.fft.fft2(other)).real, back
    assert np.vdot(ax, y) == pytest.approx(np.vdot(other, aty), rel=1e-9)
    wiener = np.fft.ifft2(np.conj(transfer) * np.fft.fft2(y) / (abs(transfer) ** 2 + 0.01)).real
    assert np.allclose(found["wiener"], wiener.ravel())


@pytest.mark.parametrize("look", [{"width": 1280}, {"width": 320, "dark": True, "touch": True}])
def test_a_student_plays_with_the_figures(open_page, url, look):
    page = open_page(f"{url}?lang={'en' if look['width'] > 400 else 'zh'}", **look)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    decibels = lambda way: float(page.locator(".decibels").nth(way).inner_text().split()[1].replace("−", "-"))
    expect(page.locator(".decibels").nth(4)).to_contain_text("dB")
    observed, adjoint, inverse, wiener = map(decibels, range(1, 5))
    assert inverse < adjoint < observed < wiener
    before = page.inner_text("#grid-words")
    page.focus("#grid-step")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#grid-words")).not_to_have_text(before)
    assert page.locator("#grid-input .hot").count() == 1
    page.locator("#grid-cells input").first.fill("7")  # 7 · 1 is painted by the second input cell, on 3 · 2
    expect(page.locator("#grid-output .hot", has_text="13")).to_have_count(1)
    page.locator("[name=grid-kind][value=convolution]").check()
    expect(page.locator("#grid-output .cell")).to_have_count(1)  # ⌊(3 − 3) / 2⌋ + 1
    assert page.locator("math:visible").count() >= 5
    page.locator("#grid-side").fill("2")  # less than the kernel has: nothing comes out, which is said
    expect(page.locator("#grid-output")).to_have_attribute("aria-label", page.inner_text("#grid-words"))
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert not faults(page)
    # without noise the inverse of a narrow blur is exact
    for name, value in (("noise", "0"), ("width", "1")):
        page.locator(f"#fourier-{name}").fill(value)
    expect(page.locator(".decibels").nth(3)).to_contain_text("100 dB")


def test_the_visitors_photo_goes_through_the_network_and_tiles_have_no_seam(open_page, url, tmp_path):
    page = open_page(url, width=390, touch=True)
    photo = tmp_path / "mine.png"
    photo.write_bytes(png(np.random.default_rng(0).integers(0, 256, (300, 400, 3)).astype(np.uint8)))
    section = page.locator("#features")
    section.locator(".picker input").set_input_files(photo)
    expect(page.locator("#fourier .picker select")).to_have_value("own")
    page.click("#features-run")
    expect(section.locator(".stage").last).to_be_visible()
    expect(page.locator("#features-words")).to_contain_text("estimated from the photo")
    (page.locator("#tiles-layers").fill("5"), page.locator("#tiles-overlap").fill("4"))
    expect(page.locator("#tiles-words")).to_contain_text("less than the radius 5")
    page.locator("#tiles-overlap").fill("5")
    expect(page.locator("#tiles-words")).to_contain_text("largest error 0.")
    expect(page.locator("#tiles-sees")).to_contain_text("pixels in each direction")
    # what cannot be read is told, and the photo before stays
    text = tmp_path / "text.png"
    text.write_text("no picture")
    section.locator(".picker input").set_input_files(text)
    expect(page.locator("#message")).to_contain_text("cannot read this file")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_a_picture_grows_from_noise_where_there_is_a_network_for_it(open_page, url):
    page = open_page(url)
    picture = page.locator("#generated-picture")
    expect(picture).to_be_visible()
    expect(page.locator("#contents li")).to_have_count(7)
    page.locator("#generated-layer").fill("1")
    expect(picture).to_have_js_property("naturalWidth", 8)
    expect(picture).to_have_attribute("alt", re.compile("seed 1, temperature 1, after 1 doublings"))
    page.locator("#generated-mix").fill("30")
    expect(picture).to_have_js_property("naturalWidth", 64)
    expect(picture).to_have_attribute("alt", re.compile("30 % of the way from seed 1 to seed 2"))
    assert page.locator("#generated-layer").is_disabled()
    # while many wait the question is asked again, and the visitor is told
    waited = page.evaluate(
        """async () => {
          let asked = 0, waited = 0;
          [window.fetch, window.setTimeout] = [async () => ({status: ++asked < 4 ? 503 : 200}), (work) => work()];
          const reply = await patiently("x", {}, () => waited++);
          return [reply.status, asked, waited];
        }"""
    )
    assert waited == [200, 4, 3]
