"""The command line: every verb of `deconvdemo` but `serve`, which is the pages' own.

Each verb is a module's pair of functions: one adds its options, one runs it and returns the exit status. What a verb
needs (torch, Gradio, datasets) is imported when it runs, so that `deconvdemo --help` answers at once.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from types import ModuleType

from deconvdemo.cli import (
    articles,
    bench,
    bench_report,
    corpus,
    evaluate,
    feedback,
    finetune,
    generate,
    plot,
    promote,
    restore,
    train,
    train_list,
    weights,
)
from deconvdemo.cli.console import lasting_console, shown
from deconvdemo.errors import ControlError, DeconvdemoError
from deconvdemo.settings import Settings
from deconvdemo.version import __version__

DONE, FAILED, WRONG_CALL, STOPPED = 0, 1, 2, 130
VERBS = (
    restore,
    generate,
    evaluate,
    train,
    train_list,
    articles,
    finetune,
    promote,
    plot,
    corpus,
    feedback,
    weights,
    bench,
    bench_report,
)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str):
        # one line, as every other error: argparse would print the whole usage first
        self.exit(WRONG_CALL, f"{self.prog}: {message} (see {self.prog} --help)\n")


def parser(before: Sequence[ModuleType] = ()) -> argparse.ArgumentParser:
    """The command line from the tasks' tables and the verbs' modules; those of `before` come first."""
    top = _Parser(prog="deconvdemo", description="Image restoration with deconvolution networks.")
    top.add_argument("--version", action="version", version=f"deconvdemo {__version__}")
    top.add_argument("--debug", action="store_true", help="show the traceback of an error")
    verbs = top.add_subparsers(metavar="VERB", required=True, parser_class=_Parser)
    for module in (*before, *VERBS):
        module.add_verbs(verbs)
    return top


def main(argv: Sequence[str] | None = None, before: Sequence[ModuleType] = ()) -> int:
    """Runs one command of `parser(before)`. 0: done. 1: something failed. 2: the call is wrong.

    Errors are one line of stderr.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    with lasting_console() as (out, err):
        status = _status_of(arguments, before)
        out.flush()
        if out.lost:  # who keeps what a command prints must learn that it is not whole
            print(f"deconvdemo: what it printed cannot be written ({out.lost.strerror})", file=err)
            status = status or FAILED
    return status


def _status_of(arguments: list[str], before: Sequence[ModuleType]) -> int:
    debug = "--debug" in arguments
    try:
        options = parser(before).parse_args([argument for argument in arguments if argument != "--debug"])
        options.debug = debug
        return options.run(options, Settings.from_environment())
    except SystemExit as leaving:  # argparse's, for --help and wrong calls
        return leaving.code if isinstance(leaving.code, int) else WRONG_CALL
    except ControlError as error:
        return _failed(error, WRONG_CALL, debug)
    except DeconvdemoError as error:
        return _failed(error, FAILED, debug)
    except KeyboardInterrupt:
        print("deconvdemo: stopped", file=sys.stderr)
        return STOPPED
    except Exception as error:  # noqa: BLE001 - the last line of defence: a person gets a sentence, not a traceback
        sentence = f"unexpected {type(error).__name__}: {error} (run again with --debug, and report it)"
        return _failed(error, FAILED, debug, sentence)


def _failed(error: Exception, status: int, debug: bool, sentence: str = "") -> int:
    if debug:
        raise error
    print(f"deconvdemo: {shown(' '.join((sentence or str(error)).split()))}", file=sys.stderr)
    return status
