"""What the project says of itself: the Space's metadata, the runtime's requirements, the commands of the README."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from deconvdemo.settings import Settings
from deconvdemo.training.recipes import RECIPES

ROOT = Path(__file__).parent.parent
DEVELOPMENT_ONLY = (
    "accelerate", "hypothesis", "matplotlib", "mypy", "playwright", "pytest", "ruff", "scipy", "skimage",
)  # fmt: skip
CARRIED = {"pyarrow", "fastapi"}  # what datasets stores things with, and what Gradio is made of: they come with them
OPTIONAL = {"accelerate", "matplotlib", "skimage"}  # imported inside a function that says how to get it


def required() -> set[str]:
    lines = (ROOT / "requirements.txt").read_text().split()
    return {re.split(r"[<>=\[]", line)[0].lower() for line in lines}


def test_the_readme_carries_the_spaces_metadata():
    front_matter = (ROOT / "README.md").read_text().split("---\n")[1]
    assert front_matter == (ROOT / "space.yaml").read_text(), "run `make space`"


def test_the_space_runs_the_gradio_that_is_required():
    version = re.search(r"sdk_version: ([\d.]+)", (ROOT / "space.yaml").read_text())
    assert version
    [gradio] = [line for line in (ROOT / "requirements.txt").read_text().split() if line.startswith("gradio")]
    low, high = re.findall(r"\d+(?:\.\d+)*", gradio)
    as_numbers = lambda text: [int(part) for part in text.split(".")]
    assert as_numbers(low) <= as_numbers(version[1]) < as_numbers(high)


def imported_packages() -> dict[str, set[str]]:
    """Top-level package → the files of the product that import it."""
    found: dict[str, set[str]] = {}
    for file in [ROOT / "app.py", *(ROOT / "deconvdemo").rglob("*.py")]:
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names.append(node.module)
            for name in names:
                found.setdefault(name.partition(".")[0], set()).add(str(file.relative_to(ROOT)))
    return found


def test_everything_that_is_imported_is_required():
    distributions = importlib.metadata.packages_distributions()
    for package, files in imported_packages().items():
        if package in sys.stdlib_module_names or package == "deconvdemo" or package in OPTIONAL:
            continue
        names = {name.lower().replace("_", "-") for name in distributions[package]}
        assert names & required() or package in CARRIED, f"{package}, imported by {files}, is not in requirements.txt"


@pytest.mark.timeout(120)
def test_the_app_starts_without_the_development_packages(tmp_path):
    """In a process where they cannot be imported: app.py is built and restores an example photo."""
    script = f"""
import sys

sys.modules.update(dict.fromkeys({DEVELOPMENT_ONLY!r}))  # None there is Python's "cannot be imported"
import app
from deconvdemo import Restorer
from deconvdemo.settings import Settings
from deconvdemo.web.demo import build
from deconvdemo.tasks import TASKS
from deconvdemo.web.components.examples import examples_of
restorer = Restorer.load()
build(Settings(data_dir=__import__("pathlib").Path({str(tmp_path)!r})), restorer)
example = examples_of(TASKS["upscale"])[0]
print(restorer.restore("upscale", example.photo).photo.width)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == "452"


def test_bare_make_tells_what_there_is_to_do():
    done = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True)
    for command in ("make run", "make test", "make lint"):
        assert command in done.stdout


def test_one_command_trains_each_network_that_there_is_a_recipe_for():
    for name in RECIPES:
        done = subprocess.run(["make", "-n", f"train-{name}"], cwd=ROOT, capture_output=True, text=True, check=True)
        assert f"deconvdemo train {name} --images" in done.stdout
        assert f"--out weights/{name}.safetensors" in done.stdout


def test_what_is_promised_about_security_is_found_and_names_settings_that_there_are():
    text = (ROOT / "SECURITY.md").read_text()
    assert "](SECURITY.md)" in (ROOT / "README.md").read_text()
    known = {setting.metadata["variable"] for setting in fields(Settings)}
    named = set(re.findall(r"DECONVDEMO_[A-Z_]+", text))
    assert named
    assert named <= known
    for heading in ("How to report", "What is promised", "What is not promised"):
        assert f"## {heading}" in text
    assert "@" not in text, "no address is invented"


# ---- what runs elsewhere: hooks and continuous integration ---------------------------------------------------


def targets() -> set[str]:
    return set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_every_supported_python_is_tested_with_the_newest_and_the_oldest_versions(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "installs")
    from lock import PYTHONS

    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text())["jobs"]
    matrix = jobs["tests"]["strategy"]["matrix"]
    assert tuple(matrix["python"]) == PYTHONS
    assert {system.partition("-")[0] for system in matrix["os"]} == {"ubuntu", "macos"}
    run = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    called = {words.split()[1] for words in run if words.startswith("make ") and "${{" not in words.split()[1]}
    by_versions = {one["versions"]: one["target"] for one in matrix["include"]}
    assert by_versions == {"newest": "test", "oldest": "test-oldest"}
    assert by_versions.keys() == set(matrix["versions"])
    assert called | {*by_versions.values()} <= targets()


def test_before_a_commit_the_linters_of_make_run_and_nothing_is_fetched():
    repositories = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert {one["repo"] for one in repositories} == {"local"}
    hooks = [hook for one in repositories for hook in one["hooks"]]
    assert {hook["language"] for hook in hooks} == {"system"}
    entries = [hook["entry"].removeprefix(".venv/bin/python ").replace(" --force-exclude", "") for hook in hooks]
    makefile = (ROOT / "Makefile").read_text()
    recipes = "\n".join(makefile.split(f"\n{name}:")[1].split("\n\n")[0] for name in ("style", "lint"))
    linters = set(re.findall(r"\$\(PY\) (.*)", recipes))
    assert len(linters) == 3
    assert linters < set(entries)
