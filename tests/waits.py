"""What would wait for a GPU, seen on a CPU."""

from __future__ import annotations

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class Waits(TorchDispatchMode):
    """Notes what would wait for a GPU: to be told a number or how many there are, and indexing by a mask."""

    ASK = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "is_nonzero", "unique")

    def __init__(self):
        super().__init__()
        self.seen: set[str] = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        masks = [one for one in args[1] if one is not None and one.dtype == torch.bool] if name == "index" else []
        if name in self.ASK or masks:
            self.seen.add(name)
        return function(*args, **(kwargs or {}))
