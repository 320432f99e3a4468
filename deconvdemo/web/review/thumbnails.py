"""The small pictures of the review's grid."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from io import BytesIO
from typing import Any

from cachetools import LRUCache

THUMBNAIL = 320  # pixels, the longer side
KEPT_THUMBNAILS = 400  # some 10 KB each


class Thumbnails:
    """The small pictures of the grid, the last ones asked for."""

    def __init__(self):
        self._kept: LRUCache[tuple[str, str], bytes] = LRUCache(KEPT_THUMBNAILS)
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
            if (kept := self._kept.get(key)) is not None:
                return kept
        large = read()
        with place(large), Image.open(BytesIO(large)) as opened:
            small = opened.convert("RGB")
            small.thumbnail((THUMBNAIL, THUMBNAIL))
        file = BytesIO()
        small.save(file, "WEBP", quality=85, method=0)
        with self._lock:
            self._kept[key] = file.getvalue()
        return file.getvalue()
