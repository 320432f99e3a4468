"""Device and precision: what is fastest here, or what was asked for, or a sentence that says what there is."""

import json
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import tiny
import torch
from torch import nn

from deconvdemo.cli import main
from deconvdemo.engine import fastest as speed
from deconvdemo.engine import kept_choice, processor
from deconvdemo.engine.compute import LAYOUTS, PRECISIONS, Compute
from deconvdemo.engine.device import choose
from deconvdemo.engine.fastest import FORMATS, fastest, measure
from deconvdemo.engine.restorer import Restorer
from deconvdemo.errors import DeviceError
from deconvdemo.metrics import psnr
from deconvdemo.weights import Weights

CHANNELS_LAST = "channels_last"


@pytest.fixture
def machine(monkeypatch):
    """`machine(cuda=True)` is what torch seems to find; what is fastest on each device is not measured."""

    def has(cuda: bool = False, mps: bool = False):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
        monkeypatch.setattr(speed, "fastest", lambda device, folder: Compute(device, "bf16", f"kept in {folder}"))

    return has


@pytest.mark.parametrize(
    ("has", "device"), [({}, "cpu"), ({"cuda": True, "mps": True}, "cuda"), ({"mps": True}, "mps")]
)
def test_the_first_device_and_what_is_fastest_on_it_are_chosen(machine, has, device, tmp_path):
    machine(**has)
    assert choose(folder=tmp_path) == Compute(device, "bf16", f"kept in {tmp_path}")


def test_what_is_asked_for_is_taken_and_nothing_measured(machine, monkeypatch):
    machine(cuda=True)
    assert choose("cpu").device == "cpu"
    monkeypatch.setattr(speed, "fastest", lambda device, folder: pytest.fail("it was asked for"))
    assert choose("cpu", "fp32") == Compute("cpu", "fp32", "asked for")
    assert choose("auto", "fp16").device == "cuda"


@pytest.mark.parametrize(
    ("device", "precision", "says"),
    [
        ("tpu", "auto", "device 'tpu' is not known: choose one of auto, cpu, cuda, mps"),
        ("cuda", "auto", "this machine has no cuda device .* choose one of auto, cpu"),
        ("mps", "fp32", "this machine has no mps device"),
        ("cpu", "fp8", "precision 'fp8' is not known: choose auto, fp32, bf16, fp16"),
        ("", "auto", "device '' is not known"),
    ],
)
def test_what_is_not_there_is_refused_by_name(machine, device, precision, says):
    machine()
    with pytest.raises(DeviceError, match=says):
        choose(device, precision)


@pytest.mark.parametrize("precision", list(PRECISIONS))
@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_networks_run_in_the_format_and_in_fp32_when_it_overflowed(precision, layout):
    compute_on = Compute("cpu", precision, "a test", layout)
    network, images = compute_on.network(nn.Conv2d(3, 4, 3)), compute_on.images(torch.rand(1, 3, 8, 8))
    for tensor in (network.weight, images):
        assert tensor.is_contiguous(memory_format=LAYOUTS[layout])
    with compute_on.autocast():
        assert network(images).dtype == PRECISIONS[precision]
    with compute_on.in_fp32().autocast():
        assert network(images).dtype == torch.float32
    assert (compute_on.in_fp32().device, compute_on.in_fp32().layout) == ("cpu", layout)


# ---- what is fastest is measured ---------------------------------------------------------------------------


