"""The HTTP API, with the client that people use against the demo as it is launched."""

from __future__ import annotations

import csv
import io
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from demo_app import App, bomb, png, running_app
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image
from tiny import picture

from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.image.reading import read_photo
from deconvdemo.tasks import TASKS, TRAINED

MASK = np.zeros((40, 56, 1), np.uint8)
MASK[10:20, 20:40] = 255


@pytest.fixture(scope="module")
def app(tiny_weights, tmp_path_factory) -> Iterator[App]:
    with running_app(tiny_weights, tmp_path_factory.mktemp("data")) as started:
        yield started


@pytest.fixture(scope="module")
def client(app: App, tmp_path_factory) -> Client:
    return Client(app.url, verbose=False, download_files=str(tmp_path_factory.mktemp("downloads")))


@pytest.fixture
def sent(tmp_path):
    """`sent("a.png", data)` is the argument for a file of that name and content."""

    def sent_(name: str, data: bytes):
        (tmp_path / name).write_bytes(data)
        return handle_file(str(tmp_path / name))

    return sent_


def arguments(task: str, sent) -> list:
    files = [sent("my photo.png", png(picture(40, 56)))]
    return [*files, sent("mask.png", png(MASK))] if TASKS[task].needs_mask else files


@pytest.mark.parametrize("task", TASKS)
def test_what_is_returned_is_what_was_computed(app, client, sent, task):
    file, report = client.predict(*arguments(task, sent), api_name=f"/{task}")
    masks = [MASK[..., 0] > 0] if TASKS[task].needs_mask else []
    expected = app.restorer.restore(task, picture(40, 56), *masks)
    np.testing.assert_array_equal(read_photo(file).pixels, expected.photo.pixels)
    assert Path(file).name == f"my-photo-{task}.png"
    assert report["task"] == task
    told = {"restoration_id", "seconds", "tiles", "device", "precision", "checkpoint"}
    assert told | set(expected.controls) <= set(report)
    assert {name: report[name] for name in expected.controls} == expected.controls
    assert report["checkpoint"] == expected.checkpoint


@pytest.mark.parametrize("task", TASKS)
def test_the_parameters_have_the_names_and_defaults_of_the_command_line(client, task):
    parameters = client.view_api(return_format="dict")["named_endpoints"][f"/{task}"]["parameters"]
    files = ["photo", "mask"] if TASKS[task].needs_mask else ["photo"]
    assert [p["parameter_name"] for p in parameters] == [*files, *(c.name for c in TASKS[task].controls)]
    offered = TASKS[task].offering([TASKS[task].weights(choices) for choices in TASKS[task].combinations()])
    for parameter, control in zip(parameters[len(files) :], offered.controls, strict=True):
        assert parameter["parameter_has_default"]
        assert parameter["parameter_default"] == control.default


def test_calls_from_before_there_were_variants_mean_the_standard_network(client, sent):
    """Positional parameters keep their places: the variant is the last."""
    report = client.predict(*arguments("denoise", sent), 12.5, 0.5, api_name="/denoise")[1]
    assert (report["sigma"], report["strength"], report["variant"]) == (12.5, 0.5, "standard")
    report = client.predict(*arguments("inpaint", sent), 2, 3, 0.25, api_name="/inpaint")[1]
    assert (report["grow"], report["feather"], report["strength"], report["variant"]) == (2, 3, 0.25, "standard")


@pytest.mark.parametrize(
    ("task", "controls"),
    [
        ("denoise", {"sigma": 12.5, "strength": 0.5}),
        ("denoise", {"sigma": 0}),
        ("upscale", {"scale": 3}),
        ("upscale", {"scale": 4, "strength": 0}),
        ("inpaint", {"grow": 2, "feather": 3, "strength": 0.25}),
        ("denoise", {"variant": "photo", "sigma": None}),
        ("denoise", {"variant": "photo", "sigma": 12.5}),
        ("upscale", {"variant": "photo", "scale": 3}),
    ],
)
def test_parameters_are_heeded_by_name(app, client, sent, task, controls):
    file, report = client.predict(*arguments(task, sent), **controls, api_name=f"/{task}")
    masks = [MASK[..., 0] > 0] if TASKS[task].needs_mask else []
    expected = app.restorer.restore(task, picture(40, 56), *masks, **controls)
    assert {name: report[name] for name in controls} == controls
    np.testing.assert_array_equal(read_photo(file).pixels, expected.photo.pixels)


