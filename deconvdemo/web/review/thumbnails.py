"""The small pictures of the review's grid."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from io import BytesIO
from typing import Any

THUMBNAIL = 320  # pixels, the longer side
KEPT_THUMBNAILS = 400  # some 10 KB each


class Thumbnails:
    """The small pictures of the grid, the last ones asked for."""

    def __init__(self):
        self._kept: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._lock = threading.Lock()

    def of(
        self,
        key: tuple[str, str],
        read: Callable[[], bytes],
        place: Callable[[bytes], AbstractContextManager[Any]] = nullcontext,
    ) -> bytes:
        """The small picture of a key; `read` gives the large one, if the small one is not kept, `place` where to."""
        from PIL import Image

        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        large = read()
        with place(large), Image.open(BytesIO(large)) as opened:
            small = opened.convert("RGB")
            small.thumbnail((THUMBNAIL, THUMBNAIL))
        file = BytesIO()
        small.save(file, "WEBP", quality=85, method=0)
        with self._lock:
            self._kept[key] = file.getvalue()
            while len(self._kept) > KEPT_THUMBNAILS:
                self._kept.popitem(last=False)
        return file.getvalue()
