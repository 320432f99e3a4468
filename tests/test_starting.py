"""The demo starts in the surroundings that people have, or says in one sentence why it cannot."""

from __future__ import annotations

import errno
import gc
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import pytest
from demo_app import free_port, png
from gradio_client import Client, handle_file
from tiny import picture

from deconvdemo.errors import ControlError, DeconvdemoError, StartError
from deconvdemo.settings import Settings
from deconvdemo.web.server import starting
from deconvdemo.web.server.ages import Ages
from deconvdemo.web.server.starting import all_kept, listening_name, no_proxy, prepare_folders, ready
from deconvdemo.web.server.uploads import Uploads

ROOT = Path(__file__).parent.parent


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.fixture
def no_folder_of_gradio(monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", "x")  # so that it is as before in the end
    monkeypatch.delenv("GRADIO_TEMP_DIR")


def test_it_starts_behind_proxies_and_where_nothing_but_its_folder_can_be_written(tmp_path, tiny_weights):
    """Proxies that do not answer or are of no known kind, IPv6, and another's folder where Gradio's would be. The
    environment's host is heeded, and an option wins over its port."""
    in_the_way = tmp_path / "tmp"
    in_the_way.mkdir()
    (in_the_way / "gradio").write_text("of somebody else")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GRADIO_")}
    environment |= dict.fromkeys(("HTTP_PROXY", "http_proxy", "HTTPS_PROXY"), "http://127.0.0.1:9")
    environment |= {"ALL_PROXY": "socks5h://127.0.0.1:9", "HOME": str(in_the_way / "gradio"), "TMPDIR": str(in_the_way)}
    host, port = "::1" if has_ipv6() else "127.0.0.1", free_port()
    environment |= {"DECONVDEMO_DATA_DIR": str(tmp_path / "data"), "GRADIO_SERVER_NAME": host, "GRADIO_SERVER_PORT": ""}
    environment["DECONVDEMO_PORT"] = str(free_port())
    environment.pop("PYTHONPATH", None)  # as people start it
    options = ["--port", str(port), "--weights", str(tiny_weights), "--device", "cpu"]
    command = [sys.executable, "-m", "deconvdemo", "serve", *options]
    photo = tmp_path / "photo.png"
    photo.write_bytes(png(picture(24, 32)))
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL) as server:
        try:
            client = _client(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}", server)
            _, report = client.predict(handle_file(photo), api_name="/denoise")
        finally:
            server.terminate()
    assert report["task"] == "denoise"
    assert [*(tmp_path / "data" / "uploads").rglob("photo.png")]


def _client(url: str, server: subprocess.Popen) -> Client:
    """Once the demo has started."""
    until = time.monotonic() + 120
    while server.poll() is None and time.monotonic() < until:
        try:
            return Client(url, verbose=False, download_files=False)
        except httpx.TransportError:
            time.sleep(0.3)
    raise AssertionError("the demo did not start")


@pytest.mark.parametrize(
    ("host", "name"),
    [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "0.0.0.0"), ("::1", "[::1]"), ("[::1]", "[::1]"), ("::", "[::]")],
)
def test_addresses_are_taken_as_people_write_them(host, name):
    if ":" in host and not has_ipv6():
        pytest.skip("this machine has no IPv6")
    assert listening_name(host, free_port()) == name


def test_a_name_whose_second_address_is_not_there_is_its_first(monkeypatch):
    """As "localhost" where IPv6 is off."""
    port = free_port()
    both = [(socket.AF_INET, 1, 6, "", (host, port)) for host in ("127.0.0.1", "192.0.2.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *given, **more: both)
    assert listening_name("localhost", port) == "127.0.0.1"


WRONG = [
    ("127.0.0.1", 0, "--port"),
    ("127.0.0.1", -1, "--port"),
    ("127.0.0.1", 70000, "--port"),
    ("http://127.0.0.1", 7860, "--host"),
    ("127.0.0.1:7860", 7860, "--host"),
    ("", 7860, "--host"),
    ("a" * 70, 7860, "--host"),  # longer than a name may be
    ("192.0.2.1", 7860, "is not an address of this machine"),
]


@pytest.mark.parametrize(("host", "port", "words"), WRONG)
def test_wrong_addresses_are_one_sentence(host, port, words):
    with pytest.raises(ControlError, match=words) as refusal:
        listening_name(host, port)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(("number", "words"), [(errno.EACCES, "below 1024"), (errno.EADDRINUSE, "another program")])
def test_what_the_system_refuses_is_said(monkeypatch, number, words):
    class Refusing(socket.socket):
        def bind(self, address):
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(socket, "socket", Refusing)
    with pytest.raises(ControlError, match=words):
        listening_name("127.0.0.1", 443)


def test_folders_that_cannot_be_written_are_one_sentence(tmp_path, monkeypatch, no_folder_of_gradio):
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match="DECONVDEMO_DATA_DIR"):
        prepare_folders(tmp_path / "file")
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "file"))
    with pytest.raises(StartError, match="GRADIO_TEMP_DIR"):
        prepare_folders(tmp_path / "data")

    def full(*given):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(starting.os, "write", full)
    with pytest.raises(StartError, match="make room there"):
        prepare_folders(tmp_path / "data")
    assert not [*(tmp_path / "data").glob(".try-*")]


def test_a_folder_that_is_gone_and_certificates_that_are_not_there_are_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    with pytest.raises(DeconvdemoError, match="SSL_CERT_FILE"):
        ready(Settings(port=free_port(), data_dir=tmp_path))
    monkeypatch.delenv("SSL_CERT_FILE")
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(StartError, match="start it from another"):
        ready(Settings(port=free_port(), data_dir=tmp_path))


def test_uploads_that_a_killed_process_left_go(tmp_path):
    old, new = (tmp_path / "uploads" / name for name in ("old", "new"))
    for folder in (old, new):
        folder.mkdir(parents=True)
        (folder / "photo.png").write_bytes(b"x")
    os.utime(old / "photo.png", (1, 1))
    Uploads(tmp_path / "uploads", Ages(24), 100).sweep()  # as at each start
    assert [*(tmp_path / "uploads").iterdir()] == [new]


def test_where_no_temporary_folder_can_be_written_ours_is_one(tmp_path, monkeypatch, no_folder_of_gradio):
    def none():
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", none)
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("TMPDIR", "/nowhere")
    prepare_folders(tmp_path)
    assert tempfile.tempdir == os.environ["TMPDIR"] == str(tmp_path / "uploads")


def test_proxies_are_as_they_were_afterwards(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "example.org")
    monkeypatch.delenv("no_proxy", raising=False)
    with no_proxy():
        assert os.environ["NO_PROXY"] == os.environ["no_proxy"] == "*"
    assert os.environ["NO_PROXY"] == "example.org"
    assert "no_proxy" not in os.environ


def test_what_is_imported_for_the_demo_is_never_searched_for_garbage():
    with all_kept():
        assert not gc.isenabled()
        kept = [[]]  # garbage is sought only in what can hold it
    assert gc.isenabled()
    assert not any(one is kept for one in gc.get_objects())
