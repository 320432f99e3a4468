"""constraints.txt names one version of everything that `make` installs, whatever its build; and which is the oldest."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
LINES = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
LOCKED = dict(line.split("==") for line in LINES)


@pytest.fixture
def installs(monkeypatch):
    """The scripts of installs/, which are no part of the package."""
    monkeypatch.syspath_prepend(ROOT / "installs")
    import lock
    import oldest

    return lock, oldest


def installed(name: str) -> list[str]:
    """What an installed package asks for; nothing if it is for other machines."""
    try:
        return importlib.metadata.requires(name) or []
    except importlib.metadata.PackageNotFoundError:
        return []


@pytest.mark.parametrize("line", LINES)
def test_a_constraint_is_a_name_and_a_version_that_any_build_has(line):
    assert re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", line), "no address, hash, marker or +build: run `make lock`"


def test_names_are_sorted_and_none_is_there_twice(installs):
    names = [line.split("==")[0] for line in LINES]
    assert names == sorted(set(names))
    assert not [name for name in names if installs[0].CUDA.match(name)]


def test_constraints_lie_in_the_ranges(installs):
    for asked in installs[0].asked_for():
        version = LOCKED[canonicalize_name(asked.name)]
        assert asked.specifier.contains(version), f"{asked} does not allow {version}: run `make lock`"


def test_all_that_is_needed_has_a_constraint(installs):
    """On every Python and machine that is supported, as far as what is installed here says what it needs."""
    lock, _ = installs
    needed = lock.needed(lock.asked_for(), installed)
    assert len(needed) > 100
    assert needed.keys() - LOCKED.keys() == set(), "run `make lock`"


def test_what_every_python_and_machine_needs_is_found(installs):
    """Named through extras and others' markers, and not where a marker is for none of them."""
    tree = {
        "a": ["b[x]", "only-13; python_version >= '3.13'", "old; python_version < '3.11'", "nvidia-things"],
        "b": ["c; extra == 'x'", "d; extra == 'y'", "mac; sys_platform == 'darwin'", "win; sys_platform == 'win32'"],
    }
    needed = installs[0].needed([Requirement("A>=1")], lambda name: tree.get(name, []))
    assert needed.keys() == {"a", "b", "c", "only-13", "mac"}


def test_the_oldest_versions_are_the_lower_bounds(installs):
    _, oldest = installs
    done = subprocess.run([sys.executable, oldest.__file__, "2.8.0"], capture_output=True, text=True, check=True)
    told = {canonicalize_name(name): version for name, version in (row.split("==") for row in done.stdout.split())}
    ours = {canonicalize_name(asked.name): asked for asked in map(Requirement, oldest.ranges())}
    assert told.keys() == ours.keys()
    for name, version in told.items():
        assert Version(version) <= Version(LOCKED[name])
        assert f">={version}" in str(ours[name].specifier).split(",") or name == "torch"


def test_make_installs_all_that_builds_the_package(installs):
    """pip is told to fetch nothing more for that, and what it says of a missing one nobody understands."""
    [line] = [line for line in (ROOT / "Makefile").read_text().splitlines() if "$(PIP) -r requirements.txt" in line]
    built_with = {Requirement(needed).name for needed in installs[0].project()["build-system"]["requires"]}
    assert set(line.split("requirements.txt")[1].split()) == built_with


def test_make_installs_with_the_pip_that_is_locked():
    """Python 3.11 brings one that takes twice as long: it would install all the others, and be as new afterwards."""
    words = ["make", "-n", "VENV=nowhere", "CONSTRAINTS=constraints.txt", "nowhere/.development"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    first, *others = [line for line in done.stdout.splitlines() if " -m pip install " in line]
    assert first.endswith(" -c constraints.txt --upgrade pip")
    assert sum("--editable" in line for line in others) == 1  # the package itself is built once


def test_the_wheel_has_all_of_the_package_and_says_that_it_is_typed():
    """Nothing is built for it, which takes long; `make release-check` builds, installs and uses it."""
    packed = {file.distribution_path for file in WheelBuilder(str(ROOT)).recurse_included_files()}
    words = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "deconvdemo", "weights"]
    listed = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("this is no checkout, which alone knows what belongs to the package")
    there = [name for name in listed.stdout.splitlines() if (ROOT / name).exists()]
    assert "deconvdemo/py.typed" in packed
    assert packed == {name if name.startswith("deconvdemo/") else f"deconvdemo/{name}" for name in there}


def test_the_archive_has_what_the_wheel_is_built_from():
    archived = {file.distribution_path for file in SdistBuilder(str(ROOT)).recurse_included_files()}
    assert {"README.md", "LICENSE", "requirements.txt", "pyproject.toml", "weights/index.json"} <= archived