def refused(client: Client, *given, **named) -> str:
    with pytest.raises(AppError) as refusal:
        client.predict(*given, **named)
    sentence = str(refusal.value)
    assert "\n" not in sentence
    assert "Traceback" not in sentence
    return sentence


BAD_CONTROLS = [
    ("denoise", {"sigma": -1}, "sigma is -1, but it must be a number from 0 to 75"),
    ("denoise", {"strength": 1.5}, "strength is 1.5, but it must be a number from 0 to 1"),
    ("upscale", {"scale": 5}, "scale is 5, but it must be 2, 3 or 4"),
    ("inpaint", {"grow": -3}, "grow is -3, but it must be"),
    ("denoise", {"variant": "anime"}, "variant is 'anime', but it must be auto, standard, photo or fast"),
    ("inpaint", {"variant": "photo"}, "variant is 'photo', but it must be auto, standard or fast"),
]


@pytest.mark.parametrize(("task", "controls", "sentence"), BAD_CONTROLS)
def test_a_wrong_parameter_is_refused_in_one_sentence(client, sent, task, controls, sentence):
    assert sentence in refused(client, *arguments(task, sent), **controls, api_name=f"/{task}")


def test_bad_files_are_refused_in_one_sentence(client, sent):
    photo = sent("photo.png", png(picture(40, 56)))
    cases = [
        ("/denoise", [sent("text.png", b"hello")], "text.png is not a photo of a known kind"),
        ("/denoise", [sent("cut.png", png(picture(40, 56))[:900])], "cut.png is a damaged or cut-off PNG"),
        ("/upscale", [sent("bomb.png", bomb())], "bomb.png is 12000×12000"),
        ("/inpaint", [photo, sent("blank.png", png(MASK * 0))], "the mask is empty"),
        ("/inpaint", [photo, sent("small.png", png(MASK[:30]))], "mask is 56×30 but the photo is 56×40"),
        ("/inpaint", [photo, sent("huge.png", bomb())], "12000×12000"),
    ]
    for endpoint, given, sentence in cases:
        assert sentence in refused(client, *given, api_name=endpoint)
    client.predict(photo, api_name="/denoise")


@pytest.fixture(scope="module")
def restoration_id(client, tmp_path_factory) -> str:
    file = tmp_path_factory.mktemp("photos") / "photo.png"
    file.write_bytes(png(picture(40, 56)))
    return client.predict(handle_file(str(file)), api_name="/denoise")[1]["restoration_id"]


