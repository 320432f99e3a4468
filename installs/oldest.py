"""Prints the oldest versions that the ranges allow, as constraints for pip (`make test-oldest`).

python3 installs/oldest.py TORCH     TORCH is the version of torch, whose oldest one is a build of several GB on x86
"""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
PRODUCT = ("train", "postgres")  # the extras that are no tools of developers


def ranges() -> list[str]:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    return [*lines, *(line for name in PRODUCT for line in extras[name])]


def oldest(torch: str) -> dict[str, str]:
    """Name → version."""
    bounds = (re.match(r"([\w-]+)(?:\[.*\])?>=([\w.]+)", line) for line in ranges())
    return {bound[1]: torch if bound[1] == "torch" else bound[2] for bound in bounds if bound}


if __name__ == "__main__":
    for name, version in oldest(sys.argv[1]).items():
        print(f"{name}=={version}")
