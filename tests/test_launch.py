"""Building the demo and starting it: nothing by surprise, and one sentence when it cannot."""

from __future__ import annotations

import importlib
import socket
import subprocess
import sys
from types import SimpleNamespace

import gradio as gr
import pytest
from demo_app import asked, running_app
from gradio.routes import App

from deconvdemo.checkpoints.serving import Weights
from deconvdemo.checkpoints.watching import WeightsLooks
from deconvdemo.engine.restorer import Restorer
from deconvdemo.errors import CheckpointError, ControlError
from deconvdemo.feedback.dataset.publish import NoPublisher
from deconvdemo.settings import Settings
from deconvdemo.tasks import TASKS, TRAINED
from deconvdemo.web.demo import build, launch
from deconvdemo.web.head_and_foot import foot


def test_building_writes_nothing_and_listens_to_nothing(tmp_path, restorer):
    demo = build(Settings(data_dir=tmp_path / "data"), restorer)
    assert not list(tmp_path.iterdir())
    assert not demo.blocks.is_running


def test_weights_that_cannot_be_read_leave_a_page_that_says_so(tmp_path, restorer):
    (tmp_path / "index.json").write_text("damaged")
    damaged = Restorer(Weights(tmp_path), restorer.compute_on)
    pages = build(Settings(data_dir=tmp_path / "data"), damaged)
    radios = [block for block in pages.blocks.blocks.values() if isinstance(block, gr.Radio)]
    assert [radio.visible for radio in radios if radio.label == TASKS["denoise"].variant.label] == [False] * len(
        TRAINED
    )
    assert "is not an index of weights" in foot(damaged, NoPublisher())


def test_gradio_writes_no_type_stubs_beside_components(tmp_path, monkeypatch):
    """It would parse each component's source for them, whenever it is imported: half of the import's time."""
    (tmp_path / "mine.py").write_text("import gradio as gr\n\n\nclass Mine(gr.HTML):\n    EVENTS = ['click']\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert importlib.import_module("mine").Mine.EVENTS
    assert [file.name for file in tmp_path.glob("mine.*")] == ["mine.py"]


def test_gradios_question_for_a_backend_loads_no_plots():
    """It asks around each request, where matplotlib is installed, though we draw nothing with it."""
    pytest.importorskip("matplotlib")
    script = "import matplotlib, sys; matplotlib.get_backend(); sys.exit('matplotlib.pyplot' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)  # as in a demo, which sets that in the environment


def test_a_start_builds_the_web_application_once(tmp_path, restorer, monkeypatch):
    """Gradio would build it five times."""
    built, real = [], App.create_app

    def create_app(*given, **named):
        built.append(real(*given, **named))
        return built[-1]

    monkeypatch.setattr(App, "create_app", create_app)
    with running_app(restorer.weights, tmp_path / "data") as demo:
        assert asked(f"{demo.url}healthz")["flags"] == 0
    assert len(built) == 1


def test_a_taken_port_is_one_sentence(tmp_path, restorer):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ControlError) as refusal:
            launch(Settings(port=port, data_dir=tmp_path), restorer, block=False)
    assert f"cannot listen on 127.0.0.1:{port}" in str(refusal.value)
    assert "--port" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_what_the_weights_say_cannot_become_part_of_the_page(restorer):
    nasty = "<img src=x onerror=alert(1)>"
    weights = SimpleNamespace(names=lambda: ["denoise", "inpaint"], status=lambda name: nasty, looks=WeightsLooks())
    shown = foot(SimpleNamespace(weights=weights, compute_on=restorer.compute_on), NoPublisher())
    assert "<img" not in shown
    assert "weights for denoise, inpaint: &lt;img" in shown


def test_weights_that_cannot_be_read_are_said_on_the_page(restorer):
    def fail():
        raise CheckpointError("index.json is <damaged>")

    weights = SimpleNamespace(names=fail, looks=WeightsLooks())
    shown = foot(SimpleNamespace(weights=weights, compute_on=restorer.compute_on), NoPublisher())
    assert "index.json is &lt;damaged&gt;" in shown


def test_what_publishing_says_cannot_become_part_of_the_page(restorer):
    publisher = SimpleNamespace(words=lambda: ["<img src=x onerror=alert(1)>"])
    shown = foot(restorer, publisher)
    assert "&lt;img" in shown
    assert "<img" not in shown
