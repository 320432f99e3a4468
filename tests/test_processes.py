"""Several processes train what one does: each its share of the same batches."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from demo_app import free_port, png
from feedback_flags import flag_of
from safetensors.torch import load_file
from tiny_training import of_several, photos, small, trained

from deconvdemo.checkpoints.checkpoint import load_checkpoint
from deconvdemo.cli import main
from deconvdemo.errors import TrainingError
from deconvdemo.feedback.events.opinions import Verdict
from deconvdemo.training.data.batches import GROUP, Batches
from deconvdemo.training.data.corpus import Corpus
from deconvdemo.training.data.processes import OneProcess, processes
from deconvdemo.training.recipes import RECIPES
from deconvdemo.training.run import router_training
from deconvdemo.training.run.state import State

PROGRAM = Path(__file__).parent / "tiny_training.py"
LAUNCH = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_machines=1", "--main_process_port=0"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return photos(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module")
def corpus(folder, tmp_path_factory) -> Corpus:
    return Corpus.open([folder], tmp_path_factory.mktemp("cache"), say=lambda text: None)


def one_of(count: int) -> list[OneProcess]:
    """What `count` processes are, as far as batches know."""
    team = [OneProcess("cpu") for _ in range(count)]
    for number, one in enumerate(team):
        one.number, one.count = number, count
    return team


@pytest.mark.parametrize("name", list(RECIPES))
def test_the_shares_of_several_processes_are_the_batch_of_one(name, corpus):
    recipe = small(name, batch=4 * GROUP)
    whole = Batches(recipe, corpus, OneProcess("cpu")).sample(7)
    shares = [Batches(recipe, corpus, one).sample(7) for one in one_of(2)]
    assert torch.equal(whole.inputs, torch.cat([share.inputs for share in shares]))
    assert torch.equal(whole.target, torch.cat([share.target for share in shares]))
    assert (whole.weight is None) == (shares[0].weight is None)
    if whole.weight is not None:
        assert torch.equal(whole.weight, torch.cat([share.weight for share in shares if share.weight is not None]))
    assert not torch.equal(shares[0].target, shares[1].target)
    assert not torch.equal(whole.target, Batches(recipe, corpus, OneProcess("cpu")).sample(8).target)


def test_a_batch_that_cannot_be_shared_is_refused(corpus):
    with pytest.raises(TrainingError, match="16 cannot be shared by 3 processes: make --batch a multiple of 12"):
        Batches(small("denoise", batch=16), corpus, one_of(3)[0])
    Batches(small("denoise", batch=24), corpus, one_of(3)[0])


def environment(**more) -> dict[str, str]:
    own = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(PROGRAM.parent.parent), **more}
    return {**os.environ, **{name: str(value) for name, value in own.items()}}


def launched(count: int, *words) -> subprocess.CompletedProcess:
    command = [sys.executable, *LAUNCH, f"--num_processes={count}", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=250, env=environment())


def side_by_side(count: int, *words) -> list[str]:
    """What each of the processes said that failed: the same without the launcher, which takes as long as a process."""
    told = {"WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
    command, running = [sys.executable, *map(str, words)], []
    for number in range(count):
        own = environment(**told, RANK=number, LOCAL_RANK=number)
        running.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=own))
    said = [process.communicate(timeout=250)[1].decode() for process in running]
    return [text for process, text in zip(running, said, strict=True) if process.returncode]


@pytest.mark.timeout(300)
def test_two_processes_train_what_one_does_and_one_goes_on_from_their_state(folder, corpus, tmp_path):
    """Holes weigh differently in the two shares: means of means would be wrong."""
    recipe, shared, alone = of_several("inpaint"), tmp_path / "shared.safetensors", tmp_path / "alone.safetensors"
    done = launched(2, PROGRAM, "inpaint", folder, tmp_path / "cache", shared, 4)
    assert done.returncode == 0, done.stderr
    trained(recipe, corpus, alone, 4)
    assert distance(recipe, shared, alone) < 0.001
    for out in (shared, alone):
        trained(recipe, corpus, out, 6, resume=out.with_suffix(".state.safetensors"))
    assert distance(recipe, shared, alone) < 0.001
    assert len(shared.with_suffix(".log.jsonl").read_text().splitlines()) == 2  # one process writes


def distance(recipe, shared: Path, alone: Path) -> float:
    """How far apart two runs' weights are, over how far they came."""
    start = State.fresh(recipe, "cpu").network.state_dict()
    one, other = (load_file(out.with_suffix(".state.safetensors")) for out in (shared, alone))
    norm = lambda tensors: float(np.sqrt(sum(float(tensor.square().sum()) for tensor in tensors)))
    apart = norm(one[f"network.{name}"] - other[f"network.{name}"] for name in start)
    return apart / norm(one[f"network.{name}"] - start[name] for name in start)