def test_a_flag_is_stored_with_what_was_sent(app, client, sent, restoration_id):
    saved = client.predict(
        restoration_id,
        ["noise_left", "seams"],
        comment="top left",
        clean=sent("clean.png", png(picture(40, 56) // 2)),
        region=sent("region.png", png(MASK)),
        api_name="/flag",
    )
    assert saved["state"] == "saved"
    flag = FeedbackStore(app.data_dir).get(saved["flag_id"])
    assert (flag.reasons, flag.comment, flag.consent) == (("seams", "noise_left"), "top left", True)
    np.testing.assert_array_equal(read_photo(flag.clean).pixels, picture(40, 56) // 2)
    np.testing.assert_array_equal(read_photo(flag.region).pixels, MASK)
    np.testing.assert_array_equal(read_photo(flag.observed).pixels, picture(40, 56))


def test_one_client_token_is_one_flag(app, client, restoration_id):
    stored = len(app.flags())
    first, second = (
        client.predict(restoration_id, ["good"], comment=said, client_token="mine", api_name="/flag")
        for said in ("once", "twice")
    )
    assert first["flag_id"] == second["flag_id"]
    assert len(app.flags()) == stored + 1


def test_bad_flags_are_refused_in_one_sentence(app, client, sent, restoration_id):
    stored = len(app.flags())
    small = sent("small.png", png(picture(20, 20)))
    cases = [
        (["0" * 32, ["good"]], {}, "there is no result"),
        (["../../etc", ["good"]], {}, "there is no result"),
        ([restoration_id, ["good"]], {"consent": False}, "only with your consent"),
        ([restoration_id, ["ugly"]], {}, "'ugly' is not a reason: choose among good"),
        ([restoration_id, []], {}, "choose at least one reason"),
        ([restoration_id, {"good": 1}], {}, "reasons are a list of names"),
        ([restoration_id, [1]], {}, "reasons are a list of names"),
        ([restoration_id, ["good", "halo"]], {}, "cannot be good and have"),
        ([restoration_id, ["halo"]], {"clean": small}, "the clean version is 20×20 but the result is 56×40"),
        ([restoration_id, ["halo"]], {"region": small}, "mask is 20×20"),
    ]
    for given, named, sentence in cases:
        assert sentence in refused(client, *given, **named, api_name="/flag")
    assert len(app.flags()) == stored


def test_only_the_promised_endpoints_are_public(client):
    api = client.view_api(return_format="dict")
    assert set(api["named_endpoints"]) == {*(f"/{task}" for task in TASKS), "/find_scratches", "/bench", "/flag"}
    assert not api["unnamed_endpoints"]
    flag = [p["parameter_name"] for p in api["named_endpoints"]["/flag"]["parameters"]]
    promised = "restoration_id reasons comment consent clean region client_token"
    assert flag == promised.split()


def test_scratches_are_found_and_their_mask_is_one_that_inpaint_takes(app, client, sent):
    pixels = (picture(40, 56) * 0.6).astype(np.uint8)
    pixels[10:20, 20:40] = 255
    photo = sent("my photo.png", png(pixels))
    file, report = client.predict(photo, api_name="/find_scratches")
    mask = read_photo(file).pixels[..., 0] > 0
    np.testing.assert_array_equal(mask, app.restorer.find_scratches(pixels))
    assert Path(file).name == "my-photo-mask.png"
    assert report["marked"] == pytest.approx(mask.mean(), abs=1e-5)
    assert "% of the photo is marked" in report["sentence"]
    restored, _ = client.predict(photo, handle_file(file), api_name="/inpaint")
    np.testing.assert_array_equal(read_photo(restored).pixels[~mask], pixels[~mask])
    with pytest.raises(AppError, match="sensitivity is 3, but it must be a number from 0 to 1"):
        client.predict(photo, 3, api_name="/find_scratches")


def test_the_bench_gives_what_its_tab_gives(client, sent):
    photo = sent("my photo.png", png(picture(40, 56)))
    report, figure, table = client.predict(photo, "denoise sigma 25", " nlm,standard", api_name="/bench")
    assert [one["method"] for one in report["methods"]] == ["", "standard", "nlm"]  # in the bench's own order
    assert (report["task"], report["width"], report["height"]) == ("denoise", 56, 40)
    assert report["methods"][0]["seconds"] is None
    assert Image.open(figure).width > 3 * 56
    rows = [*csv.DictReader(io.StringIO(Path(table).read_text(encoding="utf-8-sig")))]
    assert [row["method"] for row in rows] == [one["label"] for one in report["methods"]]
    for row, one in zip(rows, report["methods"], strict=True):
        assert float(row["PSNR"]) == one["PSNR"]
    small = sent("small.png", png(picture(40, 56)[::2, ::2]))
    own, _, _ = client.predict(photo, "own upscale", "bicubic", small, api_name="/bench")
    assert [one["label"] for one in own["methods"]] == ["Bicubic"]


def test_the_bench_refuses_in_one_sentence(client, sent):
    photo = sent("photo.png", png(picture(40, 56)))
    cases = [
        (["denoise sigma 26"], "there is no damage 'denoise sigma 26': choose one of denoise sigma 15"),
        (["denoise sigma 25", "bm3d"], "there is no method 'bm3d' for denoise: choose among auto, standard"),
        (["own denoise"], "the damaged photo is missing"),
        (["own knit", "", photo], "there is no task 'knit'"),
        (["denoise sigma 25", "", photo], "with a damaged photo it must be"),
    ]
    for given, sentence in cases:
        assert sentence in refused(client, photo, *given, api_name="/bench")
    assert "12000×12000" in refused(client, sent("bomb.png", bomb()), api_name="/bench")


def test_a_file_of_this_machine_cannot_be_asked_for(app, client):
    with pytest.raises(AppError):
        client.predict({"path": "/etc/hostname", "meta": {"_type": "gradio.FileData"}}, api_name="/denoise")


def answer(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=30) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_healthz_tells_what_serves(app, client):
    status, text = answer(f"{app.url}healthz")
    facts = json.loads(text)
    assert (status, facts["status"]) == (200, "ok")
    assert {"version", "flags", "weights"} <= set(facts)
    assert facts["compute"] == {"device": "cpu", "precision": "fp32", "why": "a test", "layout": "channels_last"}
    assert set(facts["weights"]) >= set(TRAINED) - {"upscale"}


@pytest.mark.parametrize("path", ["results/../../x", "results/%2e%2e/x", "results/abc/x", f"results/{'0' * 32}/x.png"])
def test_results_are_served_to_nobody_without_their_id(app, client, path):
    status, text = answer(f"{app.url}{path}")
    assert status == 404
    assert "Traceback" not in text
