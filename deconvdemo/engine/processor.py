"""The processor of this machine: its name, what tells it from another one, and how much of it this process may use."""

from __future__ import annotations

import hashlib
import math
import os
import platform
from pathlib import Path

import torch

CPUINFO, CGROUPS, OWN_CGROUP = Path("/proc/cpuinfo"), Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
# of /proc/cpuinfo, whatever says which instructions there are; nothing that changes from one moment to the next
TELLING = ("vendor_id", "model name", "model", "cpu family", "stepping", "flags")
TELLING_ON_ARM = ("Features", "CPU implementer", "CPU architecture", "CPU variant", "CPU part", "CPU revision")
# what limits the instructions that torch and oneDNN use of those there are
LIMITS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY", "ONEDNN_DEFAULT_FPMATH_MODE")
THREADS = "OMP_NUM_THREADS"


def name() -> str:
    """As the system names it: "Intel(R) Xeon(R) Processor @ 2.60GHz"."""
    return _fields().get("model name") or platform.processor() or platform.machine()


def has_bf16_instructions() -> bool:
    """Whether the processor says that it multiplies bf16 (AMX, AVX-512, Arm); for descriptions, not for decisions."""
    fields = _fields()
    told = set(f"{fields.get('flags', '')} {fields.get('Features', '')}".split())
    return bool(told & {"amx_bf16", "avx512_bf16", "bf16"})


def fingerprint(device: str) -> str:
    """Equal where a measurement of one `device` says something of another: a hash of all that speed depends on."""
    fields = _fields()
    told = [f"{field}: {fields.get(field, '')}" for field in (*TELLING, *TELLING_ON_ARM)]
    told += [platform.machine(), platform.system(), platform.release() if device == "mps" else ""]
    told += [f"{limit}={os.environ.get(limit, '')}" for limit in LIMITS]
    told += [device, torch.__version__]
    if device == "cuda":
        told += [torch.cuda.get_device_name(), str(torch.version.cuda)]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]


def _fields() -> dict[str, str]:
    """What /proc/cpuinfo tells of the first core; nothing where there is none."""
    try:
        lines = CPUINFO.read_text(errors="replace").splitlines()
    except OSError:
        return {}
    found: dict[str, str] = {}
    for line in lines:
        field, _, value = line.partition(":")
        found.setdefault(field.strip(), value.strip())
    return found


# ---- threads -----------------------------------------------------------------------------------------------


def use_allotted_cores() -> None:
    """Lets torch take no more threads than the cores that this process may use, unless OMP_NUM_THREADS is set.

    Torch knows nothing of a container's share: with two of 64 cores it would start 64 threads, which wait for each
    other at every layer and make it many times slower.
    """
    if os.environ.get(THREADS, "").strip():
        return
    cores = allotted_cores()
    if torch.get_num_threads() > cores:
        torch.set_num_threads(cores)


def allotted_cores() -> int:
    """How many cores this process may use at once: by its affinity and by its control group's quota, at least 1."""
    there_are = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(there_are, _quota())))


def _quota() -> float:
    """Cores' worth of time that the process's control groups, version 2 or 1, allow it; infinite where none do."""
    try:
        groups = [line.split(":", 2) for line in OWN_CGROUP.read_text().splitlines() if line.count(":") >= 2]
    except OSError:
        return math.inf
    shares = [math.inf]
    for _, controllers, path in groups:
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = CGROUPS / "cpu" if controllers else CGROUPS
        # each group up to the top has its own limit; in a container the path may not be visible, but the top is
        inside = Path(path.strip("/"))
        for group in (top, *(top / part for part in (inside, *inside.parents))):
            shares.append(_share(group))
    return min(shares)


def _share(group: Path) -> float:
    try:
        if (group / "cpu.max").exists():
            quota, period = (group / "cpu.max").read_text().split()[:2]
        else:
            quota = (group / "cpu.cfs_quota_us").read_text()
            period = (group / "cpu.cfs_period_us").read_text()
        share = int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):  # "max", or no such group
        return math.inf
    return share if share > 0 else math.inf  # version 1 says -1 for no limit
