"""Gradio builds its web application anew at each step of putting pages together; the last one alone is served."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gradio import blocks


class _NoApp:
    @staticmethod
    def create_app(*given: Any, **named: Any) -> None:
        """`launch` has its own name for the class, and builds the application that is served."""


@contextmanager
def without_apps() -> Iterator[None]:
    """Pages that are put together meanwhile have no application before they are launched.

    Each would take a fifth of a second, and there would be four.
    """
    real = blocks.App
    blocks.App = _NoApp
    try:
        yield
    finally:
        blocks.App = real
