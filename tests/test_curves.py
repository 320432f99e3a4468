"""The plot of training runs draws what the logs say, phases and resumed runs apart."""

import json
import math
import re
import sys
from pathlib import Path

import pytest

from deconvdemo.cli import main
from deconvdemo.errors import TrainingError
from deconvdemo.training.run.curves import changes, measures, plot, stretches


def row(step: int, **values) -> dict:
    phase = 1 if step <= 30 else 2
    usual = {"phase": phase, "phase_loss": ("l1", "mse")[phase - 1], "rate": 1e-3, "loss": 1 / step, "run": 1}
    return {"step": step, **usual, **values}


@pytest.fixture
def log(tmp_path) -> Path:
    rows = [row(10), row(20, **{"set5 ×2 PSNR": 30.0, "set5 ×2 SSIM": 0.9}), row(30, run=2), row(40, run=2)]
    rows.append(row(50, run=2, **{"set5 ×2 PSNR": 31.25}))
    file = tmp_path / "upscale-x2.log.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in rows))
    return file


def words_in(svg: Path) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg.read_text())


def test_a_picture_tells_what_was_measured_of_which_run_and_what_happened(log, tmp_path, capsys):
    assert main(["plot", str(log)]) == 0
    out = tmp_path / "upscale-x2.log.svg"
    assert capsys.readouterr().out.strip() == str(out)
    words = words_in(out)
    for word in ("set5 ×2 PSNR, dB", "upscale-x2: 31.25", "l1", "mse", "resumed", "iterations", "learning rate"):
        assert word in words
    assert not [word for word in words if "SSIM" in word]


def test_several_runs_are_told_apart_by_their_folders(log, tmp_path):
    other = tmp_path / "wider" / log.name
    other.parent.mkdir()
    other.write_text(log.read_text().replace("31.25", "31.75"))
    out = tmp_path / "both.svg"
    plot([log, other], out)
    assert {f"{tmp_path.name}/upscale-x2: 31.25", "wider/upscale-x2: 31.75"} <= set(words_in(out))


def test_lines_of_earlier_versions_and_of_runs_that_measure_nothing_are_drawn(tmp_path):
    log, out = tmp_path / "old.log.jsonl", tmp_path / "old.png"
    log.write_text('{"step": 5, "minutes": 1.0, "rate": 0.1, "loss": 0.5}\n{"step": 9, "rate": 0.0, "loss": null}\n')
    plot([log], out)
    assert out.read_bytes().startswith(b"\x89PNG")


def test_a_finished_run_that_was_resumed_is_drawn(log, tmp_path):
    """Its last line tells of no step, so that there is no loss in it."""
    ended = json.dumps(row(50, run=3, loss=None))
    log.write_text(log.read_text() + ended + "\n")
    plot([log], tmp_path / "ended.svg")
    assert "resumed" in words_in(tmp_path / "ended.svg")


def test_a_line_is_broken_where_the_phase_changes():
    rows = [row(step) for step in (10, 30, 40, 50)]
    steps, values = stretches(rows, "loss", apart="phase")
    assert [step for step in steps if not math.isnan(step)] == [10, 30, 40, 50]
    assert math.isnan(steps[2])
    assert math.isnan(values[2])
    assert [(step, one["step"]) for step, one in changes(rows, "phase")] == [(30, 40)]
    assert stretches(rows, "nothing") == ([], [])


def test_measures_are_the_psnrs_of_all_runs():
    assert measures([[row(1, a_PSNR=1.0)], [row(1, SSIM=1.0), row(2, **{"PSNR in holes": 2.0})]]) == [
        "a_PSNR",
        "PSNR in holes",
    ]


def test_what_cannot_be_drawn_is_said(log, tmp_path, monkeypatch, capsys):
    empty = tmp_path / "empty.log.jsonl"
    empty.write_text("")
    for words, status, says in (
        ([tmp_path / "missing.log.jsonl"], 1, "missing.log.jsonl cannot be read (No such file"),
        ([empty], 1, "empty.log.jsonl holds no line of a log yet"),
        ([log, "-o", "plot.gif"], 2, "-o is plot.gif, but a plot is one of .svg, .png, .pdf"),
        ([log, "-o", log / "plot.svg"], 1, "plot.svg cannot be written (Not a directory)"),
    ):
        assert main(["plot", *map(str, words)]) == status
        assert says in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(TrainingError, match=r"plots need matplotlib: pip install 'deconvdemo\[train\]'"):
        plot([log], tmp_path / "plot.svg")
