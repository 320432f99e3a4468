"""In the tests' processes Gradio writes no type stubs: it parses and writes each component's whenever it is imported,
which takes half of the import's time."""

import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder


class WithoutStubs(MetaPathFinder):
    def find_spec(self, fullname, path=None, target=None):
        if fullname != "gradio.component_meta":
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        execute = spec.loader.exec_module

        def execute_and_patch(module):
            execute(module)
            module.create_or_modify_pyi = lambda *given: None

        spec.loader.exec_module = execute_and_patch
        return spec


sys.meta_path.insert(0, WithoutStubs())
