"""What tests of several modules share: weights of small untrained networks, and a Restorer that serves them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# the test networks are so small that a second thread costs more than it brings; subprocesses inherit this
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory) -> Path:
    """A folder of weights for every recipe, as `weights/` is: small untrained networks with plain corrections."""
    import tiny

    from deconvdemo.checkpoints import Header, save_checkpoint
    from deconvdemo.training.recipes import RECIPES
    from deconvdemo.weights_index import add_to_index

    folder = tmp_path_factory.mktemp("tiny_weights")
    for name, recipe in RECIPES.items():
        config = {**recipe.config, **tiny.SIZES.get(recipe.network, {})}
        tensors = tiny.network(recipe.network, **config).state_dict()
        file = folder / f"{name}.safetensors"
        save_checkpoint(file, Header(recipe.network, config, recipe.task, recipe.scale), tensors)
        add_to_index(file)
    return folder


@pytest.fixture(scope="session")
def restorer(tiny_weights):
    """A Restorer in fp32 on the CPU with `tiny_weights`. Shared: build another one to change anything of it."""
    from deconvdemo.engine.device import Compute
    from deconvdemo.engine.restorer import Restorer
    from deconvdemo.weights import Weights

    return Restorer(Weights(tiny_weights), Compute("cpu", "fp32", "a test"))
