"""Imports run downward only, and what is heavy is imported where it is used."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "deconvdemo"
GROUND = ["errors", "version", "units", "digests", "bounded", "atomic", "bicubic", "cosines", "heartbeat", "redaction"]
GROUND += ["address_space"]
# the floors, from the ground; a module belongs to the longest name that it begins with
FLOORS = [
    GROUND,
    ["settings", "image", "hub", "networks", "degradations", "deconvolution"],
    ["tasks", "checkpoints"],
    ["engine", "feedback"],
    ["evaluation", "training", "release", "deconvdemo.__init__"],
    ["web", "cli"],
    ["__main__", "app"],
]  # fmt: skip
RANK = {name: floor for floor, names in enumerate(FLOORS, start=1) for name in names}


def name_of(file: Path) -> str:
    """ "deconvdemo.cli.restore" for deconvdemo/cli/restore.py; a package is its __init__."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {name_of(file): file for file in [ROOT / "app.py", *sorted(PACKAGE.rglob("*.py"))]}


def room_of(module: str) -> str:
    """The longest name in FLOORS that a module begins with."""
    short = module.removeprefix("deconvdemo.") if module != "deconvdemo" else "deconvdemo.__init__"
    while short not in RANK and "." in short:
        short = short.rpartition(".")[0]
    return short


def rank_of(module: str) -> int | None:
    return RANK.get(room_of(module))


def imports(file: Path) -> Iterator[tuple[str, bool]]:
    """(module, whether it is imported when the file is) for every import but those for type checkers alone."""

    def walk(nodes, at_top: bool):
        for node in nodes:
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                yield from walk(node.orelse, at_top)
            elif isinstance(node, ast.Import):
                yield from ((alias.name, at_top) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{file}: imports are written in full here"
                for alias in node.names:
                    module = f"{node.module}.{alias.name}"
                    yield (module if module in FILES else str(node.module)), at_top
            else:
                inner = at_top and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
                yield from walk(ast.iter_child_nodes(node), inner)

    yield from walk(ast.parse(file.read_text()).body, True)


@cache
def all_imports() -> dict[str, list[tuple[str, bool]]]:
    return {name: list(imports(file)) for name, file in FILES.items()}


def importers(package: str, at_top_only: bool = False) -> set[str]:
    return {
        name
        for name, found in all_imports().items()
        for module, at_top in found
        if module.partition(".")[0] == package and (at_top or not at_top_only)
    }


def test_every_module_has_a_floor():
    assert not [name for name in FILES if rank_of(name) is None], "give it a place in FLOORS"


def test_imports_run_downward():
    """Lazy ones, too, and from floor to floor: rooms of one floor, those of the ground among them, know no other."""
    level_or_upward = [
        f"{name} imports {module}"
        for name, found in all_imports().items()
        for module, _ in found
        if module in FILES and room_of(module) != room_of(name) and rank_of(module) >= rank_of(name)
    ]
    assert not level_or_upward


def test_there_are_seven_floors_from_the_errors_to_the_doors():
    assert rank_of("deconvdemo.errors") == 1
    assert len(FLOORS) == 7


def test_there_are_no_circles():
    graph = {name: {module for module, _ in found if module in FILES} for name, found in all_imports().items()}
    graph["deconvdemo"] = set()
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" → ".join(error.args[1]))


def test_a_photo_is_pure_data():
    """Readers and writers stand above it: it is made by them, and knows none of them."""
    reached, left = set[str](), ["deconvdemo.image.photo"]
    while left:
        reached.add(name := left.pop())
        left += [module for module, _ in all_imports()[name] if module in FILES and module not in reached]
    plain = {f"deconvdemo.image.{name}" for name in ("photo", "alpha", "pixels", "resolution")}
    assert reached == plain | {"deconvdemo.errors"}


def test_photos_are_read_without_torch():
    image = {name for name in FILES if name.startswith("deconvdemo.image")}
    assert not image & importers("torch", at_top_only=True)


def test_gradio_is_for_the_page_alone():
    assert {name for name in importers("gradio") if not name.startswith("deconvdemo.web")} <= {"app"}


def test_the_feedback_knows_nothing_of_networks():
    feedback = {name for name in FILES if name.startswith("deconvdemo.feedback")}
    assert not feedback & importers("torch")
    assert not {
        module
        for name in feedback
        for module, _ in all_imports()[name]
        if module.startswith(("deconvdemo.engine", "deconvdemo.networks", "deconvdemo.checkpoints", "deconvdemo.web"))
    }


def test_engine_and_feedback_meet_only_in_records():
    met = {
        module
        for name in FILES
        if name.startswith(("deconvdemo.engine", "deconvdemo.training"))
        for module, _ in all_imports()[name]
        if module.startswith("deconvdemo.feedback")
    }
    assert met <= {"deconvdemo.feedback.events.records"}


def test_datasets_is_imported_inside_functions():
    assert not importers("datasets", at_top_only=True)


def test_development_packages_are_not_imported_by_the_product():
    for package in ("pytest", "hypothesis", "playwright"):
        assert not importers(package)


def loaded_after(statement: str) -> set[str]:
    """Top-level packages that are loaded in a new process after `statement`."""
    script = f"import sys\n{statement}\nprint('\\n' + ' '.join({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


HEAVY = {"torch", "gradio", "datasets", "pandas", "pyarrow", "transformers", "cv2", "skimage", "huggingface_hub"}


def test_help_answers_without_loading_anything_heavy():
    """What makes `deconvdemo --help` quick; a clock would depend on what else the machine does."""
    for words in ("--help", "denoise --help", "train --help", "--version"):
        statement = f"from deconvdemo.__main__ import main\nassert main({words.split()!r}) == 0"
        assert not loaded_after(statement) & HEAVY


def test_what_decodes_strangers_files_loads_little():
    """It starts while a visitor waits, and is no place for a network or a token."""
    assert not loaded_after("import deconvdemo.image.apart.child") & (HEAVY | {"tifffile", "sqlalchemy"})


def test_feedback_and_settings_load_without_torch():
    modules = [name for name in FILES if name.startswith("deconvdemo.feedback")] + ["deconvdemo.settings"]
    statement = "\n".join(f"import {name}" for name in modules)
    assert not loaded_after(statement) & {"torch", "gradio", "datasets"}
