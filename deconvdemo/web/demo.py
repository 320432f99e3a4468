"""The demo: its pages, its routes, and its start."""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# before Gradio is imported: it reads these once; a demo must not phone home, and what Settings has read of the others
# (any host, an empty port) Gradio would not take where it looks for a free port
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
# nor count up its last ten thousand events after each of them
os.environ.setdefault("GRADIO_ANALYTICS_MAX_EVENTS", "100")
os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", str(10**9))
# where matplotlib is, Gradio asks for its backend around each request: the first would take half a second to find one
os.environ.setdefault("MPLBACKEND", "agg")
os.environ.pop("GRADIO_SERVER_NAME", None)
os.environ.pop("GRADIO_SERVER_PORT", None)

import gradio as gr
from fastapi.exceptions import RequestValidationError
from gradio.utils import get_space
from starlette.middleware import Middleware
from starlette.routing import Route

from deconvdemo.checkpoints.checkpoint import Checkpoint
from deconvdemo.engine.restorer import Restorer
from deconvdemo.errors import ControlError, DeconvdemoError, FeedbackError, StartError
from deconvdemo.evaluation.bench.html import STYLE as BENCH_STYLE
from deconvdemo.evaluation.contenders import DuelSampler
from deconvdemo.evaluation.lineage import helped_train, note
from deconvdemo.evaluation.replaying import ReleaseRestorers, Replayer
from deconvdemo.feedback.dataset.publish import NoPublisher, Publisher, publisher_of
from deconvdemo.feedback.review.likeness import Likenesses
from deconvdemo.feedback.review.queue import ReviewQueue
from deconvdemo.feedback.review.replays import Replays
from deconvdemo.feedback.store.limits import FlagLimits
from deconvdemo.feedback.store.store import FeedbackStore
from deconvdemo.image import PHOTOS
from deconvdemo.settings import Settings
from deconvdemo.tasks import TASKS, Task
from deconvdemo.web.asset import ASSETS, asset
from deconvdemo.web.bench.endpoint import bench_endpoint
from deconvdemo.web.bench.service import BenchService
from deconvdemo.web.bench.tab import BenchTab
from deconvdemo.web.components.controls import QUIET
from deconvdemo.web.components.examples import FOLDER as EXAMPLES_FOLDER
from deconvdemo.web.components.theme import THEME
from deconvdemo.web.doors import Doors
from deconvdemo.web.duel.routes import Duels, duel_routes
from deconvdemo.web.head_and_foot import INSIGHT, INTRODUCTION, RELEASES, REVIEW, foot, head
from deconvdemo.web.insight.tab import Insight
from deconvdemo.web.learn.generated import generated_routes
from deconvdemo.web.learn.routes import learn_routes
from deconvdemo.web.releases.routes import release_routes
from deconvdemo.web.releases.service import ReleaseService
from deconvdemo.web.restore.endpoints import endpoints
from deconvdemo.web.restore.flag_routes import flag_routes
from deconvdemo.web.restore.flagging import Flagging
from deconvdemo.web.restore.open_photos import OpenPhotos
from deconvdemo.web.restore.results import Results
from deconvdemo.web.restore.service import RestoreService
from deconvdemo.web.restore.tab import restore_tab
from deconvdemo.web.review.reviewers import KEY, LOCAL_NAMES, Reviewers
from deconvdemo.web.review.routes import review_routes
from deconvdemo.web.review.service import ReviewService
from deconvdemo.web.server.frontier import Rules, behind_frontier, origins_of
from deconvdemo.web.server.health import health_route
from deconvdemo.web.server.one_app import without_apps
from deconvdemo.web.server.patience import be_patient
from deconvdemo.web.server.proxy import BehindProxy, PublicAddress, slash_at_the_end, without_slash
from deconvdemo.web.server.sentences import Sentences, SpeakingBlocks, invalid
from deconvdemo.web.server.starting import bare_host, no_proxy, ready

log = logging.getLogger(__name__)

NEVER = 10**9  # seconds
THREADS = 100  # most of them wait for a place to compute in, which the admission bounds


@dataclass(frozen=True)
class Demo:
    """The built pages, and what `launch` must pass with them."""

    blocks: gr.Blocks
    routes: list[Route]
    folder: Path  # of results: the only folder that Gradio may serve files from
    publisher: Publisher | NoPublisher
    likenesses: Likenesses
    replayer: Replayer
    address: PublicAddress
    doors: Doors
    rules: Rules
    review_link: str  # what opens the review to this machine's own user, after the demo's address; "": nothing does


