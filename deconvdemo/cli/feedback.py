"""`feedback`: what people flagged, counted or exported."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from deconvdemo.settings import Settings


def add_verbs(verbs) -> None:
    summary = "Count or export what people flagged."
    verb = verbs.add_parser("feedback", help=summary, description=summary)
    actions = verb.add_subparsers(metavar="ACTION", required=True)
    stats = actions.add_parser("stats", help="count the flags", description="Counts the flags, by task and reason.")
    stats.add_argument("--json", action="store_true", help="print JSON")
    stats.set_defaults(run=_stats)
    what = "Writes the flags as a parquet dataset: datasets.load_dataset(DIR, 'flags') opens it."
    export = actions.add_parser("export", help="write a parquet dataset", description=what)
    export.add_argument("folder", type=Path, metavar="DIR", help="an empty or new folder")
    export.set_defaults(run=_export)


def _store(settings: Settings):
    from deconvdemo.feedback.store import FeedbackStore

    return FeedbackStore.of(settings)


def _stats(options: argparse.Namespace, settings: Settings) -> int:
    counted = _store(settings).stats()
    if options.json:
        print(json.dumps(counted, indent=2, default=str))
        return 0
    for name, value in counted.items():
        if isinstance(value, dict):
            print(f"{name}:" + ("" if value else " none"))
            for key, count in value.items():
                print(f"  {key}: {count}")
        else:
            print(f"{name}: {'–' if value is None else value}")
    return 0


def _export(options: argparse.Namespace, settings: Settings) -> int:
    from deconvdemo.feedback.export import export_dataset

    report = export_dataset(_store(settings), options.folder)
    rows = ", ".join(f"{count} {kind}" for kind, count in report.counts.items())
    print(f"{report.folder}: {rows}, {report.bytes / 1e6:.1f} MB, {report.shards} parquet files")
    for kind in report.counts:
        print(f"open it with datasets.load_dataset({str(report.folder)!r}, {kind!r})")
    for sentence in report.damaged:
        print(f"deconvdemo: left out: {sentence}", file=sys.stderr)
    return 1 if report.damaged else 0
