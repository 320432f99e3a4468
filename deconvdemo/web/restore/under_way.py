"""Work that a visitor waits for, on whatever tab: until its turn comes, and what is said if it ends otherwise."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from deconvdemo.engine.admission import Asker, Seat
from deconvdemo.errors import DeconvdemoError, LeftError
from deconvdemo.web.restore import html

log = logging.getLogger(__name__)

LOOKS = 0.3  # seconds between two looks at who waits for a place: whether they have stopped, or left


def until_seated(seat: Seat, asker: Asker) -> Iterator[Any]:
    """Changes nothing on the page, again and again, until there is a place, or whoever asked for it has left."""
    while not seat.wait(LOOKS) and not asker.left():
        yield gr.skip()


def in_sentences(changes: Iterator[Any], idle: Callable[[str], Any], failure: str) -> Iterator[Any]:
    """`changes` of a page; a refusal or failure is words that `idle` shows, and `failure` is for the log.

    Who has left, or stopped, is told nothing: Gradio repeats the last values when a generator ends, after what Stop has
    said.
    """
    try:
        yield from changes
    except LeftError:
        yield gr.skip()
    except DeconvdemoError as error:
        yield idle(html.trouble(error))
    except Exception:  # the buttons must come back, whatever happened
        log.exception(failure)
        yield idle(html.broken())
