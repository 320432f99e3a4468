"""The gate to an expert, judged by itself: on how many ordinary pictures it opens, and how far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from deconvdemo.checkpoints.checkpoint import Checkpoint
from deconvdemo.evaluation.protocols import Case
from deconvdemo.image.pixels import as_images
from deconvdemo.networks.gated_expert import GatedExpert
from deconvdemo.tasks import TASKS

SELDOM = 0.02  # of the pictures that are not of the flagged kind: on no more the gate may open


@dataclass
class Openings:
    """The share of each ordinary picture where the expert counts."""

    names: list[str] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)

    def add(self, name: str, share: float) -> None:
        self.names.append(name)
        self.shares.append(share)

    @property
    def false(self) -> int:
        """On how many it opens, if only for a pixel."""
        return sum(share > 0 for share in self.shares)

    def facts(self) -> dict[str, Any]:
        """For the history, JSON-able. `area` is the mean share of a picture; `worst`, the largest."""
        most = int(np.argmax(self.shares))
        return {
            "pictures": len(self.shares),
            "false": self.false,
            "area": round(float(np.mean(self.shares)), 5),
            "worst": {"image": self.names[most], "share": round(self.shares[most], 4)} if self.false else None,
        }

    def told(self) -> str:
        """A line for the table."""
        if not self.shares:
            return "no expert: nothing opens"
        worst = self.facts()["worst"]
        where = f", most on {worst['image']} ({100 * worst['share']:.1f} % of it)" if worst else ""
        return f"false openings: {self.false} of {len(self.shares)} pictures{where}"

    def refusal(self) -> str:
        if not self.shares or self.false <= SELDOM * len(self.shares):
            return ""
        return f"its expert is asked where nobody needs it ({self.told()}), where {100 * SELDOM:g} % are allowed"


def opening_of(checkpoint: Checkpoint) -> Callable[[Case], float] | None:
    """What tells for a case where the checkpoint's expert counts, 0 to 1 of its area; None: it has no expert."""
    network = checkpoint.network()
    if not isinstance(network, GatedExpert):
        return None
    task, header = TASKS[checkpoint.header.task], checkpoint.header

    def share(case: Case) -> float:
        observed = case.observed
        asked = task.checked({**task.made_for(header.scale, header.variant), **case.controls})
        controls = task.settled(observed, asked)
        holes = None if case.mask is None else torch.from_numpy(case.mask.astype(np.float32))[None, None]
        with torch.inference_mode():
            return float((network.opening(task.inputs(as_images(observed), holes, controls)) > 0).float().mean())

    return share
