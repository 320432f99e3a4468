"""A visit costs each photo one decoding and one encoding, however often it is looked at, restored and flagged."""

from __future__ import annotations

import io

import numpy as np
import tifffile
from PIL import Image
from test_demo import app, flag, opened, paint, restored, says, visit  # noqa: F401 (app is a fixture)
from tiny import picture

from deconvdemo.image.apart import process


def tiff(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, photometric="rgb")
    return file.getvalue()


def test_a_photo_is_decoded_once_and_encoded_once_for_all_that_is_done_with_it(open_page, app, monkeypatch):  # noqa: F811
    pixels, decoded, encoded = picture(60, 80), [], []
    decode, save = process.Child.photo, Image.Image.save

    def decoding(self, file, name, *more):
        decoded.append(name)
        return decode(self, file, name, *more)

    def saving(self, *given, **options):
        if np.array_equal(np.asarray(self), pixels):
            encoded.append(given)
        elif self.mode in ("1", "L") and self.size == (80, 60):
            masks.append(given)
        return save(self, *given, **options)

    masks: list = []
    monkeypatch.setattr(process.Child, "photo", decoding)
    monkeypatch.setattr(Image.Image, "save", saving)
    page = visit(open_page, app, "inpaint")
    opened(page, "scan.tif", tiff(pixels))  # of which browsers draw a copy
    paint(page)
    restored(page, "inpaint")
    restored(page, "inpaint")
    flag(page, "Too smooth")
    says(page, "Saved, thank you")
    assert len(decoded) == 1
    assert len(encoded) == 1
    assert len(masks) == 2  # as it is kept beside each result
