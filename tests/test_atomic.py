"""What is written is there whole or not at all, and the same content has the same name everywhere."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from deconvdemo.atomic import WriteError, write_atomically
from deconvdemo.digests import git_hash_of, sha256_of


@pytest.mark.parametrize("stopped", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_what_was_there_stays_whatever_stops_the_writing(tmp_path, monkeypatch, call, stopped):
    file = tmp_path / "kept.json"
    write_atomically(file, b"before")

    def stops(*_):
        raise stopped

    monkeypatch.setattr(*((os, "fsync") if call == "fsync" else (Path, "replace")), stops)
    with pytest.raises(WriteError if isinstance(stopped, OSError) else KeyboardInterrupt) as raised:
        write_atomically(file, b"after")
    if isinstance(stopped, OSError):
        assert str(raised.value) == f"{file} cannot be written (No space left on device)"
        assert raised.value.__cause__ is stopped
    assert file.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [file], "no half of a file stays"


def test_the_longest_names_can_be_written_into_new_folders(tmp_path):
    file = tmp_path / "new" / "folder" / ("n" * 255)
    write_atomically(file, b"whole")
    write_atomically(file, b"again")
    assert file.read_bytes() == b"again"


@pytest.mark.skipif(os.name == "nt", reason="no such rights there")
@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_others_may_read_what_the_users_files_let_them(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        write_atomically(tmp_path / "file", b"")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == mode


def test_content_is_named_as_git_and_sha256_name_it():
    assert git_hash_of(b"") == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"  # what `git hash-object` says
    assert git_hash_of(b"hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a"
    assert sha256_of(b"some\0bytes") == hashlib.sha256(b"some\0bytes").hexdigest()
