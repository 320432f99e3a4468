"""What the verbs that publish weights share: where to, and what is said of it."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from deconvdemo.errors import CheckpointError, ControlError
from deconvdemo.settings import Settings

REPO = "the model repository on the Hub (default: DECONVDEMO_WEIGHTS_REPO)"


def add_push_option(verb: argparse.ArgumentParser) -> None:
    """`--push` alone: to the repository of the settings; without it: `None`, to none."""
    words = f"then publish the folder to {REPO}"
    verb.add_argument("--push", nargs="?", const="", metavar="OWNER/REPO", help=words)


def destination(given: str | None, settings: Settings) -> str:
    """ "owner/repo", given or from the settings; "" for None. Raises ControlError."""
    from deconvdemo.hub.download import HubRef

    if given is None:
        return ""
    named = given or settings.weights_repo
    if not named:
        raise ControlError("there is no repository to push to: name OWNER/REPO, or set DECONVDEMO_WEIGHTS_REPO")
    ref = HubRef.parse(named)
    if ref.file or ref.revision not in ("", "main"):
        raise ControlError(
            f"{named!r} is a revision or a file, but weights are pushed to the main branch of a repository: "
            f"write {ref.repo}"
        )
    return ref.repo


def push_after(folder: Path, repo: str) -> None:
    """Publishes what has just changed in `folder`, unless `repo` is "". A failure says how to make up for it."""
    from deconvdemo.release.push import push

    if not repo:
        return
    try:
        print_pushed(repo, push(folder, repo))
    except (CheckpointError, ControlError) as error:
        raise CheckpointError(
            f"it was not published: {error}; in {folder} the change stands: "
            f"run `deconvdemo weights push {repo} --from {shlex.quote(str(folder))}` to publish it"
        ) from error


def print_pushed(repo: str, done, only_looked: bool = False) -> None:
    if not done.files:
        print(f"{repo} has all of this already: nothing was committed to {done.url}")
        return
    print(f"{'this would go to' if only_looked else 'published:'} {done.url}")
    for path, size in done.files.items():
        print(f"  {path}  {size / 1e6:.1f} MB" if size >= 1e5 else f"  {path}  {size / 1e3:.1f} kB")
