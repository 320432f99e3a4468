"""Image restoration with deconvolution networks, and the loop that turns feedback into better weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deconvdemo.version import __version__

__all__ = ["Restorer", "__version__"]

if TYPE_CHECKING:
    from deconvdemo.engine.restorer import Restorer


def __getattr__(name: str):
    # lazy: `deconvdemo --help` must not pay for torch
    if name == "Restorer":
        from deconvdemo.engine.restorer import Restorer

        return Restorer
    raise AttributeError(f"module 'deconvdemo' has no attribute {name!r}")
