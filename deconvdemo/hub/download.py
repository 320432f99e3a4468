"""Files of a model repository on the Hugging Face Hub, each verified before anyone reads it.

The Hub's client is imported inside the functions: it reads its HF_* variables when it is imported, and most
runs of deconvdemo never need it.
"""

from __future__ import annotations

import errno
import re
import time
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

from deconvdemo.bounded import in_bytes
from deconvdemo.digests import git_hash_of, sha256_of
from deconvdemo.errors import CheckpointError, ControlError

LARGEST_FILE = 256_000_000  # bytes: 64 million parameters in fp32, twice DRUNet's in the largest precision
HEAD_TIMEOUT = 10  # seconds to wait for the Hub to say what a revision holds
PATIENCE = 600.0  # seconds for one file: the largest comes in that time at half a megabyte a second

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_REF = re.compile(rf"(?:hf://)?(?P<repo>{NAME}/{NAME})(?:@(?P<revision>[^/@\s]+))?(?:/(?P<file>[^@\s]+))?")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class HubRef:
    """hf://owner/repo[@revision][/file]: a model repository at a branch, tag or commit, or a file of it."""

    repo: str
    revision: str = ""  # empty: the repository's main branch
    file: str = ""  # empty: what its index.json names

    @classmethod
    def parse(cls, text: str) -> HubRef:
        """Also without `hf://`, as settings write it. A slash in a revision is %2F. Raises ControlError."""
        match = _REF.fullmatch(text.strip())
        parts = match["file"].split("/") if match and match["file"] else []
        if not match or ".." in match["repo"] or "--" in match["repo"] or {"", ".", ".."} & set(parts):
            raise ControlError(
                f"{text!r} is not a place on the Hub: write hf://owner/repo[@revision][/file], "
                "for example hf://owner/repo@main/denoise.safetensors"
            )
        if match["file"] and not match["file"].endswith(".safetensors"):
            raise ControlError(f"{text!r} names a file that is not .safetensors: no other format is opened")
        return cls(match["repo"], unquote(match["revision"] or ""), match["file"] or "")

    def __str__(self) -> str:
        revision = self.revision[:7] if _COMMIT.fullmatch(self.revision) else self.revision
        return f"hf://{self.repo}" + (f"@{revision}" if revision else "") + (f"/{self.file}" if self.file else "")


@dataclass(frozen=True)
class Fetched:
    """A verified file in the Hub's cache on this disk."""

    path: Path
    ref: HubRef  # with the commit that a branch or tag stood for
    why_cached: str = ""  # why the Hub was not asked, where it should have been: "Hub unreachable: …"


def fetch(ref: HubRef, sha256: str = "", most: int = LARGEST_FILE, seconds: float = PATIENCE) -> Fetched:
    """`ref.file` of the repository: from the cache if its commit is known and there, else from the Hub.

    It has at most `most` bytes, and comes within that many seconds. A file whose content is not what the Hub says it
    is (or not `sha256`, where the Hub's word is unknown) is dropped and fetched once more. Raises CheckpointError: the
    file is not there, not allowed, unreachable and not cached, too large or slow, or damaged twice.
    """
    path, why_cached = _download(ref, most, seconds)
    # the cache lays files out as …/snapshots/<commit>/<file>
    ref = replace(ref, revision=path.parents[len(PurePosixPath(ref.file).parts) - 1].name)
    if _damage(path, sha256):
        _drop(path)
        path, why_cached = _download(ref, most, seconds)
        if damage := _damage(path, sha256):
            _drop(path)
            raise CheckpointError(f"{ref} {damage}, also when fetched again: it is not used")
    return Fetched(path, ref, why_cached)


def _download(ref: HubRef, most: int, seconds: float) -> tuple[Path, str]:
    """The file's path in the cache, and why it is an old copy if the Hub could not be asked."""
    path, why_cached = _found(ref, most, seconds)
    if (size := path.stat().st_size) > most:  # another program may have fetched it
        raise _too_large(ref, size, most)
    return path, why_cached


def _too_large(ref: HubRef, size: int, most: int) -> CheckpointError:
    return CheckpointError(f"{ref} has {in_bytes(size)}, but at most {in_bytes(most)} are fetched: it is not used")


