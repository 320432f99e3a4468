"""What a run leaves: a log of what happened and of nothing else, and a state that outlives every kind of end."""

import errno
import json
import os
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_training import photos, small, trained

from deconvdemo.errors import TrainingError
from deconvdemo.training.data.corpus import Corpus
from deconvdemo.training.recipes import Phase
from deconvdemo.training.run import writer
from deconvdemo.training.run.log import Log, read_log
from deconvdemo.training.run.stopping import Stopping


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    folder = photos(tmp_path_factory.mktemp("photos"))
    return Corpus.open([folder], tmp_path_factory.mktemp("cache"), say=lambda text: None)


def state_of(out: Path) -> Path:
    return out.with_suffix(".state.safetensors")


def log_of(out: Path) -> list[dict]:
    return read_log(out.with_suffix(".log.jsonl"))


# ---- the log -----------------------------------------------------------------------------------------------


def test_a_line_says_how_far_and_how_fast_the_run_is_and_what_it_reaches(corpus, tmp_path):
    out, recipe = tmp_path / "x2.safetensors", small("upscale-x2", rate=0.01)
    trained(recipe, corpus, out, 3, checkpoint_every=0, measure=lambda network: {"dev ×2 PSNR": 30.0})
    last = log_of(out)[-1]
    assert (last["step"], last["run"], last["dev ×2 PSNR"]) == (3, 1, 30.0)
    assert (last["device"], last["precision"], last["processes"]) == ("cpu", "fp32", 1)
    assert last["time"].endswith("Z")
    for row in log_of(out)[:3]:
        assert row["loss"] > 0
        assert row["images_per_second"] > 0
        assert 0 < row["rate"] < 0.01


def test_each_line_tells_of_one_phase(corpus, tmp_path):
    out = tmp_path / "x2.safetensors"
    phases = (Phase(0.5), Phase(0.25, rate=0.5), Phase(0.25, "mse"))
    trained(small("upscale-x2", phases=phases), corpus, out, 8)
    assert [(row["step"], row["phase"], row["phase_loss"]) for row in log_of(out)] == [
        (4, 1, "l1"),
        (6, 2, "l1"),
        (8, 3, "mse"),
    ]


def test_lines_come_between_checkpoints_too(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "LOG_EVERY", 0.0)
    out = tmp_path / "x2.safetensors"
    trained(small("upscale-x2"), corpus, out, 3)
    assert [row["step"] for row in log_of(out)] == [1, 2, 3, 3]


def test_what_a_resumed_run_does_not_know_of_never_happened(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "LOG_EVERY", 0.0)
    recipe, out = small("upscale-x2"), tmp_path / "x2.safetensors"
    trained(recipe, corpus, out, 2)
    earlier = state_of(out).read_bytes()
    before = log_of(out)
    trained(recipe, corpus, out, 5, resume=state_of(out))
    state_of(out).write_bytes(earlier)  # as if the run had been killed before its next checkpoint
    with out.with_suffix(".log.jsonl").open("a") as log:
        log.write('{"step": 6, "lo')
    trained(recipe, corpus, out, 4, resume=state_of(out))
    found = log_of(out)
    assert found[: len(before)] == before
    assert [(row["step"], row["run"]) for row in found[len(before) :]] == [(3, 2), (4, 2), (4, 2)]


def test_a_new_run_has_a_new_log_and_says_what_it_replaces(corpus, tmp_path):
    out, said = tmp_path / "x2.safetensors", []
    trained(small("upscale-x2"), corpus, out, 3)
    trained(small("upscale-x2"), corpus, out, 2, say=said.append)
    assert [row["step"] for row in log_of(out)] == [2]
    assert f"it replaces {state_of(out)} (--resume would go on from that)" in said[0]


def test_a_log_that_is_none_is_read_as_empty(tmp_path):
    file = tmp_path / "x.log.jsonl"
    file.write_text('not json\n[1]\n{"loss": 1}\n{"step": "2"}\n{"step": 2}\n')
    assert read_log(file) == [{"step": 2}]
    with pytest.raises(TrainingError, match=r"missing.log.jsonl cannot be read \(No such file"):
        read_log(tmp_path / "missing.log.jsonl")


