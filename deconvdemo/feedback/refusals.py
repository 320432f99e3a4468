"""One sentence for what the disk and the database refuse."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from deconvdemo.errors import FeedbackError
from deconvdemo.feedback.blobs import BucketError

# EFBIG is the full disk of a process with a limit on its files
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

log = logging.getLogger(__name__)


@contextmanager
def refusals(what: str, tell: Callable[..., None] = log.debug) -> Iterator[None]:
    """Turns the disk's and the database's errors into one sentence that begins with `what`; the log has the rest."""
    try:
        yield
    except (OSError, SQLAlchemyError) as error:
        tell("%s", what, exc_info=error)
        raise FeedbackError(f"{what}: {_cause(error)}") from error


def _cause(error: OSError | SQLAlchemyError) -> str:
    detail = str(error.orig) if isinstance(error, DBAPIError) else str(error)
    if getattr(error, "errno", None) in FULL or "disk is full" in detail:
        return "the disk is full; make room on the one that has DECONVDEMO_DATA_DIR, then try again"
    if isinstance(error, BucketError):
        return f"{error}; try again in a while"
    if isinstance(error, OSError):
        detail = error.strerror or detail
    elif "psycopg" in type(getattr(error, "orig", None)).__module__:
        lines = detail.strip().splitlines() or [type(error).__name__]
        return (
            f"the database of DECONVDEMO_DATABASE_URL does not answer as it should ({lines[0]}); try again in a while"
        )
    return f"DECONVDEMO_DATA_DIR cannot be used ({detail}); set it to a folder that can be written"
