"""Which number format and layout of memory run networks fastest on this machine: measured, not known by name.

Two small networks of our kinds are timed in each format, in turn, so that a busy machine is busy for all of them. That
takes well under a second, happens when a precision is first asked for, and is kept beside what it depends on: the
processor and torch. A format whose results are off, or not finite, or that fails, is out.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from deconvdemo.bicubic import resize
from deconvdemo.engine import processor
from deconvdemo.engine.compute import Compute
from deconvdemo.engine.kept_choice import keep, kept
from deconvdemo.engine.worker import compute
from deconvdemo.networks import DeconvSR, DeconvUNet

Format = tuple[str, str]  # precision and layout
# the first is the plain one, which serves in doubt; of two that are as fast, the earlier one serves
FORMATS: Mapping[str, tuple[Format, ...]] = {
    "cpu": (("fp32", "channels_last"), ("fp32", "contiguous"), ("bf16", "channels_last"), ("fp16", "channels_last")),
    "cuda": (("fp32", "channels_last"), ("bf16", "channels_last"), ("fp16", "channels_last")),
    "mps": (
        ("fp32", "channels_last"), ("fp32", "contiguous"), ("bf16", "contiguous"),
        ("fp16", "contiguous"), ("fp16", "channels_last"),
    ),
}  # fmt: skip
WORTH = 1.15  # times as fast as what is plainer: less is within what a busy machine can feign
# of the correction's size: where the correction is 25 levels and what is left to correct 7 (sigma 25), an error of 2 %
# costs 0.02 dB; bf16's is about 0.5 %
LARGEST_ERROR = 0.02
# sides of images in pixels. What is far slower than the plain format on a small image is not tried on a large one, and
# the others are timed on the first that takes long enough: a GPU needs a large one to show what it can do
TRIED, TIMED = (32, 48), (96, 256, 1024)
FAR_SLOWER = 2.5
LONG_ENOUGH = 0.02  # seconds
ROUNDS, MOST_ROUNDS = 3, 7  # more while the plain format's times differ
STEADY, VERY_UNSTEADY = 1.2, 2.0  # its slowest time over its quickest
PATIENCE = 2.0  # seconds by the clock on the wall; a machine that is busier than that gets no more rounds
_lock = threading.Lock()
_known: dict[str, Compute] = {}  # by fingerprint: for processes without a folder, and for the next call


def fastest(device: str, folder: Path | None = None) -> Compute:
    """What to compute with on `device`; measured unless that was done for this processor and torch."""
    with _lock:
        key = processor.fingerprint(device)
        if key not in _known:
            found = kept(device, key, folder)
            if found is None:
                measured = compute(lambda: measure(device))
                found = measured.chosen
                if measured.steady:
                    keep(found, key, folder)
            _known[key] = found
        return _known[key]


@dataclass(frozen=True)
class Measured:
    """`steady`: the machine was quiet enough for the figures to be kept."""

    chosen: Compute
    times_as_fast: Mapping[Format, float]  # as the plain format; those that are out are not in it
    steady: bool


def measure(device: str) -> Measured:
    """Times every format of `device`. Falls back on the plain one, and says so, where that cannot be done."""
    plain, *others = FORMATS[device]
    noun = "processor" if device == "cpu" else "GPU"
    try:
        with torch.inference_mode(), _one_thread():
            timer = _Timer(device, plain)
            rivals = [rival for rival in others if timer.admits(rival)]
            seconds = timer.rounds([plain, *rivals])
    except (RuntimeError, MemoryError) as error:  # torch's, for want of memory and for what a device cannot do
        why = f"speed could not be measured: {' '.join(str(error).split())[:150]}"
        return Measured(Compute(device, plain[0], why, plain[1]), {}, False)
    ratios = {rival: [a / b for a, b in zip(seconds[plain], seconds[rival], strict=True)] for rival in rivals}
    times = {rival: statistics.median(ratio) for rival, ratio in ratios.items()}
    best, gain = plain, 1.0
    for rival in rivals if len(seconds[plain]) >= ROUNDS else ():
        # in most of the rounds, not in the middle one alone
        surely = sorted(ratios[rival])[len(ratios[rival]) // 4] > 1
        if surely and times[rival] > gain * WORTH:
            best, gain = rival, times[rival]
    steady = len(seconds[plain]) >= ROUNDS and max(seconds[plain]) < VERY_UNSTEADY * min(seconds[plain])
    return Measured(Compute(device, best[0], _why(best, plain, times, noun), best[1]), times, steady)


def _why(best: Format, plain: Format, times: Mapping[Format, float], noun: str) -> str:
    """ "measured 2.2 × as fast as fp32 on this processor"."""
    if best[0] != plain[0]:
        return f"measured {times[best]:.1f} × as fast as {plain[0]} on this {noun}"
    if best != plain:
        return f"measured {times[best]:.1f} × as fast with contiguous memory on this {noun}"
    others = [f"{name} is {speed:.1f} × as fast" for (name, _), speed in times.items() if name != plain[0]]
    return f"measured: {', '.join(others)} on this {noun}" if others else f"measured the fastest on this {noun}"


class _Timer:
    """The networks in every format, and the images that they are timed on."""

    def __init__(self, device: str, plain: Format):
        self.device, self.plain = device, plain
        self.seconds = _clock(device)
        self.networks: dict[Format, list[nn.Module]] = {}
        self.tried = {side: (self.once(plain, side), self.once(plain, side))[1] for side in TRIED}
        for self.side in TIMED:
            self.once(plain, self.side)  # kernels are made for a size: the first call is not one to time
            if self.once(plain, self.side)[0] > LONG_ENOUGH:
                break

    def admits(self, rival: Format) -> bool:
        """Whether it computes the same, in a time that is not beyond hope."""
        try:
            for side, (plain_seconds, expected) in self.tried.items():
                seconds, found = self.once(rival, side)
                if self.device == "cpu" and seconds > 2 * FAR_SLOWER * plain_seconds:
                    return False
                if seconds > FAR_SLOWER * plain_seconds:  # was it only slow to start?
                    seconds, found = self.once(rival, side)
                if seconds > FAR_SLOWER * plain_seconds:
                    return False
                if any(_relative_error(*pair) > LARGEST_ERROR for pair in zip(found, expected, strict=True)):
                    return False
            self.once(rival, self.side)
        except (RuntimeError, NotImplementedError, TypeError):  # torch's words for what a device or version lacks
            return False
        return True

    def rounds(self, formats: list[Format]) -> dict[Format, list[float]]:
        """Seconds of each format in each round; every other round the other way round, so that none is always last."""
        seconds: dict[Format, list[float]] = {each: [] for each in formats}
        begun = time.perf_counter()
        for number in range(MOST_ROUNDS):
            for each in formats if number % 2 else reversed(formats):
                seconds[each].append(self.once(each, self.side)[0])
            steady = max(seconds[self.plain]) < STEADY * min(seconds[self.plain])
            if (number + 1 >= ROUNDS and steady) or time.perf_counter() - begun > PATIENCE:
                break
        return seconds

    def once(self, form: Format, side: int) -> tuple[float, list[Tensor]]:
        """Seconds, and each network's correction of an image, on the CPU in float32."""
        compute_on = Compute(self.device, form[0], "it is timed", form[1])
        if form not in self.networks:
            self.networks[form] = [compute_on.network(network) for network in _networks()]
        total, corrections = 0.0, []
        for network in self.networks[form]:
            scale, channels = int(network.scale), int(network.image_channels) + int(network.side_channels)  # type: ignore[arg-type]
            inputs = _image(channels, side // scale)
            begun = self.seconds()
            with compute_on.autocast():
                restored = network(compute_on.images(inputs)).float().cpu()  # which waits for a GPU to end
            total += self.seconds() - begun
            corrections.append(restored - (inputs[:, :3] if scale == 1 else resize(inputs, scale)))
        return total, corrections


@contextmanager
def _one_thread() -> Iterator[None]:
    """A team of threads beside a busy program waits more than it computes; formats compare on one as on several."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _clock(device: str) -> Callable[[], float]:
    """Seconds that this thread computed, on a CPU: the same beside busy programs, unlike those on the wall."""
    fine = time.get_clock_info("thread_time").resolution < 1e-4  # not on Windows
    return time.thread_time if device == "cpu" and fine else time.perf_counter


def _relative_error(found: Tensor, expected: Tensor) -> float:
    """Root mean square of the difference, over that of `expected`; infinite for what is not finite."""
    if not torch.isfinite(found).all():
        return float("inf")
    return float((found - expected).square().mean().sqrt() / expected.square().mean().sqrt())


def _networks() -> list[nn.Module]:
    """The layers that the bundled networks are made of, in the same proportions; seeded, and the same each time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        networks: list[nn.Module] = [DeconvUNet(widths=(32, 64, 128), blocks=1), DeconvSR(2, channels=64, depth=4)]
        for network in networks:
            for parameter in network.parameters():
                if parameter.ndim > 1 and not parameter.any():  # a block that starts as the identity
                    nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5)
    return [network.eval().requires_grad_(False) for network in networks]


def _image(channels: int, side: int) -> Tensor:
    return torch.rand((1, channels, side, side), generator=torch.Generator().manual_seed(0))