def test_a_log_that_cannot_be_written_is_said(corpus, tmp_path, monkeypatch):
    out = tmp_path / "x2.safetensors"

    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(TrainingError, match=r"log.jsonl cannot be written \(No space left on device\): make room"):
        trained(small("upscale-x2"), corpus, out, 1)
    monkeypatch.undo()
    trained(small("upscale-x2"), corpus, out, 2, resume=state_of(out))


def test_measuring_is_done_when_it_is_time(corpus, tmp_path):
    measured: dict[float, int] = {}
    for every in (0.0, 3600.0):
        seen: list[int] = []

        def measure(network, seen=seen):
            seen.append(1)
            return {"dev PSNR": 1.0}

        out = tmp_path / "x2.safetensors"
        trained(small("upscale-x2"), corpus, out, 4, checkpoint_every=0, measure_every=every, measure=measure)
        measured[every] = len(seen)
    assert measured == {0.0: 5, 3600.0: 2}  # at every checkpoint, or at the first one; and at the end


# ---- being stopped -----------------------------------------------------------------------------------------


class Interrupted:
    """A corpus that sends this process a signal while the batch of a step is drawn."""

    def __init__(self, corpus: Corpus, number: int, step: int):
        self.corpus, self.number, self.step, self.drawn = corpus, number, step, 0

    def large_enough(self, patch: int) -> "Interrupted":
        return self

    def crops(self, *arguments):
        self.drawn += 1
        if self.drawn == self.step:
            signal.raise_signal(self.number)
        return self.corpus.crops(*arguments)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_told_to_stop_can_be_resumed_to_the_bit(number, corpus, tmp_path):
    recipe, out, unbroken = small("denoise"), tmp_path / "denoise.safetensors", tmp_path / "unbroken.safetensors"
    before = signal.getsignal(number)
    says = rf"stopped after 3 steps, as asked: the same command with --resume .*{state_of(out).name} goes on"
    with pytest.raises(TrainingError, match=says):
        trained(recipe, Interrupted(corpus, number, 3), out, 6)
    assert signal.getsignal(number) is before
    assert not out.exists()
    assert log_of(out)[-1]["step"] == 3
    trained(recipe, corpus, out, 6, resume=state_of(out))
    trained(recipe, corpus, unbroken, 6)
    first, second = load_file(state_of(out)), load_file(state_of(unbroken))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_second_ctrl_c_does_not_wait_unless_a_launcher_repeats_it(request):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job is born deaf to it
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    with Stopping() as stopping:
        signal.raise_signal(signal.SIGINT)
        assert stopping.asked
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    with Stopping(launched=True) as stopping:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        assert stopping.asked
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


# ---- where it is written -----------------------------------------------------------------------------------


def test_a_place_that_cannot_be_written_is_refused_before_the_first_step(corpus, tmp_path):
    (tmp_path / "file").write_text("a file")
    (tmp_path / "folder.safetensors").mkdir()
    drawn = Interrupted(corpus, signal.SIGTERM, -1)
    for out, says in (
        (tmp_path / "file" / "x2.safetensors", r"the folder of .*x2.safetensors cannot be written \("),
        (Path("/proc/x2.safetensors"), r"the folder of /proc/x2.safetensors cannot be written \("),
        (tmp_path / "folder.safetensors", "folder.safetensors is a folder: name the .safetensors file to write"),
    ):
        with pytest.raises(TrainingError, match=says):
            trained(small("upscale-x2"), drawn, out, 1)
    assert drawn.drawn == 0


def test_the_log_of_a_full_disk_stays_as_it_was(tmp_path, monkeypatch):
    file = tmp_path / "x.log.jsonl"
    text = "".join(json.dumps({"step": step}) + "\n" for step in range(5))
    file.write_text(text)

    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TrainingError, match="cannot be written"):
        Log(file, 2)
    assert file.read_text() == text
