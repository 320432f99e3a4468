"""The dataset repository that feedback is published to: what it can do beyond any repository on the Hub."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from deconvdemo.hub.repository import BRANCH, HubRepo


@dataclass(frozen=True)
class DatasetHub(HubRepo):
    """`owner/repo`, a dataset. Every method raises HubError."""

    kind: ClassVar[str] = "dataset"
    setting: ClassVar[str] = "DECONVDEMO_FEEDBACK_REPO"
    otherwise: ClassVar[str] = "another DECONVDEMO_FEEDBACK_REPO"

    def squash(self, message: str) -> str:
        """Makes the branch one commit without a past; returns its id."""
        with self._answers():
            self._api().super_squash_history(self.repo, branch=BRANCH, commit_message=message, repo_type=self.kind)
        return self.head() or ""

    def delete_objects(self, sha256s: Sequence[str]) -> list[str]:
        """Asks the Hub to drop large files that no commit names any more; returns those that it no longer lists."""
        with self._answers():
            stored = self._api().list_lfs_files(self.repo, repo_type=self.kind)
            doomed = [file for file in stored if {file.file_oid, file.oid} & set(sha256s)]
            if doomed:
                self._api().permanently_delete_lfs_files(self.repo, doomed, rewrite_history=False, repo_type=self.kind)
            left = set[str]()
            for file in self._api().list_lfs_files(self.repo, repo_type=self.kind):
                left |= {file.file_oid, file.oid}
        return [sha256 for sha256 in sha256s if sha256 not in left]
