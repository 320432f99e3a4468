"""PNG in: 8 bits by Pillow, 16 by OpenCV; all that is not pixels by `png_chunks`."""

from __future__ import annotations

import io
from typing import BinaryIO

import numpy as np
from PIL import PngImagePlugin

from deconvdemo.image.formats import decoded, high_bit_depth, pillow_reading, png_chunks
from deconvdemo.image.photo import Photo

_GREY, _RGB, _PALETTE = 0, 2, 3  # PNG's types of colour that have transparent levels


def read(stream: BinaryIO, name: str, max_pixels: int | None, room: np.ndarray | None = None) -> Photo:
    png = png_chunks.take_apart(stream.read())
    decoded.refuse_if_too_large(name, png.width, png.height, max_pixels)
    notes = png.notes
    if png.animated:
        notes.append("animated PNG: only its first frame is used")
    image = PngImagePlugin.PngImageFile(io.BytesIO(png.pixels), "")
    if png.colour_type == _PALETTE and png.transparent:
        image.info["transparency"] = png.transparent
    image.load()
    icc = png.icc
    if png.depth == 16:  # Pillow has found it sound
        samples = high_bit_depth.png16_samples(png.pixels)
    else:
        samples, icc = pillow_reading.samples_of(image, icc, name, notes, room)
    if png.colour_type in (_GREY, _RGB) and png.transparent:
        samples = _with_transparent_level(samples, png, notes)
    return decoded.upright(
        samples, png.exif, notes, png.xmp, png.resolution, icc=icc, format="PNG", colour=png.colour, texts=png.texts
    )


def _with_transparent_level(samples: np.ndarray, png: png_chunks.Png, notes: list[str]) -> np.ndarray:
    """(H, W, 2 or 4): the one level, or colour, that the tRNS chunk names is transparent."""
    samples = samples.reshape(*samples.shape[:2], -1)
    channels, most = samples.shape[2], (1 << png.depth) - 1
    if len(png.transparent or b"") < 2 * channels:
        notes.append("its transparent colour is damaged and was left out")
        return samples
    stated = np.frombuffer(png.transparent or b"", ">u2", channels).astype(np.uint32) & most
    top = np.iinfo(samples.dtype).max
    level = (stated * (top // most)).astype(samples.dtype)
    alpha = np.where((samples == level).all(axis=2), 0, top).astype(samples.dtype)
    return np.concatenate([samples, alpha[..., None]], axis=2)
