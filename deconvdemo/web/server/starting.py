"""What must be so before the demo can listen: an address of this machine, and folders that can be written.

Imports no Gradio: that makes folders and reads the environment when it is imported.
"""

from __future__ import annotations

import errno
import gc
import os
import socket
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deconvdemo.errors import ControlError, StartError
from deconvdemo.settings import Settings

UPLOADS = "uploads"
_TEMP_DIR = "GRADIO_TEMP_DIR"


def ready(settings: Settings) -> str:
    """The host as Gradio takes it, once nothing stands in the way. Before Gradio is imported: that writes already."""
    _check_certificates()
    name = listening_name(settings.host, settings.port)
    prepare_folders(settings.data_dir)
    return name


def listening_name(host: str, port: int) -> str:
    """`host` as Gradio takes it, once this machine is known to let us listen there. Else ControlError says why not."""
    if not 1 <= port <= 65535:
        raise ControlError(f"there is no port {port}: give a number from 1 to 65535 with --port")
    bare = bare_host(host)
    try:
        found = socket.getaddrinfo(bare, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise ControlError(
            f"there is no address for the host {host!r}: give --host a name or address of this machine alone, "
            "like 127.0.0.1, or 0.0.0.0 for all its addresses"
        ) from None
    addresses = [(family, str(address[0]), address) for family, _, _, _, address in found]
    usable = [name for family, name, address in addresses if _can_listen(family, address, host, port)]
    if not usable:
        raise ControlError(
            f"{host} is not an address of this machine: give --host one that is, like 127.0.0.1, or 0.0.0.0 for all"
        )
    # a name may stand for an address that is not there, as "localhost" does for ::1 where IPv6 is off
    name = bare if len(usable) == len(addresses) else usable[0]
    return f"[{name}]" if ":" in name else name


def bare_host(host: str) -> str:
    """Without the brackets that addresses of IPv6 have in URLs."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def _can_listen(family: int, address: tuple, host: str, port: int) -> bool:
    """False where this machine has no such address; other reasons are raised, as nobody chose them."""
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ControlError(
                f"cannot listen on {host}:{port}: another program has this port, so choose another --port"
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM):
            raise ControlError(
                f"cannot listen on {host}:{port}: this user may not have ports below 1024, so choose a larger --port"
            ) from error
        return False
    return True


@contextmanager
def no_proxy() -> Iterator[None]:
    """Within, no proxy of the environment is asked.

    Gradio asks its own address whether it answers, where no proxy leads; and one of a kind that is not installed here
    is an error for its client even if it is not used. (A shared link's tunnel goes through no proxy either.)
    """
    names = ("no_proxy", "NO_PROXY")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "*"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def all_kept() -> Iterator[None]:
    """For imports: what they make stays until the end, and is never searched for garbage. A sixth of a start's time,
    and later of each search."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.freeze()


def prepare_folders(data_dir: Path) -> None:
    """Sees that the demo can write, and gives Gradio a folder of ours for uploads. StartError if it cannot.

    Gradio's own is one of the machine's temporary folder, which another user's demo may have made.
    """
    try:
        here = Path.cwd()
    except FileNotFoundError:
        raise StartError(
            "the folder that this was started in is not there any more: start it from another one"
        ) from None
    data_dir = here / data_dir
    uploads = Path(os.environ.setdefault(_TEMP_DIR, str(data_dir / UPLOADS)))
    for folder, variable in (
        (data_dir, "DECONVDEMO_DATA_DIR"),
        (data_dir / "results", "DECONVDEMO_DATA_DIR"),
        (uploads, _TEMP_DIR),
    ):
        _try_to_write(folder, variable)
    try:
        tempfile.gettempdir()
    except FileNotFoundError:  # nowhere else can be written
        tempfile.tempdir = os.environ["TMPDIR"] = str(uploads)


def _check_certificates() -> None:
    """Every client of HTTPS reads them when it is made, Gradio's on import."""
    named = os.environ.get("SSL_CERT_FILE")
    try:
        if named:
            ssl.create_default_context(cafile=named)
    except OSError as error:
        raise StartError(
            f"SSL_CERT_FILE names {named}, which cannot be read as certificates ({error.strerror}): correct or unset it"
        ) from error


def _try_to_write(folder: Path, variable: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=folder, prefix=".try-")
        try:
            os.write(handle, bytes(4096))
            os.fsync(handle)  # some file systems tell only then that they are full
        finally:
            os.close(handle)
            os.unlink(name)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = "make room there" if full else "let this user write there"
        raise StartError(
            f"the demo cannot write to its folder {folder} ({error.strerror}): {remedy}, "
            f"or name another one in {variable}"
        ) from error