@without_apps()
def build(settings: Settings, restorer: Restorer, share: bool = False) -> Demo:
    """Puts the pages together; nothing is listened to yet, and no file is written."""
    # served as they are; a copy in Gradio's folder would be deleted with uploads
    gr.set_static_paths([EXAMPLES_FOLDER, PHOTOS])
    results = Results(settings.data_dir / "results", settings.results_hours, settings.results_mb)
    photos = OpenPhotos()
    store = FeedbackStore.of(settings)
    behind_proxy = bool(settings.behind_proxy)
    limits = FlagLimits(store, settings.flags_per_visitor, settings.flags_per_hour)
    flagging = Flagging(results, store, settings.max_pixels, limits, behind_proxy, restorer.admission)
    publisher = publisher_of(settings, store)
    moderated = bool(settings.feedback_repo) and settings.moderated
    address = PublicAddress.of(settings.root_path)
    local = bare_host(settings.host) in LOCAL_NAMES and not (share or settings.behind_proxy or address)
    listed, owners = (
        frozenset(name.strip().lower() for name in names.split(",") if name.strip())
        for names in (f"{settings.reviewers},{settings.owners}", settings.owners)
    )
    password = settings.review_password or settings.owner_password
    # elsewhere than on a Space, Gradio would let anybody in as the one whose token lies on this machine
    space = bool(get_space())
    oauth = bool(listed and settings.oauth_client and space)
    key = secrets.token_urlsafe(24) if local and not (password or oauth) else ""
    reviewers = Reviewers(
        store,
        password,
        local,
        listed,
        oauth,
        key=key,
        embedded=space,
        behind_proxy=behind_proxy,
        owners=owners,
        owner_password=settings.owner_password,
    )
    names = tuple(filter(None, (address.host, os.environ.get("SPACE_HOST", ""))))
    rules = Rules(local, origins_of(settings.allow_origins), names, address.path, space)
    replays, past = Replays(store, settings.verdicts_needed), ReleaseRestorers(restorer)
    # what is too old, our sweeper takes away; Gradio, which goes by the machine's clock, what is left in the end
    upkeep = (NEVER, NEVER)
    with SpeakingBlocks(title="deconvdemo", analytics_enabled=False, fill_width=False, delete_cache=upkeep) as blocks:
        introduction = gr.HTML(INTRODUCTION.format(review=""), padding=False)
        tasks = [_offered(task, restorer) for task in TASKS.values()]
        for task in tasks:
            with gr.Tab(task.title, id=task.name):
                restore_tab(RestoreService(task, restorer, flagging, photos))
        with gr.Tab("Test bench", id="bench"):
            benches = BenchService(restorer, results, settings.max_pixels, behind_proxy)
            BenchTab(benches)
        serving = gr.HTML(padding=False)
        blocks.load(lambda: foot(restorer, publisher), None, [serving], queue=False, **QUIET)
        blocks.load(head(INTRODUCTION, REVIEW, reviewers), None, [introduction], queue=False, **QUIET)
        if oauth:
            gr.LoginButton(visible=False)  # Gradio adds its routes for signing in where there is one
        endpoints(tasks, restorer, flagging)
        bench_endpoint(benches)
    with blocks.route("Insight", "/insight", show_in_navbar=False):
        heading = gr.HTML(INSIGHT.format(review=""), padding=False)
        blocks.load(head(INSIGHT, RELEASES, reviewers), None, [heading], queue=False, **QUIET)
        Insight(replays, restorer, publisher, reviewers).page(blocks)
    blocks.queue(max_size=64, api_open=False)  # /run would pass by the queue: it is for events that never wait alone
    queue = ReviewQueue(store, settings.verdicts_needed)
    desk = ReviewService(queue, restorer, settings.max_pixels, admission=restorer.admission)
    releases = ReleaseService(replays, past)
    likenesses, replayer = Likenesses(store), Replayer(replays, past)
    routes = [
        results.route(),
        health_route(restorer, store, publisher, {"likenesses": likenesses.look, "replays": replayer.look}),
        *flag_routes(store, publisher.url, lambda flag_id: helped_train(store, restorer.weights, flag_id), moderated),
        *review_routes(desk, reviewers, settings.max_upload_mb),
        *release_routes(releases, reviewers),
        *duel_routes(Duels(DuelSampler(restorer, store, settings.verdicts_needed), limits), behind_proxy),
        *learn_routes(restorer, behind_proxy, generated_routes()),
        *without_slash("/insight", "/duel", "/learn", "/review", "/review/releases", "/healthz"),
    ]
    doors = Doors.of(settings, blocks, results, photos)
    link = f"review?{KEY}={key}" if key else ""
    return Demo(blocks, routes, results.folder, publisher, likenesses, replayer, address, doors, rules, link)


