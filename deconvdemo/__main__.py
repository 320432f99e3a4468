"""The door of the command line: what `deconvdemo` and `python -m deconvdemo` do, every verb and the pages."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from deconvdemo import cli
from deconvdemo.web import serve


def parser() -> argparse.ArgumentParser:
    return cli.parser((serve,))


def main(argv: Sequence[str] | None = None) -> int:
    return cli.main(argv, (serve,))


if __name__ == "__main__":
    sys.exit(main())