class Processor:
    """In place of the clock and the networks: one on which each format takes so many times as long as fp32."""

    def __init__(self, monkeypatch, wrong=(), missing=(), busy: float = 0.0, **slow: float):
        self.slow, self.wrong, self.missing, self.busy = slow, wrong, missing, busy
        self.asked, self.calls = [], 0
        monkeypatch.setattr(speed._Timer, "once", lambda timer, form, side: self.once(form, side))

    def once(self, form, side):
        precision, layout = form
        self.asked.append((precision, side))
        if precision in self.missing:
            raise RuntimeError("not implemented for 'Half'")
        self.calls += 1
        if self.busy:
            time.sleep(self.busy)
        seconds = self.slow.get(precision if layout == CHANNELS_LAST else layout, 1.0) * (side / 96) ** 2 / 20
        found = torch.ones(1, 3, 8, 8) * {"nan": float("nan"), "off": 1.05}.get(dict(self.wrong).get(precision), 1.001)
        return seconds, [found if precision != "fp32" else torch.ones(1, 3, 8, 8)]


@pytest.mark.parametrize(
    ("speeds", "chosen", "why"),
    [
        ({"bf16": 3, "fp16": 20}, ("fp32", CHANNELS_LAST), "measured the fastest on this processor"),
        ({"bf16": 1 / 2.2, "fp16": 20}, ("bf16", CHANNELS_LAST), "measured 2.2 × as fast as fp32 on this processor"),
        ({"bf16": 1.5, "fp16": 1 / 1.8}, ("fp16", CHANNELS_LAST), "measured 1.8 × as fast as fp32 on this processor"),
        ({"bf16": 0.5, "fp16": 0.49}, ("bf16", CHANNELS_LAST), "measured 2.0 × as fast as fp32 on this processor"),
        ({"bf16": 0.95, "fp16": 3}, ("fp32", CHANNELS_LAST), "measured: bf16 is 1.1 × as fast on this processor"),
        ({"bf16": 3, "fp16": 3, "contiguous": 0.7}, ("fp32", "contiguous"), "1.4 × as fast with contiguous memory"),
    ],
)  # fmt: skip
def test_the_fastest_is_chosen_and_the_reason_said(monkeypatch, speeds, chosen, why):
    Processor(monkeypatch, **speeds)
    measured = measure("cpu")
    assert (measured.chosen.precision, measured.chosen.layout) == chosen
    assert why in measured.chosen.why
    assert measured.steady


@pytest.mark.parametrize("fault", [{"wrong": {"bf16": "nan"}}, {"wrong": {"bf16": "off"}}, {"missing": ("bf16",)}])
def test_what_is_wrong_or_fails_is_not_chosen_however_fast(monkeypatch, fault):
    Processor(monkeypatch, bf16=0.1, fp16=0.5, **fault)
    assert measure("cpu").chosen.precision == "fp16"


def test_what_is_far_slower_is_not_timed_on_a_large_image(monkeypatch):
    asked = Processor(monkeypatch, bf16=4, fp16=100).asked
    measure("cpu")
    assert {side for precision, side in asked if precision != "fp32"} == {min(speed.TRIED)}


def test_beside_programs_that_leave_no_time_the_plain_format_serves_and_nothing_is_kept(monkeypatch, tmp_path):
    monkeypatch.setattr(speed, "PATIENCE", 0.0)
    Processor(monkeypatch, bf16=0.5)
    measured = measure("cpu")
    assert (measured.chosen.precision, measured.steady) == ("fp32", False)
    monkeypatch.setattr(speed, "_known", {})
    assert fastest("cpu", tmp_path).precision == "fp32"
    assert not list(tmp_path.iterdir())


def test_a_device_that_fails_is_told_and_the_plain_format_serves(monkeypatch):
    Processor(monkeypatch, missing=("fp32",))
    chosen = measure("cuda").chosen
    assert (chosen.precision, chosen.why) == ("fp32", "speed could not be measured: not implemented for 'Half'")


def test_this_machine_is_measured_in_a_format_that_it_has(monkeypatch):
    """The real thing: threads and random numbers are afterwards as they were."""
    threads, numbers = torch.get_num_threads(), torch.get_rng_state()
    measured = measure("cpu")
    assert (measured.chosen.precision, measured.chosen.layout) in FORMATS["cpu"]
    assert measured.chosen.why
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), numbers)


