"""What tests of several modules share: weights of small untrained networks, and a Restorer that serves them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# the test networks are so small that a second thread costs more than it brings; subprocesses inherit this
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory) -> Path:
    """A folder of weights for every variant of every task, as `weights/` is: small untrained networks."""
    import tiny

    from deconvdemo.tasks import TASKS

    folder = tmp_path_factory.mktemp("tiny_weights")
    for task in TASKS.values():
        for choices in task.combinations():
            tiny.weights_file(folder, task, choices)
    return folder


@pytest.fixture(scope="session")
def restorer(tiny_weights):
    """A Restorer in fp32 on the CPU with `tiny_weights`. Shared: build another one to change anything of it."""
    from deconvdemo.engine.device import Compute
    from deconvdemo.engine.restorer import Restorer
    from deconvdemo.weights import Weights

    return Restorer(Weights(tiny_weights), Compute("cpu", "fp32", "a test"))
