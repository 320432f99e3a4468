"""Writes constraints.txt anew (`make lock`): of all that `make` installs, the newest version that the ranges allow.

pip resolves once, in a fresh environment on the oldest Python, whose versions the newer ones have, too. What only other
Pythons and machines need beside (by the markers of what was found) is added by name.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Callable, Iterable, Iterator
from itertools import product
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PYTHONS = ("3.11", "3.12", "3.13")
MACHINES = (("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"))
# what a CUDA build of torch brings: the CPU builds have none of it, and torch itself asks for exact versions
CUDA = re.compile(r"nvidia-|cuda-|triton$")
HEAD = """\
# Written by `make lock`: what `make` installs, within the ranges of requirements.txt and pyproject.toml.
# No addresses, hashes or builds: every build of torch will do, for the CPU or for CUDA.
"""


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def asked_for() -> list[Requirement]:
    """What the project itself names: to run, to develop, to be built, and to be installed."""
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    extras = project()["project"]["optional-dependencies"]
    names = [*Requirement(next(line for line in extras["dev"] if line.startswith("deconvdemo["))).extras, "dev"]
    lines += [line for name in names for line in extras[name] if not line.startswith("deconvdemo")]
    return [Requirement(line) for line in [*lines, *project()["build-system"]["requires"], "pip"]]


def environments() -> Iterator[dict[str, str]]:
    """The markers' variables of each Python and machine that is supported."""
    for python, (platform, machine) in product(PYTHONS, MACHINES):
        yield {
            "python_version": python,
            "python_full_version": f"{python}.0",
            "sys_platform": platform,
            "platform_system": platform.capitalize(),
            "platform_machine": machine,
            "os_name": "posix",
            "implementation_name": "cpython",
            "platform_python_implementation": "CPython",
        }


def needed(roots: Iterable[Requirement], requires: Callable[[str], Iterable[str]]) -> dict[str, list[Requirement]]:
    """Name → who asks for it how, over all that the roots need anywhere; `requires(name)` gives one's requirements."""
    found: dict[str, list[Requirement]] = {}
    seen: set[tuple[str, str]] = set()
    waiting = list(roots)
    while waiting:
        asked = waiting.pop()
        name = canonicalize_name(asked.name)
        found.setdefault(name, []).append(asked)
        for extra in {"", *asked.extras}:
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            ours = [{**environment, "extra": extra} for environment in environments()]
            for other in map(Requirement, requires(name)):
                if not CUDA.match(other.name) and (not other.marker or any(map(other.marker.evaluate, ours))):
                    waiting.append(other)
    return found


def resolved(python: Path, *words: str) -> dict[str, dict]:
    """Name → metadata of what pip would install."""
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--dry-run"]
    done = subprocess.run([*command, "--report", "-", *words], cwd=ROOT, text=True, stdout=subprocess.PIPE, check=True)
    items = [item["metadata"] for item in json.loads(done.stdout)["install"]]
    return {canonicalize_name(item["name"]): item for item in items}


def lock() -> dict[str, str]:
    """Name → version."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder, "bin", "python")
        found = resolved(python, *map(str, asked_for()))
        while missing := (asked := needed(asked_for(), requires(found))).keys() - found.keys():
            for name in missing:
                # the newest Python has all of them; another one's packages can be had as wheels alone, into any folder
                newest = ["--python-version", PYTHONS[-1], "--ignore-requires-python", "--target", folder]
                ranges = ",".join({str(one.specifier) for one in asked[name] if one.specifier})
                found |= resolved(python, "--no-deps", "--only-binary", ":all:", *newest, f"{name}{ranges}")
    return {name: item["version"].partition("+")[0] for name, item in sorted(found.items()) if not CUDA.match(name)}


def requires(found: dict[str, dict]) -> Callable[[str], list[str]]:
    return lambda name: found.get(name, {}).get("requires_dist", [])


if __name__ == "__main__":
    if sys.version_info[:2] != tuple(map(int, PYTHONS[0].split("."))):
        sys.exit(f"what is locked must install on every Python: make lock VENV=.venv-lock PYTHON=python{PYTHONS[0]}")
    versions = lock()
    (ROOT / "constraints.txt").write_text(HEAD + "".join(f"{name}=={version}\n" for name, version in versions.items()))
