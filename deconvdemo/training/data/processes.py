"""The processes that train one network together: each has its share of every batch, and all take the same steps.

`accelerate launch --num_processes N -m deconvdemo train …` starts them, and tells them of each other by the variables
that torchrun sets, too. Without a launcher there is one process, and nothing to agree on.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from datetime import timedelta

import torch
from torch import Tensor, nn

from deconvdemo.errors import TrainingError

PATIENCE = timedelta(hours=3)  # the others wait while the first one decodes the images or measures


class OneProcess:
    """One process: its share is the whole. `device` is "cpu", "cuda", "cuda:1" or "mps"."""

    number, count = 0, 1

    def __init__(self, device: str):
        self.device = device

    @property
    def is_first(self) -> bool:
        """True for the one process that writes files and talks."""
        return self.number == 0

    def summed(self, value: Tensor) -> Tensor:
        """The sum of every process's `value`."""
        return value

    def agreed(self, *numbers: float) -> list[float]:
        """The sums of every process's numbers, known to all."""
        return list(numbers)

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Makes every process's gradients the sum of all."""

    def one_first(self) -> contextlib.AbstractContextManager:
        """One process a machine runs the block before the others do: what it leaves on the disk is there for them."""
        return contextlib.nullcontext()

    def close(self) -> None:
        """At the end, once every process has come here."""


class Team(OneProcess):
    """One of several processes, over NCCL between GPUs and gloo between CPUs."""

    def __init__(self, device: str):
        try:
            from accelerate import PartialState
        except ImportError as error:
            raise TrainingError(
                "several processes were started, but accelerate is not installed: pip install 'deconvdemo[train]'"
            ) from error
        there = torch.cuda.device_count()
        if device == "cuda" and int(os.environ.get("LOCAL_RANK", 0)) >= there:
            raise TrainingError(f"this machine has {there} GPUs, but more processes: start one a GPU (--num_processes)")
        if device not in ("cpu", "cuda"):
            raise TrainingError(f"several processes cannot share {device}: train on CPUs or on CUDA GPUs")
        self._state = PartialState(cpu=device == "cpu", timeout=PATIENCE)
        self.number, self.count = self._state.process_index, self._state.num_processes
        super().__init__(f"cuda:{self._state.local_process_index}" if device == "cuda" else device)

    def summed(self, value: Tensor) -> Tensor:
        torch.distributed.all_reduce(value := value.clone())
        return value

    def agreed(self, *numbers: float) -> list[float]:
        return self.summed(torch.tensor(numbers, dtype=torch.float64, device=self.device)).tolist()

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        # in one message: each costs a round trip, and these networks are small
        total = self.summed(torch.cat([gradient.reshape(-1) for gradient in gradients]))
        for gradient, piece in zip(gradients, total.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(piece.view(gradient.shape))

    def one_first(self) -> contextlib.AbstractContextManager:
        return self._state.local_main_process_first()

    def close(self) -> None:
        self._state.wait_for_everyone()
        self._state.destroy_process_group()


def processes(device: str) -> OneProcess:
    """This process among those that a launcher started, if one did. Raises TrainingError if they cannot work there."""
    return Team(device) if int(os.environ.get("WORLD_SIZE", 1)) > 1 else OneProcess(device)
