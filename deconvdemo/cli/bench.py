"""`bench`: how fast this machine is, in the format that was chosen for it and in plain fp32, side by side."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import asdict

from deconvdemo.engine.options import add_engine_options, restorer
from deconvdemo.errors import ControlError
from deconvdemo.settings import Settings
from deconvdemo.tasks.helpers import HELPERS


def add_verbs(verbs) -> None:
    summary = "Time the networks on this machine: in the format chosen for it and in plain fp32, side by side."
    verb = verbs.add_parser("bench", help=summary, description=summary)
    verb.add_argument("names", nargs="*", metavar="NAME", help="which weights, such as upscale-x2 (default: all)")
    verb.add_argument("--runs", type=int, default=3, help="the best of so many counts (default: 3)")
    verb.add_argument("--json", action="store_true", help="print JSON")
    add_engine_options(verb)
    verb.set_defaults(run=_run)


def _run(options: argparse.Namespace, settings: Settings) -> int:
    from deconvdemo.engine.compute import Compute
    from deconvdemo.evaluation.cost import Machine, side_by_side

    if options.runs < 1:
        raise ControlError(f"--runs is {options.runs}, but it takes a whole number from 1 on")
    engine = restorer(options, settings)
    chosen = engine.compute_on
    plain = Compute(chosen.device, "fp32", "to compare with", "contiguous")
    machine = Machine.this(chosen.device)
    there_are = [name for name in engine.weights.names() if name not in HELPERS]
    if unknown := [name for name in options.names if name not in there_are]:
        raise ControlError(f"there are no weights called {unknown[0]!r}: choose among {', '.join(there_are)}")
    if not options.json:
        print(
            f"{machine.processor}, threads: {machine.threads} on {os.cpu_count()} cores, torch {machine.torch}\n"
            f"{chosen.device}, {chosen.precision}, {chosen.layout.replace('_', ' ')}: {chosen.why}"
        )
        if machine.busy:
            print(f"timings will be rough: the load of this machine is {machine.load:g}")
        print(f"{'':<24}{'s/MP':>8}{'plain fp32':>12}{'times as fast':>15}", flush=True)
    rows = []
    for name in options.names or there_are:
        seconds, plainly = side_by_side(engine.weights.load(name).network, (chosen, plain), options.runs)
        rows.append({"name": name, "seconds_per_megapixel": seconds, "plain_fp32": plainly, "times": plainly / seconds})
        if not options.json:
            print(f"{name:<24}{seconds:>8.3f}{plainly:>12.3f}{plainly / seconds:>15.2f}", flush=True)
    if options.json:
        found = {"machine": asdict(machine), "compute": vars(chosen), "networks": rows}
        print(json.dumps(found, indent=2, ensure_ascii=False))
    return 0
