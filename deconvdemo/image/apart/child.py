"""The process that decodes: it is given one open file at a time on a socket, its standard input.

It imports neither torch nor Gradio, knows nothing of its parent's environment, and ends when its parent does.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import math
import os
import select
import socket
import sys
import threading
from typing import Any

import numpy as np
from PIL import Image

from deconvdemo.address_space import address_space, limit_address_space
from deconvdemo.errors import PhotoError, PhotoMemoryError
from deconvdemo.image import decoding
from deconvdemo.image.apart.answer import READ_AT_ONCE, packed, place_in, received, send
from deconvdemo.image.apart.blocks import SMALL_ANSWER, room_in

_THREAD_STACK = 1 << 20  # bytes: the limit on memory counts what is reserved
_NEEDED = {  # what is imported before the clock of a photo runs
    "JPEG": ["PIL.JpegImagePlugin"],
    "PNG": ["PIL.PngImagePlugin", "cv2"],
    "WEBP": ["PIL.WebPImagePlugin"],
    "TIFF": ["tifffile", "cv2"],
    "GIF": ["PIL.GifImagePlugin"],
    "BMP": ["PIL.BmpImagePlugin"],
    "HEIF": ["pillow_heif"],
    "AVIF": ["PIL.AvifImagePlugin"],
}


def main() -> int:
    try:
        connection = socket.socket(fileno=os.dup(0))
    except OSError:
        print("this program reads photos for deconvdemo, which starts it with a socket", file=sys.stderr)
        return 2
    threading.stack_size(_THREAD_STACK)
    Image.preinit()  # saving asks for it
    _end_with(connection)
    send(connection, {"limits_memory": _unlimited() and address_space() is not None})
    room: np.ndarray | None = None
    while True:
        begun, files, *_ = socket.recv_fds(connection, READ_AT_ONCE, 3)
        if not begun:
            return 0
        try:
            if room is None:
                room = room_in(files[1])
            reply = _answered(received(connection, begun), room, *files)
        finally:
            for file in files:
                os.close(file)
        send(connection, reply)
        _unlimited()  # while nobody waits for it


def _answered(asked: dict[str, Any], room: np.ndarray | None, file: int, small: int, large: int) -> dict[str, Any]:
    """What is said of `file`, with its bytes in the block for a `small` answer or in that for a `large` one.

    `room` is the block for small answers in this process's memory, where one is kept for all of them.
    """
    for module in _NEEDED.get(asked["form"], []):
        with contextlib.suppress(ImportError):  # the reader says what is missing
            importlib.import_module(module)
    _limit(asked["memory"], asked["seconds"])
    try:
        raw = io.FileIO(file, "rb", closefd=False)
        raw.name = asked["name"]  # libraries take the number that it would have for a name
        with io.BufferedReader(raw) as stream:
            stream.seek(0)
            photo = decoding.read_file(stream, asked["name"], asked["max_pixels"], room)
        answer, parts = packed(photo, room)
        is_small = answer["size"] <= SMALL_ANSWER
        for offset, data in parts:
            if not is_small or room is None:
                _write(small if is_small else large, data, offset)
            elif place_in(room, lies := np.frombuffer(data, np.uint8)) is None:
                room[offset : offset + len(data)] = lies
        return answer
    except PhotoMemoryError:
        return {"failed": "memory"}
    except PhotoError as error:
        return {"error": str(error)}
    except MemoryError:
        return {"failed": "memory"}


def _write(file: int, data: Any, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, offset)
        view, offset = view[written:], offset + written


def _end_with(connection: socket.socket) -> None:
    """Ends this process when the other side of the socket is closed, also while it decodes."""

    def watch() -> None:
        closed = select.poll()
        closed.register(connection, 0)  # nothing but that
        closed.poll()
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


def _unlimited() -> bool:
    import resource

    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        for kind in (resource.RLIMIT_AS, resource.RLIMIT_CPU):
            resource.setrlimit(kind, (resource.getrlimit(kind)[1],) * 2)
        return True
    return False


def _limit(memory: int, seconds: float) -> None:
    """So many more bytes, and seconds of the processor, from here on."""
    import resource

    usage = resource.getrusage(resource.RUSAGE_SELF)
    ends = math.ceil(usage.ru_utime + usage.ru_stime + seconds)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CPU, (ends, resource.getrlimit(resource.RLIMIT_CPU)[1]))
    limit_address_space(memory)


if __name__ == "__main__":
    sys.exit(main())