def _found(ref: HubRef, most: int, seconds: float) -> tuple[Path, str]:
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, HTTPError, RevisionNotFoundError

    revision = ref.revision or "main"
    if _COMMIT.fullmatch(revision) and (cached := _cached(ref)):
        return cached, ""
    try:
        # one look first, without retries: hf_hub_download alone keeps on trying an unreachable Hub for 23 s,
        # and when it serves an old copy instead it does not say so
        there = get_hf_file_metadata(hf_hub_url(ref.repo, ref.file, revision=revision), timeout=HEAD_TIMEOUT)
        if (there.size or 0) > most:
            raise _too_large(ref, there.size or 0, most)
        bounded = _bounded_bar(most, seconds)
        return Path(
            hf_hub_download(ref.repo, ref.file, revision=revision, etag_timeout=HEAD_TIMEOUT, tqdm_class=bounded)
        ), ""
    except RevisionNotFoundError:
        raise CheckpointError(f"{ref} does not exist: {ref.repo} has no revision {revision!r}") from None
    except EntryNotFoundError as error:
        if isinstance(error, HfHubHTTPError):  # the Hub's own word, not a cache without the file
            raise CheckpointError(f"{ref} does not exist: the repository has no such file") from None
        reason = _reason(error, ref)
    except (HTTPError, OSError, ValueError) as error:
        reason = _reason(error, ref)
    if cached := _cached(ref):
        return cached, reason
    raise CheckpointError(f"{ref} cannot be fetched ({reason})")


class _TooSlowError(OSError):
    """A transfer that takes longer, or brings more, than was said: the rest of it is not waited for."""


def _bounded_bar(most: int, seconds: float) -> Any:
    """The client's progress bar: it is told of each piece that comes, and may end the transfer."""
    from huggingface_hub.utils import tqdm

    end = time.monotonic() + seconds

    class Bounded(tqdm):
        taken = 0.0

        def update(self, n: float | None = 1) -> bool | None:
            self.taken += n or 0
            if self.taken > most:
                raise _TooSlowError(f"it sends more than the {in_bytes(most)} that are fetched")
            if time.monotonic() > end:
                raise _TooSlowError(f"it has sent {in_bytes(int(self.taken))} in {seconds:.0f} s: that is too slow")
            return super().update(n)

    return Bounded


def _cached(ref: HubRef) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    path = try_to_load_from_cache(ref.repo, ref.file, revision=ref.revision or "main")
    return Path(path) if isinstance(path, str) else None


def _reason(error: Exception, ref: HubRef) -> str:
    """Why the Hub did not give a file, in words a person can act on."""
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

    if isinstance(error, GatedRepoError):
        return f"{ref.repo} is gated: accept its conditions on the Hub, and set HF_TOKEN"
    if isinstance(error, RepositoryNotFoundError):
        return f"the Hub has no model repository {ref.repo}, or it is private: check the name, or set HF_TOKEN"
    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code
        return "the Hub does not accept the HF_TOKEN" if status == 401 else f"the Hub answered {status}"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
        return f"the Hub's cache on this disk cannot be written: {error.strerror}"
    text = str(error).strip().splitlines()
    if isinstance(error, _TooSlowError):
        return f"the Hub was asked, but {text[0]}"
    return f"Hub unreachable: {text[0][:120] if text else type(error).__name__}"


def _damage(path: Path, sha256: str) -> str:
    """How the file differs from what was promised of it; "" if it does not, or if nothing is promised."""
    # the cache names a blob by its etag: the sha256 of a large file, git's hash of a small one. One link
    # leads to it (it may be a link itself, into a store with other names), or none where links do not exist
    etag, data = path.readlink().name if path.is_symlink() else "", path.read_bytes()
    if _COMMIT.fullmatch(etag):
        found = git_hash_of(data)
        return "" if found == etag else f"has git hash {found[:12]}…, but the Hub says {etag[:12]}…"
    promised = etag if _SHA256.fullmatch(etag) else sha256
    found = sha256_of(data)
    return "" if not promised or found == promised else f"has sha256 {found[:12]}…, but the Hub says {promised[:12]}…"


def _drop(path: Path) -> None:
    """Takes a damaged file out of the cache: the content and every link that leads to it."""
    while path.is_symlink():
        target = path.parent / path.readlink()
        path.unlink()
        path = target
    path.unlink(missing_ok=True)
