"""Weights on their way to a model repository on the Hub: all that a folder of them is, in one commit.

    index.json      name → file that serves, as in the folder
    history.json    every promotion and rollback
    shadow.json     name → candidate that stands in duels
    *.safetensors   what the index names; those of earlier releases stay, so that going back uploads nothing
    README.md       the model card, with
    pictures/       a strip for each of the weights, named for their sha256

A demo that follows the repository sees the commit before or the commit after. Nothing is sent before every file is
verified, and a push never undoes, unasked, what somebody else has pushed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deconvdemo.checkpoints.checkpoint import Checkpoint
from deconvdemo.checkpoints.file import read_weights
from deconvdemo.checkpoints.index import INDEX, SHADOW, Entry, index_text, read_index, shadows
from deconvdemo.checkpoints.promotion import HISTORY, history, read_history
from deconvdemo.checkpoints.sources import WeightsFolder
from deconvdemo.digests import sha256_of
from deconvdemo.errors import CheckpointError, ControlError
from deconvdemo.hub.download import HubRef, fetch
from deconvdemo.hub.repository import HubError, HubMovedError, HubRepo, RepoFile, holds
from deconvdemo.release.card import MARK, model_card
from deconvdemo.release.metadata import CardEntry
from deconvdemo.release.pictures import caption, picture

CARD = "README.md"
NAMED = 3  # names in a commit's message; the rest is counted


@dataclass(frozen=True)
class Pushed:
    """What a push did, or would do."""

    url: str  # of the commit; of the repository, if none was made
    files: Mapping[str, int]  # path → bytes of what was new; empty: the repository had all of it


def push(folder: Path, repo: str, private: bool = False, replace: bool = False, only_look: bool = False) -> Pushed:
    """Makes the main branch of `repo`, "owner/name", what `folder` is. Raises CheckpointError and ControlError.

    `private` is for a repository that is to be made. `replace`: also if there is what the folder lacks, or a card
    that is not ours. `only_look`: nothing is made or sent.
    """
    hub, release = HubRepo(repo), FolderRelease.of(folder)
    if not only_look:
        _make(hub, private)
    there = RemoteState.now(hub, replace)
    new = release.missing(there)
    if not replace:
        _refuse_to_undo(there, release)
    if only_look or not new:
        return Pushed(hub.url(), _sizes(new))
    try:
        return _committed(release, there, new)
    except HubError as error:
        if error.hopeless:
            raise
        failure = error
    # the commit may exist although its reply was lost, and somebody else may have been quicker: look
    now = RemoteState.now(hub, replace)
    left = release.missing(now)
    if not left:
        return Pushed(hub.url(now.commit), _sizes(new))
    if not isinstance(failure, HubMovedError):
        raise failure
    if now.files.get(INDEX) != there.files.get(INDEX):
        raise HubError(f"somebody else pushed other weights to {hub.url()} at the same moment: look, and push again")
    return _committed(release, now, left)


@dataclass(frozen=True)
class RemoteState:
    """What the repository has; nothing at all, if there is none yet."""

    hub: HubRepo
    commit: str
    files: Mapping[str, RepoFile]
    entries: Mapping[str, Entry]
    history: list[dict[str, Any]]

    @classmethod
    def now(cls, hub: HubRepo, whatever: bool = False) -> RemoteState:
        """`whatever`: its index and history are to be replaced, and are not read."""
        commit = hub.head() or ""
        files = hub.files(revision=commit) if commit else {}
        entries, lines = {}, []
        if INDEX in files and not whatever:
            found = fetch(HubRef(hub.repo, commit, INDEX))
            entries = read_index(found.path, str(found.ref))
        if HISTORY in files and not whatever:
            found = fetch(HubRef(hub.repo, commit, HISTORY))
            lines = read_history(found.path, str(found.ref))
        return cls(hub, commit, files, entries, lines)

    def has_a_foreign_card(self) -> bool:
        if CARD not in self.files:
            return False
        card = fetch(HubRef(self.hub.repo, self.commit, CARD)).path
        return MARK not in card.read_text(encoding="utf-8", errors="replace")


@dataclass(frozen=True)
class FolderRelease:
    """What a folder of weights is: verified, so that nothing damaged ever leaves it."""

    folder: Path
    entries: Mapping[str, Entry]  # as the repository's index is to have them
    checkpoints: Mapping[str, Checkpoint]
    history: list[dict[str, Any]]

    @classmethod
    def of(cls, folder: Path) -> FolderRelease:
        """Raises CheckpointError for a file that is not there, damaged, or not what the index says."""
        found, source = read_index(folder / INDEX), WeightsFolder(folder)
        if not found:
            raise CheckpointError(f"{folder / INDEX} names no weights: there is nothing to push")
        checkpoints = {name: source.find(name).load() for name in found}
        # a file that is beside the index goes along; one in another repository stays there
        entries = {
            name: Entry(entry.file, entry.sha256) if (folder / entry.file).exists() else entry
            for name, entry in found.items()
        }
        return cls(folder, entries, checkpoints, history(folder))

    def missing(self, there: RemoteState) -> dict[str, bytes]:
        """Path → content of what the repository does not have, the index last."""
        files = {entry.file: self._weights(entry) for entry in self.entries.values() if not entry.repo}
        if self.history or HISTORY in there.files:
            files[HISTORY] = (self.folder / HISTORY).read_bytes() if self.history else b"[]\n"
        candidates = shadows(self.folder)
        if candidates or SHADOW in there.files:
            files |= {entry.file: self._weights(entry) for entry in candidates.values()}
            files[SHADOW] = index_text(candidates).encode()
        shown = [self._shown(name) for name in self.entries]
        files[CARD] = model_card(there.hub.repo, shown, self.history).encode()
        files[INDEX] = index_text(self.entries).encode()
        new = {path: data for path, data in files.items() if not holds(there.files.get(path), data)}
        # a picture's name tells which weights made it: one that is there need not be made again
        pictures = {
            one.picture: picture(self.checkpoints[one.name])
            for one in shown
            if one.picture and one.picture not in there.files
        }
        return {**pictures, **new}

    def message(self, there: RemoteState) -> str:
        """What changes, for the list of commits."""
        changed = [name for name, entry in self.entries.items() if _sha256(there.entries, name) != entry.sha256]
        said = [f"{name} {self.entries[name].sha256[:12]} {self._how(name)}" for name in changed[:NAMED]]
        more = f" and {len(changed) - NAMED} more" if len(changed) > NAMED else ""
        return "; ".join(said) + more if said else "The card and the history anew"

    def _weights(self, entry: Entry) -> bytes:
        data = read_weights(self.folder / entry.file)
        if sha256_of(data) != entry.sha256:
            raise CheckpointError(f"{self.folder / entry.file} changed while it was read: push again")
        return data

    def _shown(self, name: str) -> CardEntry:
        checkpoint = self.checkpoints[name]
        parameters = sum(tensor.numel() for tensor in checkpoint.tensors.values())
        said = caption(checkpoint.header)
        path = f"pictures/{name}-{checkpoint.sha256[:12]}.webp" if said else ""
        return CardEntry(self.entries[name], checkpoint.header, parameters, path, said)

    def _how(self, name: str) -> str:
        """How these weights came to serve: "promoted", "rolled back"."""
        sha256 = self.entries[name].sha256
        lines = [line for line in self.history if line.get("name") == name and line.get("sha256") == sha256]
        return str(lines[-1].get("what", "serves")) if lines else "serves"


def _make(hub: HubRepo, private: bool) -> None:
    """Sees to it that the repository is there."""
    from huggingface_hub import get_token

    if not get_token():
        raise HubError(
            f"there is no token for the Hub: set HF_TOKEN to one that may write to {hub.repo}, or run `hf auth login`"
        )
    if hub.head() is None:
        hub.create(private)
    elif private and not hub.is_private():
        raise ControlError(f"{hub.repo} is there already, and public: leave --private out, or name another OWNER/REPO")


def _refuse_to_undo(there: RemoteState, release: FolderRelease) -> None:
    """Raises CheckpointError where the repository has what the folder knows nothing of."""
    repo, folder = there.hub.repo, release.folder
    if there.has_a_foreign_card():
        raise CheckpointError(f"{repo} has a {CARD} that is not ours: name another OWNER/REPO, or push with --replace")
    if dropped := sorted(there.entries.keys() - release.entries.keys()):
        raise CheckpointError(
            f"{repo} serves {', '.join(dropped)}, for which {folder} has no weights: "
            "add them, or push with --replace to drop them there"
        )
    if unknown := [line for line in there.history if line not in release.history]:
        last = unknown[-1]
        raise CheckpointError(
            f"{folder} does not know that {last.get('name')} {str(last.get('sha256'))[:12]} was {last.get('what')} in "
            f"{repo}: push from the folder where that was done, or with --replace to undo it"
        )


def _committed(release: FolderRelease, there: RemoteState, new: Mapping[str, bytes]) -> Pushed:
    commit = there.hub.commit(new, release.message(there), parent=there.commit)
    return Pushed(there.hub.url(commit), _sizes(new))


def _sizes(files: Mapping[str, bytes]) -> dict[str, int]:
    return {path: len(data) for path, data in files.items()}


def _sha256(entries: Mapping[str, Entry], name: str) -> str:
    return entries[name].sha256 if name in entries else ""
