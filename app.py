"""The door that a Space opens: the same as `deconvdemo serve`."""

import sys

from deconvdemo.cli import main
from deconvdemo.web import serve

if __name__ == "__main__":
    sys.exit(main(["serve", *sys.argv[1:]], (serve,)))
