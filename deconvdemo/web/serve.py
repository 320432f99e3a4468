"""`serve`: the demo in a browser."""

from __future__ import annotations

import argparse
from dataclasses import replace

from deconvdemo.engine.options import add_engine_options, restorer
from deconvdemo.settings import Settings


def add_verbs(verbs) -> None:
    verb = verbs.add_parser("serve", help="Start the demo in a browser.", description="Starts the demo in a browser.")
    verb.add_argument("--host", help="address to listen on (default: DECONVDEMO_HOST or 127.0.0.1)")
    verb.add_argument("--port", type=int, help="port to listen on (default: DECONVDEMO_PORT or 7860)")
    verb.add_argument("--share", action="store_true", help="also give a public link for a week")
    add_engine_options(verb)
    verb.set_defaults(run=_run)


def _run(options: argparse.Namespace, settings: Settings) -> int:
    from deconvdemo.image.apart import STRANGERS
    from deconvdemo.web.server.starting import all_kept, no_proxy, ready

    given = {name: value for name in ("host", "port") if (value := getattr(options, name)) is not None}
    settings = replace(settings, **given)
    ready(settings)
    with no_proxy(), all_kept():
        from deconvdemo.web.demo import launch

    engine = restorer(options, settings, settings.weights_repo, settings.data_dir, STRANGERS)
    launch(settings, engine, share=options.share)
    return 0
