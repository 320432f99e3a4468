"""`bench` tells what this machine computes with, and how fast that is beside plain fp32."""

import json

import pytest
import torch

from deconvdemo.cli import main
from deconvdemo.engine import processor

# ---- bench -------------------------------------------------------------------------------------------------


@pytest.fixture
def bench(tiny_weights, tmp_path, monkeypatch, capsys):
    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setenv("DECONVDEMO_DATA_DIR", str(tmp_path))
        status = main(["bench", *words, "--runs", "1", "--weights", str(tiny_weights), "--device", "cpu"])
        return status, *capsys.readouterr()

    return run


def test_bench_says_what_was_chosen_and_why_and_times_it_beside_plain_fp32(bench, measurements):
    status, out, _ = bench("denoise", "upscale-x3")
    assert status == 0
    assert processor.name() in out
    assert torch.__version__ in out
    assert "cpu, bf16, channels last: measured 2.2 × as fast as fp32 on this processor" in out
    rows = [line.split() for line in out.splitlines()[-2:]]
    assert [row[0] for row in rows] == ["denoise", "upscale-x3"]
    for _, chosen, plain, times in rows:
        assert float(plain) / float(chosen) == pytest.approx(float(times), rel=0.2, abs=0.02)


def test_bench_as_json_and_of_what_there_is_not(bench, measurements):
    found = json.loads(bench("denoise-fast", "--json", "--precision", "fp32")[1])
    assert found["compute"]["why"] == "asked for"
    assert found["networks"][0]["times"] > 0
    assert not measurements
    status, _, err = bench("denoise-slow")
    assert status == 2
    assert "no weights called 'denoise-slow': choose among denoise" in err
