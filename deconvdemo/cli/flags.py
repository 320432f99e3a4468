"""The option that says whose flags are learned from, or judged by."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from deconvdemo.settings import Settings

if TYPE_CHECKING:
    from deconvdemo.feedback.store.store import FeedbackStore


def add_flags_option(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--flags",
        metavar="PLACE",
        help="accepted flags of a published dataset: an export's folder, or hf://datasets/owner/name[@revision] "
        "(default: those that were flagged or imported here)",
    )


@contextmanager
def flags_of(options: argparse.Namespace, settings: Settings) -> Iterator[FeedbackStore]:
    """This machine's feedback, or that of `--flags` as long as it is read."""
    from deconvdemo.feedback.exchange.elsewhere import feedback_at
    from deconvdemo.feedback.store.store import FeedbackStore

    if not options.flags:
        yield FeedbackStore.of(settings)
        return
    with feedback_at(options.flags, lambda text: print(text, file=sys.stderr)) as store:
        yield store
