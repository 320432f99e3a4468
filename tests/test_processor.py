"""Torch takes as many threads as this process may use cores."""

import os
import subprocess
import sys

import pytest
import torch

from deconvdemo.engine import processor

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
