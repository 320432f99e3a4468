"""Stand-ins for photos that browsers cannot draw: TIFF and HEIC are seen too, and restored as they came."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from deconvdemo.errors import PhotoError
from deconvdemo.image.lossless import lossless, lossless_suffix
from deconvdemo.image.photo import Photo

_DRAWN_BY_BROWSERS = {"PNG", "JPEG", "WEBP", "GIF", "BMP"}
_PREVIEW = ".preview"


def preview(path: str, photo: Photo, lossless: Callable[[Photo], bytes] = lossless) -> str:
    """`path`, or for a format that browsers do not draw a lossless copy beside it, without its EXIF.

    As the value of a `PhotoInput` the copy is what the visitor sees, while events still get the original.
    """
    if photo.format in _DRAWN_BY_BROWSERS:
        return path
    copy = Path(f"{path}{_PREVIEW}{lossless_suffix(photo)}")
    try:
        copy.write_bytes(lossless(photo))
    except OSError as error:
        raise PhotoError(f"the photo could not be shown ({error.strerror}): try again in a while") from error
    return str(copy)


def original(path: str) -> str:
    """The file that `path` is a preview of, or `path` itself."""
    of, found, _ = path.rpartition(_PREVIEW)
    return of if found and Path(of).is_file() else path
