"""Commands that tell when they put a file into its place, and are killed there.

python tests/writes.py LOG FOLDER finetune denoise …     runs `deconvdemo …`; LOG has which process put which file there

It imports little: it is for processes that are forked.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path

END = "the end"


def hear_writes(folder: Path, tell: Callable[[str], None]) -> None:
    """From here on, `tell` is called with a file's name just before this process moves it into the folder."""

    def hear(event: str, arguments: tuple) -> None:
        if event == "os.rename" and Path(arguments[1]).parent == folder:
            tell(Path(arguments[1]).name)

    sys.addaudithook(hear)


def killed(data: Path, words: list[str], folder: Path, at: int | None = None) -> tuple[list[str], int]:
    """Runs `deconvdemo …` in a process forked from this one, and kills it by SIGKILL before it puts its file number
    `at` there, or at its end if there are fewer. Gives the files' names up to there, and its exit status."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=_command, args=(data, words, folder, at, sender))
    process.start()
    sender.close()
    steps = []
    while True:
        try:
            steps.append(receiver.recv())
        except EOFError:
            break
        if at is not None and (len(steps) > at or steps[-1] == END):
            process.kill()
    process.join()
    assert process.exitcode is not None
    return steps, process.exitcode


def _command(data: Path, words: list[str], folder: Path, at: int | None, told: Connection) -> None:
    from deconvdemo.cli import main

    os.environ["DECONVDEMO_DATA_DIR"] = str(data)
    number = count()

    def tell(step: str) -> None:
        told.send(step)
        if next(number) == at or (step == END and at is not None):
            time.sleep(60)  # the signal comes meanwhile

    hear_writes(folder, tell)
    status = main(words)
    tell(END)
    sys.exit(status)


def get_ready() -> None:
    """Imports what commands need, so that none has to, and makes their work small."""
    from dataclasses import replace

    import tiny
    import torch
    from scipy import stats  # noqa: F401
    from sqlalchemy.dialects import sqlite  # noqa: F401
    from statsmodels.stats import proportion  # noqa: F401

    from deconvdemo.evaluation import acceptance, promoting, stress, variety  # noqa: F401
    from deconvdemo.networks import NETWORKS
    from deconvdemo.training.run import fit, muon

    with torch.device("meta"):  # torch imports much at the first use of some of its parts
        muon.optimizers(NETWORKS["DeconvUNet"](**tiny.SIZES["DeconvUNet"]), "muon")
    acceptance.TIMED, acceptance.SLOWER = 96, float("inf")  # on so little, a busy machine says anything
    variety.FEWEST_IMAGES, variety.SMALLEST = 2, 1

    def drawing_nothing(seed=0, sizes=()):
        return iter(())

    stress.drawn_pictures = drawing_nothing
    real = fit.fit  # a state after each step, not every five minutes

    def fitting(run, output, say=print):
        real(run, replace(output, checkpoint_every=0.0), say)

    fit.fit = fitting
    gc.freeze()  # no fork looks for garbage among what was imported, nor copies its pages to do so


if __name__ == "__main__":
    from deconvdemo.cli import main
    from deconvdemo.training.run import router_training

    router_training.SURE = float("-inf")  # a gate of so few steps would be shut for good, and its expert learn nothing

    log, folder, *words = sys.argv[1:]

    def note(name: str) -> None:
        with open(log, "a") as file:
            file.write(f"{os.environ.get('RANK', 0)} {name}\n")

    hear_writes(Path(folder), note)
    sys.exit(main(words))
