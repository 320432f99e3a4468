"""Gradio parses each component's source and writes type stubs beside it whenever it is imported: half of the import's
time, for files that only whoever writes components reads, and that no one wants in an installed package."""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder
from typing import Any


class WithoutStubs(MetaPathFinder):
    """Finds the module that writes them as Python does, and takes the writing out of it."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        if fullname != "gradio.component_meta":
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def execute_and_quieten(module: Any) -> None:
            execute(module)
            module.create_or_modify_pyi = lambda *given: None

        spec.loader.exec_module = execute_and_quieten  # type: ignore[method-assign]
        return spec


def never_written() -> None:
    """To be called before Gradio is imported."""
    if not any(isinstance(finder, WithoutStubs) for finder in sys.meta_path):
        sys.meta_path.insert(0, WithoutStubs())
