"""Pillow images in: any mode and what Pillow found beside it → a `Photo`."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image

from deconvdemo.errors import PhotoError
from deconvdemo.image.formats import decoded, exif, jpeg_quality
from deconvdemo.image.photo import Photo
from deconvdemo.image.resolution import Resolution

_LOSSY = ("JPEG", "HEIF", "AVIF")
_AS_PPM: dict[str, tuple[int, ...]] = {"L": (), "RGB": (3,)}  # modes whose samples a PPM file has, and their shape
_LONGEST_HEAD = 64  # bytes of one
_UPRIGHT_BY_ITSELF = ("HEIF", "AVIF")  # their own boxes turn them, whatever EXIF and XMP say


def read(
    image: Image.Image, name: str, notes: list[str] | None = None, room: np.ndarray | None = None, **others: Any
) -> Photo:
    """A Pillow image's first frame, turned upright; `others` are fields that its format knows better than Pillow."""
    form = {None: "PNG", "MPO": "JPEG"}.get(image.format, image.format)
    notes = [] if notes is None else notes
    if form in ("GIF", "WEBP", "PNG", "AVIF") and getattr(image, "is_animated", False):
        notes.append(f"animated {form}: only its first frame is used")
    image.load()
    block, xmp = image.info.get("exif"), None
    if form not in _UPRIGHT_BY_ITSELF:
        block = block or descriptive_block(image.getexif(), notes)
        xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    samples, icc = samples_of(image, image.info.get("icc_profile") or None, name, notes, room)
    quality = jpeg_quality.quality_of(image) if form == "JPEG" else None
    others = {"format": form, "lossless": form not in _LOSSY, "quality": quality} | others
    return decoded.upright(samples, block, notes, xmp, _resolution(image), icc=icc, **others)


def samples_of(
    image: Image.Image, icc: bytes | None, name: str, notes: list[str], room: np.ndarray | None = None
) -> tuple[np.ndarray, bytes | None]:
    """(H, W) or (H, W, 1…4) samples of a loaded image of any mode, and the ICC profile that fits them.

    They lie in `room`, if there is such and it is large enough for what Pillow writes there.
    """
    image, icc = _plain_mode(image, icc, name, notes)
    if room is not None and image.mode in _AS_PPM and _bytes(image) + _LONGEST_HEAD <= room.size:
        return _written(image, room), icc
    samples = np.asarray(image)  # read-only, over Pillow's bytes: who keeps it in this process copies it
    if samples.dtype.kind in "ui" and samples.dtype != np.uint8:
        samples = decoded.as_uint16(samples, name)
    return samples, icc


class _Filled(io.RawIOBase):
    """A file whose bytes go into an array."""

    def __init__(self, room: np.ndarray) -> None:
        self._room, self.end = room, 0

    def write(self, data: Any) -> int:
        begin, self.end = self.end, self.end + len(data)
        self._room[begin : self.end] = np.frombuffer(data, np.uint8)
        return len(data)


def _written(image: Image.Image, room: np.ndarray) -> np.ndarray:
    """As `np.asarray(image)`, which gathers the samples in pieces, then in one, to be copied to where they go."""
    file = _Filled(room)
    image.save(file, "PPM")  # type: ignore[arg-type]  # a head, and the samples as they are
    samples = room[file.end - _bytes(image) : file.end]
    return samples.reshape(image.height, image.width, *_AS_PPM[image.mode])


def _bytes(image: Image.Image) -> int:
    return image.width * image.height * len(image.mode)


def descriptive_block(tags: Image.Exif, notes: list[str]) -> bytes | None:
    try:
        return exif.descriptive(tags)
    except Exception:  # noqa: BLE001 - Pillow raises anything on odd tags; the visitor is told
        notes.append(decoded.EXIF_DAMAGED)
        return None


def _resolution(image: Image.Image) -> Resolution | None:
    """The format's own word on it. For JPEG Pillow's `dpi` may be made up: 72 where nothing is said."""
    info = image.info
    try:
        if "jfif_unit" in info:
            return Resolution.of_jfif(info["jfif_unit"], *info["jfif_density"])
        if image.format in ("JPEG", "MPO") or "dpi" not in info:
            return None
        across, down = info["dpi"]
        return Resolution.stated(float(across), float(down))
    except (TypeError, ValueError, ZeroDivisionError):
        return None  # a figure that is none


def _plain_mode(image: Image.Image, icc: bytes | None, name: str, notes: list[str]) -> tuple[Image.Image, bytes | None]:
    """A Pillow image of any mode → L, LA, RGB, RGBA, I, I;16 or F, and the ICC profile that fits it."""
    mode = image.mode
    if mode == "CMYK":
        return _cmyk_to_srgb(image, icc, notes)
    if mode in ("P", "PA"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
        red, green, blue = (np.asarray(image.getchannel(c)) for c in "RGB")
        grey = icc is None and np.array_equal(red, green) and np.array_equal(green, blue)
        return (image.convert("LA" if image.mode == "RGBA" else "L") if grey else image), icc
    if mode == "1":
        transparent = image.info.get("transparency")
        image = image.convert("L")
        if transparent is not None:
            image.putalpha(image.point(lambda level: 0 if bool(level) == bool(transparent) else 255))
        return image, icc
    if mode in ("L", "RGB"):
        return (image.convert(mode + "A") if "transparency" in image.info else image), icc
    if mode in ("La", "RGBa", "RGBX", "YCbCr", "HSV"):
        return image.convert({"La": "LA", "RGBa": "RGBA"}.get(mode, "RGB")), icc
    if mode not in ("LA", "RGBA", "I", "F") and not mode.startswith("I;16"):
        raise PhotoError(f"{name} has {mode} colours, but grey, RGB and CMYK are taken: convert it to RGB")
    return image, icc


def _cmyk_to_srgb(image: Image.Image, icc: bytes | None, notes: list[str]) -> tuple[Image.Image, bytes | None]:
    from PIL import ImageCms

    srgb = ImageCms.createProfile("sRGB")
    try:
        if icc is not None:
            converted = ImageCms.profileToProfile(image, io.BytesIO(icc), srgb, outputMode="RGB")
            assert converted is not None  # only an in-place conversion returns None
            notes.append("CMYK was converted to sRGB")
            return converted, ImageCms.ImageCmsProfile(srgb).tobytes()
        notes.append("CMYK without a profile was converted to RGB: colours may differ")
    except (ImageCms.PyCMSError, OSError):
        notes.append("CMYK with an unusable profile was converted to RGB: colours may differ")
    return image.convert("RGB"), None
