"""`feedback`: what people flagged: counted, shown, exported, imported, published, replayed, erased."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from deconvdemo.engine.options import add_engine_options, restorer
from deconvdemo.feedback.events.records import REASONS
from deconvdemo.settings import Settings
from deconvdemo.tasks import TASKS


def add_verbs(verbs) -> None:
    summary = "Count, show, export, import, publish, replay or erase what people flagged."
    verb = verbs.add_parser("feedback", help=summary, description=summary)
    actions = verb.add_subparsers(metavar="ACTION", required=True)
    stats = actions.add_parser("stats", help="count the flags", description="Counts the flags, by task and reason.")
    stats.add_argument("--json", action="store_true", help="print JSON")
    stats.set_defaults(run=_stats)
    what = (
        "Writes the flags as a parquet dataset, which datasets.load_dataset(DIR, 'flags') opens, or in another format; "
        "all but rejected and hidden ones, or a view of the review page's. `feedback import` takes each of them back."
    )
    export = actions.add_parser("export", help="write a dataset", description=what)
    export.add_argument("folder", type=Path, metavar="DIR", help="an empty or new folder")
    formats = ("parquet", "imagefolder", "csv", "labelstudio", "argilla")
    export.add_argument("--format", default="parquet", choices=formats, help="(default: parquet)")
    export.add_argument("--csv", action="store_const", dest="format", const="csv", help="the same as --format csv")
    filters = {
        "status": "what reviewers decided, like accepted, rejected or disputed",
        "task": "flags of this task",
        "reason": "flags with this reason",
        "rating": "good or bad",
        "weights": "made by weights whose sha256 begins so",
        "since": "from this day on, like 2026-11-20",
        "until": "up to this day",
        "text": "with this in the visitor's comment",
    }
    for name, words in filters.items():
        export.add_argument(f"--{name}", metavar=name.upper(), help=words)
    export.add_argument("--everything", action="store_true", help="what was rejected or hidden, too: for a backup")
    export.set_defaults(run=_export, filters=tuple(filters))
    what = "Names flags whose truth is known: reviewers get them among the others, and are measured by them."
    catch = actions.add_parser("catch", help="catch items for reviewers", description=what)
    catch.add_argument("flag_id", nargs="?", metavar="ID", help="the flag's id (default: list them)")
    catch.add_argument(
        "decision", nargs="?", metavar="TRUTH", help="accept, reject, needs_target, hide, unsafe; none: remove it"
    )
    catch.set_defaults(run=_catch)
    what = (
        "Stores flags from elsewhere: a folder that Gradio's CSVLogger filled, a dataset with image columns "
        "(a folder, a parquet file or hf://datasets/owner/name[@revision][:split]), or an export of this program in "
        "any format, as a ZIP file, too. "
        "Importing again adds nothing twice."
    )
    imports = actions.add_parser("import", help="take in flags from elsewhere", description=what)
    imports.add_argument("place", metavar="PLACE", help="the folder, file or dataset")
    tasks = tuple(TASKS)
    imports.add_argument("--task", default="", choices=tasks, metavar="TASK", help=", ".join(tasks))
    columns = {
        "observed": "the column with what went in (default: if names leave no choice)",
        "restored": "the column with what came out (default: if names leave no choice)",
        "mask": "the column with the pixels to fill in",
        "clean": "the column with a better version",
    }
    for role, words in columns.items():
        imports.add_argument(f"--{role}", metavar="COLUMN", help=words)
    words = "for rows that give none of ours (default: other): " + ", ".join(REASONS)
    imports.add_argument("--reason", default="other", choices=REASONS, metavar="REASON", help=words)
    imports.add_argument("--consent", action="store_true", help="the people agreed to a public dataset, CC BY 4.0")
    imports.set_defaults(run=_import)
    what = (
        "Restores accepted flags that have a clean target again, with the weights that serve, and counts what these "
        "weights fixed, what is still bad and what is newly bad. What was replayed before is not done again."
    )
    replay = actions.add_parser("replay", help="what the weights fixed, and what they broke", description=what)
    replay.add_argument("--json", action="store_true", help="print JSON")
    add_engine_options(replay)
    replay.set_defaults(run=_replay)
    what = "Publishes what is not published yet to the dataset of DECONVDEMO_FEEDBACK_REPO."
    publish = actions.add_parser("publish", help="publish to the Hub's dataset now", description=what)
    publish.set_defaults(run=_publish)
    what = "Prints one flag's facts as JSON, with the visitor's hash, which is never published."
    show = actions.add_parser("show", help="print one flag's facts", description=what)
    show.add_argument("flag_id", metavar="ID", help="the flag's id")
    show.set_defaults(run=_show)
    what = "Erases flags here at once, and from the published dataset with the next publication."
    erase = actions.add_parser("erase", help="erase flags on request", description=what)
    erase.add_argument("flag_ids", nargs="*", metavar="ID", help="ids of flags")
    erase.add_argument("--visitor", metavar="HASH", help="all flags of this visitor's day (`show` prints the hash)")
    erase.set_defaults(run=_erase)


def _store(settings: Settings):
    from deconvdemo.feedback.store.store import FeedbackStore

    return FeedbackStore.of(settings)


def _stats(options: argparse.Namespace, settings: Settings) -> int:
    from deconvdemo.feedback.store.stats import stats

    counted = stats(_store(settings))
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
    from deconvdemo.feedback.exchange.annotation_export import FORMATS
    from deconvdemo.feedback.review.queue import ReviewQueue
    from deconvdemo.feedback.review.view import View

    store = _store(settings)
    asked = {name: value for name in options.filters if (value := getattr(options, name))}
    chosen = ReviewQueue(store, settings.verdicts_needed).all(View(**{"status": "all", **asked})) if asked else None
    report = FORMATS[options.format](store, options.folder, chosen, everything=options.everything)
    rows = ", ".join(f"{count} {kind}" for kind, count in report.counts.items())
    print(f"{report.folder}: {rows}, {report.bytes / 1e6:.1f} MB, {report.shards} files")
    if options.format in ("parquet", "imagefolder") and set("[]*?") & set(str(report.folder.absolute())):
        print("note: datasets takes [, ], * and ? in a folder's name for a pattern: rename it before you open it")
    for kind in report.counts if options.format == "parquet" else ():
        print(f"open it with datasets.load_dataset({str(report.folder)!r}, {kind!r})")
    for sentence in report.damaged:
        print(f"deconvdemo: left out: {sentence}", file=sys.stderr)
    return 1 if report.damaged else 0


def _catch(options: argparse.Namespace, settings: Settings) -> int:
    from deconvdemo.feedback.review.gold_items import GoldItems

    items = GoldItems(_store(settings))
    if not options.flag_id:
        for flag_id, decision in items.all().items():
            print(f"{flag_id} {decision}")
    elif options.decision:
        items.set(options.flag_id, options.decision, "command")
        print(f"{options.flag_id} is a catch item: {options.decision}")
    else:
        removed = items.unset(options.flag_id)
        print(f"{options.flag_id} is {'no catch item any more' if removed else 'no catch item'}")
    return 0


def _import(options: argparse.Namespace, settings: Settings) -> int:
    from deconvdemo.feedback.exchange.columns import ROLES
    from deconvdemo.feedback.exchange.importing import ImportPlan, import_feedback

    columns = {role: column for role in ROLES if (column := getattr(options, role))}
    plan = ImportPlan(options.task, columns, options.reason, options.consent)
    report = import_feedback(_store(settings), options.place, plan)
    known = f", {report.known} were here already or erased" if report.known else ""
    revision = f", from {report.revision}" if report.revision else ""
    for sentence in report.roles:
        print(sentence)
    print(f"{report.added} imported{known}{revision}")
    for sentence in report.refused:
        print(f"deconvdemo: left out: {sentence}", file=sys.stderr)
    if report.unnamed:
        print(f"deconvdemo: left out: {report.unnamed:,} more", file=sys.stderr)
    return 1 if report.refused else 0


def _replay(options: argparse.Namespace, settings: Settings) -> int:
    from deconvdemo.evaluation.replaying import ReleaseRestorers, Replayer
    from deconvdemo.feedback.review.replays import STATES, Replays

    replays = Replays(_store(settings), settings.verdicts_needed)
    done, refused = Replayer(replays, ReleaseRestorers(restorer(options, settings))).all()
    releases = replays.releases()
    if options.json:
        print(json.dumps({"replayed": done, "releases": [vars(release) for release in releases]}, indent=2))
    else:
        print(f"{done} flag{'s' * (done != 1)} replayed")
        for one in releases:
            every, held = (
                ", ".join(f"{counted[state]} {words.lower()}" for state, words in STATES.items())
                for counted in (one.all, one.held_back)
            )
            print(f"{one.name} {one.sha256[:12]}: {every}; held back from training: {held}")
    for sentence in refused:
        print(f"deconvdemo: left out: {sentence}", file=sys.stderr)
    return 1 if refused else 0


def _publish(options: argparse.Namespace, settings: Settings) -> int:
    from deconvdemo.errors import ControlError
    from deconvdemo.feedback.dataset.publish import NoPublisher, publisher_of

    publisher = publisher_of(settings, _store(settings))
    if isinstance(publisher, NoPublisher):
        raise ControlError("there is no dataset to publish to: set DECONVDEMO_FEEDBACK_REPO to owner/repo on the Hub")
    rows = 0
    try:
        while (done := publisher.publish()).rows:
            rows += done.rows
            print(f"{done.rows} rows in {done.files} files: {publisher.hub.url(done.commit)}")
    finally:
        publisher.release()
    if done.busy:
        print("another process publishes from this database right now, and takes what is here along")
    elif done.wait:
        print(f"the hour's commits are used up (DECONVDEMO_COMMITS_PER_HOUR): go on in {done.wait / 60:.0f} minutes")
    elif not rows:
        print(f"everything that may be is published: {publisher.hub.url()}")
    if private := publisher.status()["private"]:
        print(f"{private} flags are private: not reviewed, or not let pass (DECONVDEMO_MODERATE)")
    for sentence in publisher.status()["damaged"]:
        print(f"deconvdemo: left out: {sentence}", file=sys.stderr)
    return 0


def _show(options: argparse.Namespace, settings: Settings) -> int:
    from dataclasses import asdict

    from deconvdemo.feedback.dataset.state import state_of

    store = _store(settings)
    flag = store.get(options.flag_id)
    facts = {name: value for name, value in asdict(flag).items() if name not in (*flag.ROLES, "erase_key")}
    facts["images"] = {role: len(data) for role, data in flag.images.items()}
    state = state_of(store, flag.flag_id, bool(settings.feedback_repo) and settings.moderated)
    plain = "utf" not in (sys.stdout.encoding or "").lower()  # letters that a console lacks would spoil the JSON
    print(json.dumps(facts | asdict(state), indent=2, default=str, ensure_ascii=plain))
    return 0


def _erase(options: argparse.Namespace, settings: Settings) -> int:
    from deconvdemo.errors import ControlError
    from deconvdemo.feedback.dataset.erase import erase, erase_visitor

    if bool(options.flag_ids) == bool(options.visitor):
        raise ControlError("say what to erase: ids of flags, or --visitor HASH")
    store = _store(settings)
    report = erase_visitor(store, options.visitor) if options.visitor else erase(store, options.flag_ids)
    print("\n".join(report.sentences()))
    return 0