def launch(settings: Settings, restorer: Restorer, share: bool = False, block: bool = True) -> Any:
    """Serves the demo on settings.host and settings.port. `block=False` returns Gradio's (app, local URL, share URL).

    With a weights repository in the settings, its weights are fetched behind the serving ones, then take over.
    Raises ControlError for an address that is not to be had, and StartError for folders that cannot be written.
    """
    name = ready(settings)
    demo = build(settings, restorer, share)
    demo.doors.sweeper.sweep()
    with no_proxy():
        started = _listen(demo, settings, name, share, quiet=not block)
    be_patient(demo.blocks.server.config)
    demo.doors.sweeper.start(lambda: demo.blocks.is_running)
    take_over = _taking_over(restorer, demo.replayer.replays.store)
    restorer.weights.fetch_in_background(take_over, every=max(1.0, settings.weights_every))
    restorer.weights.watch_in_background(take_over)
    demo.publisher.start()
    demo.likenesses.start()
    demo.replayer.start()
    started[0].state.review_link = demo.review_link
    if block:
        if demo.review_link:
            print(
                f"* Review what was flagged, in a browser of this machine: {started[1].rstrip('/')}/{demo.review_link}"
            )
        demo.blocks.block_thread()
    return started


def _taking_over(restorer: Restorer, store: FeedbackStore) -> Callable[[dict[str, Checkpoint]], None]:
    """What new weights are given to: they serve, and are remembered."""

    def take_over(checkpoints: dict[str, Checkpoint]) -> None:
        restorer.swap(checkpoints)
        try:
            note(store, *checkpoints.values())
        except FeedbackError as error:  # what serves is noted again by whoever shows it
            log.warning("weights: %s", error)

    return take_over


def _listen(demo: Demo, settings: Settings, name: str, share: bool, quiet: bool) -> Any:
    address = demo.address
    middleware = demo.doors.middleware(address.path)
    if address or settings.behind_proxy:
        middleware.append(Middleware(BehindProxy, address=address))
    middleware.append(Middleware(Sentences))
    app: dict[str, Any] = {"routes": demo.routes, "middleware": middleware, "lifespan": behind_frontier(demo.rules)}
    app["exception_handlers"] = {RequestValidationError: invalid}
    try:
        return demo.blocks.launch(
            server_name=name,
            server_port=settings.port,
            share=share,
            prevent_thread_lock=True,
            quiet=quiet,
            ssl_verify=False,  # of our own address, which has no certificate; that reads none of this machine's, either
            theme=THEME,
            css_paths=[ASSETS / "page.css", BENCH_STYLE],
            app_kwargs=app,
            root_path=address.path,
            head=f"<script>{asset('keys.js')}\npressOnce(document);\n{slash_at_the_end(address)}</script>",
            allowed_paths=[str(demo.folder.resolve())],
            max_threads=THREADS,
            max_file_size=f"{settings.max_upload_mb}mb",
            run_history=False,  # it would keep every visitor's photos in the browser, and offers to upload them
            footer_links=["api", "gradio", "settings"],
            ssr_mode=False,
        )
    except OSError as error:
        raise ControlError(
            f"cannot listen on {settings.host}:{settings.port}: another program has this port, perhaps on 127.0.0.1, "
            "so choose another --port"
        ) from error
    except ValueError as error:  # Gradio's, when its own address does not answer
        raise StartError(
            f"the demo listens on {settings.host}:{settings.port} but does not answer there: see whether a firewall "
            "or a filter of this machine stands between"
        ) from error


def _offered(task: Task, restorer: Restorer) -> Task:
    """`task` with the variants that have weights; with the standard one if that cannot be told: the foot says why."""
    try:
        return restorer.task(task.name)
    except DeconvdemoError:
        return task.offering(())