@pytest.mark.parametrize("name", ["denoise-fast", "upscale-x2"])
def test_no_format_that_may_be_chosen_costs_a_fiftieth_of_a_decibel(name):
    """By the bundled weights, on what they are for; on any processor, whether it has the instructions or emulates."""
    checkpoint, clean = Weights().load(name), tiny.picture(96, 96)
    scale = checkpoint.header.scale
    noise = np.random.default_rng(0).normal(0, 25, clean.shape)
    observed = np.clip(clean + noise, 0, 255).astype(np.uint8) if scale == 1 else clean[::scale, ::scale].copy()
    controls = {"sigma": 25, "variant": "fast"} if scale == 1 else {"scale": scale}
    reached = {}
    for precision, layout in FORMATS["cpu"][:3]:
        restorer = Restorer.of(checkpoint, Compute("cpu", precision, "a test", layout))
        restored = restorer.restore(checkpoint.header.task, observed, **controls).photo.pixels
        reached[precision, layout] = psnr(restored, clean)
    assert max(reached.values()) - min(reached.values()) < 0.02


# ---- what was measured is kept -----------------------------------------------------------------------------


@pytest.fixture
def measurements(monkeypatch):
    """How often it was measured, in processes that begin with `forget()`; bf16 wins."""
    done = []
    chosen = Compute("cpu", "bf16", "measured 2.2 × as fast as fp32 on this processor")
    monkeypatch.setattr(speed, "measure", lambda device: (done.append(device), speed.Measured(chosen, {}, True))[1])
    monkeypatch.setattr(speed, "_known", {})
    return done


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


# ---- cores -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "files", "cores"),
    [
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "max 100000\n"}, 8),
        ("0::/a/b\n", {"a/cpu.max": "300000 100000", "a/b/cpu.max": "max 100000", "cpu.max": "max 100000"}, 3),
        ("0::/a/b\n", {}, 8),
        ("4:cpu,cpuacct:/docker/x\n", {"cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000"}, 1),
        ("4:cpu,cpuacct:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 8),
        ("9:memory:/x\n", {"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 8),
        ("nonsense\n", {"cpu.max": "x y"}, 8),
        ("0::/\n", {"cpu.max": ""}, 8),
    ],
)
def test_a_containers_share_of_the_cores_is_known(monkeypatch, tmp_path, own, files, cores):
    for name, text in {**files, "own": own}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(processor, "CGROUPS", tmp_path)
    monkeypatch.setattr(processor, "OWN_CGROUP", tmp_path / "own")
    monkeypatch.setattr(processor.os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    assert processor.allotted_cores() == cores


def test_torch_takes_no_more_threads_than_there_are_cores_and_what_is_asked_for_stays(monkeypatch):
    taken = []
    monkeypatch.setattr(torch, "get_num_threads", lambda: 64)
    monkeypatch.setattr(torch, "set_num_threads", taken.append)
    monkeypatch.setattr(processor, "allotted_cores", lambda: 2)
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    processor.use_allotted_cores()
    assert taken == []
    monkeypatch.delenv("OMP_NUM_THREADS")
    processor.use_allotted_cores()
    assert taken == [2]
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    processor.use_allotted_cores()
    assert taken == [2]


def test_the_compute_thread_has_as_many_threads_as_were_set():
    """OpenMP counts by thread: the one that computes must not start with as many as the machine has cores."""
    script = (
        "import torch; torch.set_num_threads(1)\n"
        "from deconvdemo.engine.worker import compute\n"
        "import time; layer = torch.nn.Conv2d(64, 64, 3); image = torch.rand(1, 64, 128, 128)\n"
        "import os; before = len(os.listdir('/proc/self/task')) if os.path.isdir('/proc/self/task') else 0\n"
        "compute(lambda: layer(image))\n"
        "after = len(os.listdir('/proc/self/task')) if os.path.isdir('/proc/self/task') else 1\n"
        "assert after - before <= 1, (before, after)\n"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "4"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr


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
