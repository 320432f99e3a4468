"""A repository on the Hugging Face Hub to write to: one call of the Hub's own client, no retries, one kind of error.

The client is imported inside the functions: it reads its HF_* variables when it is imported.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from deconvdemo.digests import git_hash_of, sha256_of
from deconvdemo.errors import CheckpointError, ControlError, FeedbackError
from deconvdemo.hub.download import HubRef

BRANCH = "main"


class HubError(FeedbackError, CheckpointError):
    """What the Hub did not do, in one sentence. A commit that failed so may have happened all the same: look first."""

    def __init__(self, sentence: str, retry_after: float | None = None, hopeless: bool = False):
        super().__init__(sentence)
        self.retry_after = retry_after  # seconds, if the Hub said so
        self.hopeless = hopeless  # a person must change something first: the token, the repository's name


class HubMovedError(HubError):
    """The branch is no longer where the caller looked."""


@dataclass(frozen=True)
class RepoFile:
    """One file of the repository; `sha256` is empty for small ones that git itself keeps."""

    sha256: str
    bytes: int
    commit: str = ""  # in which it came to be what it is, where that was asked
    git: str = ""  # git's hash: of the content, or of what stands for a large one


def holds(file: RepoFile | None, data: bytes) -> bool:
    """Whether a file is there, and has this content."""
    if file is None:
        return False
    if file.sha256:
        return file.sha256 == sha256_of(data)
    return file.git == git_hash_of(data)


@dataclass(frozen=True)
class HubRepo:
    """`owner/repo`, a model. Every method raises HubError."""

    repo: str
    kind: ClassVar[str] = "model"
    setting: ClassVar[str] = "DECONVDEMO_WEIGHTS_REPO"
    otherwise: ClassVar[str] = "another OWNER/REPO"  # what one may name where the token does not suffice

    def __post_init__(self):
        ref = HubRef.parse(self.repo)
        if ref.revision or ref.file:
            raise ControlError(f"{self.setting} is {self.repo!r}, but it takes owner/repo: a {self.kind}, whole")
        object.__setattr__(self, "repo", ref.repo)

    def url(self, commit: str = "") -> str:
        """Where people look at it."""
        from huggingface_hub import constants

        folder = "" if self.kind == "model" else f"{self.kind}s/"
        return f"{constants.ENDPOINT}/{folder}{self.repo}" + (f"/commit/{commit}" if commit else "")

    def create(self, private: bool = False) -> None:
        """Makes the repository, if it is not there; not `private`: as its owner's repositories usually are."""
        with self._answers():
            self._api().create_repo(self.repo, repo_type=self.kind, private=private or None, exist_ok=True)

    def head(self) -> str | None:
        """The branch's commit; None if there is no such repository."""
        from huggingface_hub.errors import RepositoryNotFoundError

        with self._answers():
            try:
                return self._api().repo_info(self.repo, repo_type=self.kind, revision=BRANCH, timeout=30).sha
            except RepositoryNotFoundError as error:
                if error.response.status_code == 401:
                    raise
                return None

    def commit_of(self, revision: str) -> str:
        """The commit that a branch, a tag or the beginning of a commit names."""
        with self._answers():
            return self._api().repo_info(self.repo, repo_type=self.kind, revision=revision, timeout=30).sha

    def is_private(self) -> bool:
        with self._answers():
            return bool(self._api().repo_info(self.repo, repo_type=self.kind, timeout=30).private)

    def files(self, folder: str = "", revision: str = BRANCH) -> dict[str, RepoFile]:
        """Path → file, for all files in a folder and below; by default all that there are."""
        from huggingface_hub.errors import EntryNotFoundError

        with self._answers():
            try:
                entries = list(
                    self._api().list_repo_tree(
                        self.repo, folder, recursive=True, revision=revision, repo_type=self.kind
                    )
                )
            except EntryNotFoundError:
                return {}
        return {entry.path: _file(entry) for entry in entries if hasattr(entry, "blob_id")}

    def lookup(self, paths: Sequence[str], revision: str = BRANCH) -> dict[str, RepoFile]:
        """The same for those of `paths` that are there."""
        with self._answers():
            entries = self._api().get_paths_info(
                self.repo, list(paths), expand=True, revision=revision, repo_type=self.kind
            )
        return {entry.path: _file(entry) for entry in entries if hasattr(entry, "blob_id")}

    def commit(
        self, add: Mapping[str, bytes], message: str, delete: Sequence[str] = (), parent: str | None = None
    ) -> str:
        """One commit; returns its id. With `parent`, only if the branch is still there: else HubMovedError."""
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        operations: list[Any] = [CommitOperationAdd(path, data) for path, data in add.items()]
        operations += [CommitOperationDelete(path) for path in delete]
        with self._answers():
            return (
                self._api()
                .create_commit(
                    self.repo,
                    operations,
                    commit_message=message,
                    repo_type=self.kind,
                    revision=BRANCH,
                    parent_commit=parent,
                )
                .oid
            )

    def read(self, path: str, sha256: str = "", revision: str = BRANCH) -> bytes:
        """A file's content. HubError if it is not what its sha256 says."""
        from huggingface_hub import hf_hub_download

        with self._answers(), tempfile.TemporaryDirectory() as folder:
            file = hf_hub_download(self.repo, path, repo_type=self.kind, revision=revision, local_dir=folder)
            data = Path(file).read_bytes()
        if sha256 and sha256_of(data) != sha256:
            raise HubError(f"the Hub sent {path} damaged: it is asked again later")
        return data

    def _api(self) -> Any:
        from huggingface_hub import HfApi

        return HfApi(library_name="deconvdemo")

    @contextmanager
    def _answers(self) -> Iterator[None]:
        """The client's many exceptions as one."""
        from huggingface_hub.errors import HTTPError

        try:
            yield
        except HubError:
            raise
        except (HTTPError, OSError, RuntimeError, ValueError) as error:
            raise self._described(error) from error

    def _described(self, error: BaseException) -> HubError:
        from huggingface_hub.errors import HfHubHTTPError

        answer: BaseException | None = error
        while answer is not None and not isinstance(answer, HfHubHTTPError):  # an upload's failure is wrapped
            answer = answer.__cause__
        if answer is None:
            lines = str(error).strip().splitlines()
            return HubError(f"the Hub cannot be reached ({lines[0][:120] if lines else type(error).__name__})")
        status, headers = answer.response.status_code, answer.response.headers
        if status in (409, 412):
            return HubMovedError(f"somebody else committed to {self.repo} at the same moment")
        if status in (401, 403):
            return HubError(
                f"the Hub does not let the HF_TOKEN write to the {self.kind} {self.repo} ({status}): "
                f"set one that may, or {self.otherwise}",
                hopeless=True,
            )
        if status == 404:
            what = f"no {self.kind} {self.repo}, or not this revision or file of it"
            return HubError(f"the Hub has {what} (404)", hopeless=True)
        why = "it has had too many requests" if status == 429 else "it has trouble of its own"
        return HubError(f"the Hub answered {status}: {why}", _seconds(headers.get("Retry-After")))


def _file(entry: Any) -> RepoFile:
    last = entry.last_commit.oid if entry.last_commit else ""
    return RepoFile(entry.lfs.sha256 if entry.lfs else "", entry.size, last, entry.blob_id)


def _seconds(text: str | None) -> float | None:
    """Retry-After, which is a number of seconds or a date (RFC 9110)."""
    from datetime import UTC, datetime
    from email.utils import parsedate_to_datetime

    if not text:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        try:
            return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
        except (TypeError, ValueError):
            return None