@pytest.fixture
def asked(folder, tiny_weights, sqlite_store, monkeypatch) -> list[str]:
    """`deconvdemo finetune` of a tiny network on four accepted flags and some photographs, but for `--out`."""
    for number in range(4):
        clean = np.roll(tiny.picture(64, 64) // 2, 9 * number, axis=1)
        images = {"observed": png(clean + np.uint8(9)), "restored": png(clean), "clean": png(clean)}
        flag_id = sqlite_store.add(flag_of(number, flag_id=f"flag-{number + 1}", **images)).flag_id
        sqlite_store.add(Verdict(flag_id=flag_id, reviewer="ada", decision="accept"))
    monkeypatch.setenv("DECONVDEMO_DATA_DIR", str(sqlite_store.folder.parent))
    words = ["finetune", "denoise", "--images", str(folder), "--weights", str(tiny_weights), "--patch", "24"]
    return [*words, "--steps", "4", "--rate", "0.2", "--device", "cpu", "--precision", "fp32"]


@pytest.mark.timeout(300)
def test_two_processes_fine_tune_to_what_one_does_and_the_first_alone_writes(asked, tmp_path, monkeypatch):
    monkeypatch.setattr(router_training, "SURE", float("-inf"))  # as `writes.py` does
    outs = {name: tmp_path / name / "denoise.safetensors" for name in ("shared", "alone", "half")}
    shared, log = outs["shared"], tmp_path / "writes"
    command = [PROGRAM.with_name("writes.py"), log, shared.parent, *asked, "--batch", 16, "--out", shared]
    assert not side_by_side(2, *command)
    for name, batch in (("alone", "16"), ("half", "8")):
        assert main([*asked, "--batch", batch, "--out", str(outs[name])]) == 0
    tensors = {name: load_file(out) for name, out in outs.items()}

    def apart(one: str, other: str) -> float:
        pairs = [(tensor.float(), tensors[other][name].float()) for name, tensor in tensors[one].items()]
        return float(sum((a - b).square().sum() for a, b in pairs)) ** 0.5

    # Muon's bf16 makes something of a last digit; a process that kept to its share would be as far as half a batch is
    assert apart("shared", "alone") < 0.4 * apart("half", "alone")
    recipes = [{**load_checkpoint(outs[name]).header.recipe, "minutes": 0} for name in ("shared", "alone")]
    assert recipes[0] == recipes[1]
    assert recipes[0]["learned"]
    written = [line.split(" ", 1) for line in log.read_text().splitlines()]
    assert {process for process, _ in written} == {"0"}
    assert {file for _, file in written} >= {shared.name}


def test_without_a_launcher_there_is_one_process(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    team = processes("cpu")
    assert (team.number, team.count, team.is_first) == (0, 1, True)


def test_several_processes_without_accelerate_or_a_device_for_each_are_told_what_to_do(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(TrainingError, match="several processes cannot share mps"):
        processes("mps")
    monkeypatch.setenv("LOCAL_RANK", "99")
    with pytest.raises(TrainingError, match=r"this machine has \d+ GPUs, but more processes"):
        processes("cuda")
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(TrainingError, match=r"accelerate is not installed: pip install 'deconvdemo\[train\]'"):
        processes("cpu")
