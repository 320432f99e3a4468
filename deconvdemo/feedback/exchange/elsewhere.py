"""A published dataset as what one learns from: its rows are read into a store that goes when it was read.

Which flags are accepted, held back, erased and of one picture is then told by the same code as of the demo's own flags.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from deconvdemo.errors import ControlError
from deconvdemo.feedback.exchange.importing import ImportPlan, import_feedback
from deconvdemo.feedback.exchange.own_dataset import own_dataset
from deconvdemo.feedback.store.store import FeedbackStore


@contextlib.contextmanager
def feedback_at(place: str, say: Callable[[str], None]) -> Iterator[FeedbackStore]:
    """The flags, verdicts and votes of a dataset of ours: an export's folder, or hf://datasets/owner/name[@revision].

    One row after another goes from the shards to the disk. `say` is told of rows that cannot be taken. Raises
    ControlError for a place that is none.
    """
    if not place.startswith("hf://") and own_dataset(place) is None:
        raise ControlError(
            f"{place} has no flags that were exported or published: give such a folder, or "
            "hf://datasets/owner/name[@revision]"
        )
    with TemporaryDirectory(prefix="deconvdemo-flags-", ignore_cleanup_errors=True) as folder:
        store = FeedbackStore(Path(folder), min_free_mb=0)
        try:
            report = import_feedback(store, place, ImportPlan())
            for sentence in report.refused:
                say(f"left out: {sentence}")
            yield store
        finally:
            store.close()
