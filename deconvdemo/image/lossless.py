"""Photos as files that keep every pixel, in a format that a browser shows and a flag stores."""

from __future__ import annotations

from deconvdemo.image.photo import Photo
from deconvdemo.image.writing import encode_photo

_WEBP_LONGEST_SIDE = 16383


def lossless_suffix(photo: Photo) -> str:
    """.webp where lossless WebP can hold the photo (it is the quickest and smallest), else .png."""
    fits = max(photo.width, photo.height) <= _WEBP_LONGEST_SIDE and not photo.colour  # which PNG alone holds
    return ".webp" if fits and photo.bit_depth == 8 and not photo.is_grey else ".png"


def lossless(photo: Photo) -> bytes:
    """Every pixel of the photo, without its EXIF."""
    form = {".webp": "WEBP", ".png": "PNG"}[lossless_suffix(photo)]
    return encode_photo(photo, form, metadata=False, lossless=True)
