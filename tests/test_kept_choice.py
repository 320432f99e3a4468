"""What was measured is kept for this processor and torch, and whatever befalls the file costs another measurement."""

import json
import threading

import pytest
import torch

from deconvdemo.engine import fastest as speed
from deconvdemo.engine import kept_choice, processor
from deconvdemo.engine.compute import Compute
from deconvdemo.engine.fastest import fastest

# ---- what was measured is kept -----------------------------------------------------------------------------


def forget() -> None:
    speed._known.clear()


def test_it_is_measured_once_and_kept(measurements, tmp_path):
    first = fastest("cpu", tmp_path / "data")
    forget()
    assert fastest("cpu", tmp_path / "data") == first
    assert len(measurements) == 1
    assert [file.name for file in (tmp_path / "data").iterdir()] == ["compute.json"]


def test_without_a_folder_the_users_cache_keeps_it(measurements, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for _ in range(2):
        fastest("cpu")
        forget()
    assert len(measurements) == 1
    assert (tmp_path / "deconvdemo" / "compute.json").exists()


@pytest.mark.parametrize("changes", ["processor", "torch", "limit"])
def test_another_processor_torch_or_limit_is_measured_by_itself_and_both_are_kept(
    measurements, tmp_path, monkeypatch, changes
):
    fastest("cpu", tmp_path)
    with monkeypatch.context() as other:
        if changes == "processor":
            (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Another\nflags\t\t: fpu avx2 amx_bf16\n")
            other.setattr(processor, "CPUINFO", tmp_path / "cpuinfo")
            assert processor.name() == "Another"
            assert processor.has_bf16_instructions()
        elif changes == "torch":
            other.setattr(torch, "__version__", "9.9")
        else:
            other.setenv("ONEDNN_MAX_CPU_ISA", "SSE41")
        forget()
        fastest("cpu", tmp_path)
    forget()
    fastest("cpu", tmp_path)
    assert len(measurements) == 2


DAMAGED = [
    b"", b"{", b"[]", b"null", b'{"version": 99, "choices": {}}', b'{"version": 1, "choices": 5}', b"\xff\xfe\x00",
    b"[" * 100_000, {"precision": "fp64"}, {"layout": "diagonal"}, {"device": "cuda"}, {"why": 5}, {"why": "a\x1b[2Jb"},
    {"precision": ["bf16"]},
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGED, ids=range(len(DAMAGED)))
def test_a_damaged_file_is_measured_anew_and_mended(measurements, tmp_path, damage):
    first, file = fastest("cpu", tmp_path), tmp_path / kept_choice.FILE
    if isinstance(damage, dict):
        whole = json.loads(file.read_text())
        for choice in whole["choices"].values():
            choice.update(damage)
        damage = json.dumps(whole).encode()
    file.write_bytes(damage)
    for _ in range(2):
        forget()
        assert fastest("cpu", tmp_path) == first
    assert len(measurements) == 2


def test_where_nothing_can_be_written_it_is_measured_and_serves(measurements, tmp_path):
    (tmp_path / "file").write_text("in the way of the folder")  # also for root, whom no mode stops
    assert fastest("cpu", tmp_path / "file" / "data").precision == "bf16"
    (tmp_path / kept_choice.FILE).mkdir()
    forget()
    assert fastest("cpu", tmp_path).precision == "bf16"


def test_many_at_once_leave_a_whole_file(measurements, tmp_path):
    def keep(number: int) -> None:
        for again in range(20):
            kept_choice.keep(Compute("cpu", "bf16", "a test"), f"{number}-{again}", tmp_path)
            assert kept_choice.kept("cpu", "nobody's", tmp_path) is None

    writers = [threading.Thread(target=keep, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [file.name for file in tmp_path.iterdir()] == [kept_choice.FILE]
    choices = json.loads((tmp_path / kept_choice.FILE).read_text())["choices"]
    assert 20 <= len(choices) <= kept_choice.MOST + 1
