"""Builds the source archive and the wheel, and uses the wheel where nothing of this folder is (`make release-check`).

The wheel is built from the archive, as those do who build it themselves. What it needs is lent by this environment;
with --online pip fetches it, in the versions of constraints.txt, as it does for whoever installs a release.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
DIST = ROOT / "dist"
SMOKE = """
import importlib.metadata, importlib.resources, sys
import deconvdemo
from deconvdemo import Restorer
from deconvdemo.image import PHOTOS
assert not deconvdemo.__file__.startswith(sys.argv[1]), f"{deconvdemo.__file__} is the folder's, not the wheel's"
assert importlib.metadata.version("deconvdemo") == deconvdemo.__version__
assert importlib.resources.files("deconvdemo").joinpath("py.typed").is_file()
restorer = Restorer.load(device="cpu", precision="fp32")
restoration = restorer.restore("denoise", PHOTOS / "cat.webp", variant="fast")
restoration.save("restored.png")
print(restoration.summary())
"""


def run(*words: str | Path, cwd: Path = ROOT) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "DECONVDEMO_"))}
    print("$", *words[:-2] if SMOKE in words else words, flush=True)
    subprocess.run([*map(str, words)], cwd=cwd, env=environment, check=True)


def build() -> tuple[Path, Path]:
    """The archive, and the wheel that is made from it alone."""
    for old in [*DIST.glob("*.whl"), *DIST.glob("*.tar.gz")]:
        old.unlink()
    hatch = (sys.executable, "-m", "hatchling", "build", "-d", DIST, "-t")
    run(*hatch, "sdist")
    [archive] = DIST.glob("*.tar.gz")
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")
        run(*hatch, "wheel", cwd=next(Path(folder).iterdir()))
    [wheel] = DIST.glob("*.whl")
    return archive, wheel


def check(wheel: Path, online: bool) -> None:
    """Installs the wheel in an empty environment, away from this folder, and does what a newcomer does first."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        venv.create(folder / "env", with_pip=True)
        python = folder / "env" / "bin" / "python"
        pip = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        if online:
            run(*pip, "-c", ROOT / "constraints.txt", wheel)
        else:
            run(*pip, "--no-deps", "--no-index", wheel)
            # as a path this lends what is installed here, but for the project itself, which lies elsewhere
            [site] = folder.glob("env/lib/python*/site-packages")
            (site / "lent.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
        program = folder / "env" / "bin" / "deconvdemo"
        for words in (["--version"], ["--help"], ["weights", "list"], ["feedback", "stats"]):
            run(program, *words, cwd=folder)
        run(python, "-c", SMOKE, ROOT, cwd=folder)


def main() -> int:
    archive, wheel = build()
    if importlib.util.find_spec("twine"):
        run(sys.executable, "-m", "twine", "check", "--strict", archive, wheel)
    else:
        print("twine is not installed: how an index would show the README is not checked (pip install twine)")
    check(wheel, "--online" in sys.argv[1:])
    print(f"{archive.name} and {wheel.name} can be released: docs/releasing.md goes on from here")
    return 0


if __name__ == "__main__":
    sys.exit(main())
