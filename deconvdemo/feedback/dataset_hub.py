"""A dataset repository on the Hugging Face Hub, through the Hub's own client: one call, no retries, one kind of error.

The client is imported inside the functions: it reads its HF_* variables when it is imported.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deconvdemo.errors import ControlError, FeedbackError
from deconvdemo.hub import HubRef

BRANCH = "main"


class HubError(FeedbackError):
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


@dataclass(frozen=True)
class DatasetHub:
    """`owner/repo`, a dataset. Every method raises HubError."""

    repo: str

    def __post_init__(self):
        ref = HubRef.parse(self.repo)
        if ref.revision or ref.file:
            raise ControlError(f"DECONVDEMO_FEEDBACK_REPO is {self.repo!r}, but it takes owner/repo: a dataset, whole")
        object.__setattr__(self, "repo", ref.repo)

    def url(self, commit: str = "") -> str:
        """Where people look at it."""
        from huggingface_hub import constants

        return f"{constants.ENDPOINT}/datasets/{self.repo}" + (f"/commit/{commit}" if commit else "")

    def create(self) -> None:
        """Makes the repository, public, if it is not there."""
        with self._answers():
            self._api().create_repo(self.repo, repo_type="dataset", exist_ok=True)

    def head(self) -> str | None:
        """The branch's commit; None if there is no such repository."""
        from huggingface_hub.errors import RepositoryNotFoundError

        with self._answers():
            try:
                return self._api().repo_info(self.repo, repo_type="dataset", revision=BRANCH, timeout=30).sha
            except RepositoryNotFoundError as error:
                if error.response.status_code == 401:
                    raise
                return None

    def files(self, folder: str, revision: str = BRANCH) -> dict[str, RepoFile]:
        """Path → file, for all files in a folder and below."""
        from huggingface_hub.errors import EntryNotFoundError

        with self._answers():
            try:
                entries = list(
                    self._api().list_repo_tree(
                        self.repo, folder, recursive=True, revision=revision, repo_type="dataset"
                    )
                )
            except EntryNotFoundError:
                return {}
        return {entry.path: _file(entry) for entry in entries if hasattr(entry, "blob_id")}

    def lookup(self, paths: Sequence[str], revision: str = BRANCH) -> dict[str, RepoFile]:
        """The same for those of `paths` that are there."""
        with self._answers():
            entries = self._api().get_paths_info(
                self.repo, list(paths), expand=True, revision=revision, repo_type="dataset"
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
                    repo_type="dataset",
                    revision=BRANCH,
                    parent_commit=parent,
                )
                .oid
            )

    def read(self, path: str, sha256: str = "", revision: str = BRANCH) -> bytes:
        """A file's content. HubError if it is not what its sha256 says."""
        from huggingface_hub import hf_hub_download

        with self._answers(), tempfile.TemporaryDirectory() as folder:
            file = hf_hub_download(self.repo, path, repo_type="dataset", revision=revision, local_dir=folder)
            data = Path(file).read_bytes()
        if sha256 and hashlib.sha256(data).hexdigest() != sha256:
            raise HubError(f"the Hub sent {path} damaged: it is asked again later")
        return data

    def squash(self, message: str) -> str:
        """Makes the branch one commit without a past; returns its id."""
        with self._answers():
            self._api().super_squash_history(self.repo, branch=BRANCH, commit_message=message, repo_type="dataset")
        return self.head() or ""

    def delete_objects(self, sha256s: Sequence[str]) -> list[str]:
        """Asks the Hub to drop large files that no commit names any more; returns those that it no longer lists."""
        with self._answers():
            stored = self._api().list_lfs_files(self.repo, repo_type="dataset")
            doomed = [file for file in stored if {file.file_oid, file.oid} & set(sha256s)]
            if doomed:
                self._api().permanently_delete_lfs_files(self.repo, doomed, rewrite_history=False, repo_type="dataset")
            left = set[str]()
            for file in self._api().list_lfs_files(self.repo, repo_type="dataset"):
                left |= {file.file_oid, file.oid}
        return [sha256 for sha256 in sha256s if sha256 not in left]

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
                f"the Hub does not let the HF_TOKEN write to the dataset {self.repo} ({status}): "
                "set one that may, or another DECONVDEMO_FEEDBACK_REPO",
                hopeless=True,
            )
        if status == 404:
            return HubError(f"the Hub has no dataset {self.repo}, or not this file of it (404)", hopeless=True)
        why = "it has had too many requests" if status == 429 else "it has trouble of its own"
        return HubError(f"the Hub answered {status}: {why}", _seconds(headers.get("Retry-After")))


def _file(entry: Any) -> RepoFile:
    last = entry.last_commit.oid if entry.last_commit else ""
    return RepoFile(entry.lfs.sha256 if entry.lfs else "", entry.size, last)


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
