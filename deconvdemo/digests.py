"""What content is known by: the same bytes have the same name everywhere."""

from __future__ import annotations

import hashlib


def sha256_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def git_hash_of(data: bytes) -> str:
    """As git names a file of this content."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
