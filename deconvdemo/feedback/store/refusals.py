"""One sentence for what the disk and the database refuse."""

from __future__ import annotations

import errno
import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from deconvdemo.errors import FeedbackError
from deconvdemo.feedback.store.blobs import BucketError
from deconvdemo.feedback.store.folder import MovedError
from deconvdemo.redaction import without_places

# EFBIG is the full disk of a process with a limit on its files
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

log = logging.getLogger(__name__)


@contextmanager
def refusals(what: str, tell: Callable[..., None] = log.debug) -> Iterator[None]:
    """Turns the disk's and the database's errors into one sentence that begins with `what`; the log has the rest.

    Sentences reach strangers: what a driver says of hosts, sockets, users and files is for the log alone.
    """
    try:
        yield
    except (OSError, SQLAlchemyError, OverflowError) as error:
        told = error.orig if isinstance(error, DBAPIError) else error
        tell("%s", what, exc_info=error)
        _log_once(what, told)
        raise FeedbackError(f"{what}: {_cause(error)}") from error


def _cause(error: OSError | SQLAlchemyError | OverflowError) -> str:
    detail = str(error.orig) if isinstance(error, DBAPIError) else str(error)
    if getattr(error, "errno", None) in FULL or "disk is full" in detail:
        return "the disk is full; make room on the one that has DECONVDEMO_DATA_DIR, then try again"
    if isinstance(error, BucketError):
        return f"{error}; try again in a while"
    if isinstance(error, MovedError):
        return f"{error.strerror}, then try again"
    if isinstance(error, OSError):
        detail = error.strerror or type(error).__name__
    if isinstance(error, OSError) or isinstance(getattr(error, "orig", None), sqlite3.Error):  # they name no place
        return f"DECONVDEMO_DATA_DIR cannot be used ({detail}); set it to a folder that can be written"
    if isinstance(error, OverflowError):
        return "a number is larger than a database takes"
    return "the database of DECONVDEMO_DATABASE_URL does not answer as it should; try again in a while"


def _log_once(what: str, error: BaseException | None) -> None:
    """What a driver says, in one line, for whoever keeps the demo: once, not at every look."""
    said = f"{what}: {without_places(str(error).strip())}"
    if said not in _said:
        if len(_said) > 1000:
            _said.clear()
        _said.add(said)
        log.warning("%s", " ".join(said.split()))


_said: set[str] = set()
