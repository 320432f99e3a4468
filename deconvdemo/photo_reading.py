"""Files and Pillow images in: whatever people upload → the fields of a `Photo`.

The format is recognised by its first bytes and handed to that format's own decoder. `PIL.Image.open` would
try them all, and warn or refuse by a limit that is global to the process, while each caller here has its own.
"""

from __future__ import annotations

import contextlib
import importlib
import io
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from deconvdemo import deep_files, exif
from deconvdemo.errors import PhotoError

TAKEN = "JPEG, PNG, WebP, TIFF, BMP, GIF or HEIC"
_SIGNATURES = (  # format, offset, bytes
    ("JPEG", 0, b"\xff\xd8\xff"),
    ("PNG", 0, b"\x89PNG\r\n\x1a\n"),
    ("WEBP", 8, b"WEBPVP8"),
    ("TIFF", 0, b"II*\0"),
    ("TIFF", 0, b"MM\0*"),
    ("TIFF", 0, b"II+\0"),
    ("TIFF", 0, b"MM\0+"),
    ("GIF", 0, b"GIF8"),
    ("BMP", 0, b"BM"),
    *(("HEIF", 4, b"ftyp" + brand) for brand in (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")),
)
_DECODERS = {  # format: module, class
    "JPEG": ("PIL.JpegImagePlugin", "JpegImageFile"),
    "PNG": ("PIL.PngImagePlugin", "PngImageFile"),
    "WEBP": ("PIL.WebPImagePlugin", "WebPImageFile"),
    "TIFF": ("PIL.TiffImagePlugin", "TiffImageFile"),
    "GIF": ("PIL.GifImagePlugin", "GifImageFile"),
    "BMP": ("PIL.BmpImagePlugin", "BmpImageFile"),
    "HEIF": ("pillow_heif", "HeifImageFile"),
}
_PNG_DEPTH = 24  # offset of the byte that holds the bits per sample
_SEVERAL_PAGES = "TIFF of several pages: only its first one is used"
_EXIF_DAMAGED = "its EXIF block is damaged and was left out"
_UPRIGHT = {  # EXIF orientation: how a stored (H, W, …) array is turned upright
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a[::-1].swapaxes(0, 1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: a[:, ::-1].swapaxes(0, 1),
}


def refuse_if_too_large(name: str, width: int, height: int, max_pixels: int | None) -> None:
    if max_pixels is not None and width * height > max_pixels:
        raise PhotoError(
            f"{name} is {width}×{height} = {width * height / 1e6:.1f} MP, "
            f"but at most {max_pixels / 1e6:.1f} MP are taken: resize it first"
        )


def kind_of(head: bytes) -> str | None:
    """The format of a file that begins so (64 bytes are enough), by Pillow's name; None for no photo that is read."""
    return next((form for form, at, signature in _SIGNATURES if head[at : at + len(signature)] == signature), None)


def read_file(stream: BinaryIO, name: str, max_pixels: int | None) -> dict[str, Any]:
    """The fields of a `Photo` from an open file; its size is checked in its header, before decoding.

    Raises PhotoError, calling the file `name`, for a file that is empty, damaged, too large or not a photo.
    """
    head = stream.read(64)
    if not head:
        raise PhotoError(f"{name} is empty (0 bytes): upload or copy it again")
    form = kind_of(head)
    if form is None:
        raise PhotoError(f"{name} is not a photo of a known kind: export it as one of {TAKEN}")
    stream.seek(0)
    with _damage_explained(f"{name} is a damaged or cut-off {form} file: download or export it again"):
        if form == "TIFF":
            return _read_tiff(stream, name, max_pixels)
        known: dict[str, Any] = {"format": form}
        if form == "WEBP":  # whose canvas Pillow would allocate at opening
            width, height, known["lossless"] = _webp_header(stream)
            refuse_if_too_large(name, width, height, max_pixels)
            stream.seek(0)
        image = _decoder(form, name)(stream, "")
        refuse_if_too_large(name, image.width, image.height, max_pixels)
        fields = _fields(image, name)
        if form == "PNG" and head[_PNG_DEPTH] == 16:
            fields |= _deepened(image, stream)
        return fields | known


def read_pillow(image: Image.Image, name: str) -> dict[str, Any]:
    """The fields of a `Photo` from a Pillow image of any mode: its first frame, turned upright."""
    with _damage_explained(f"{name} is damaged or cut off: open it from its file again"):
        return _fields(image, name)


def _fields(image: Image.Image, name: str) -> dict[str, Any]:
    form = {None: "PNG", "MPO": "JPEG"}.get(image.format, image.format)
    notes: list[str] = []
    if getattr(image, "is_animated", False) and form in ("GIF", "WEBP", "PNG"):
        notes.append(f"animated {form}: only its first frame is used")
    image.load()
    if image.info.get("bit_depth", 8) > 8:
        notes.append(f"{image.info['bit_depth']}-bit {form} was read as 8-bit")
    block = image.info.get("exif") or _descriptive_block(image.getexif(), notes)
    icc = image.info.get("icc_profile") or None
    image, icc = _plain_mode(image, icc, name, notes)
    samples = np.array(image)
    if samples.dtype.kind in "ui" and samples.dtype != np.uint8:
        samples = deep_files.as_uint16(samples, name)
    lossless = form not in ("JPEG", "HEIF")
    return {**_split(samples, block, notes), "icc": icc, "format": form, "lossless": lossless}


def _descriptive_block(tags: Image.Exif, notes: list[str]) -> bytes | None:
    try:
        return exif.descriptive(tags)
    except Exception:  # noqa: BLE001 - Pillow raises anything on odd tags; the visitor is told
        notes.append(_EXIF_DAMAGED)
        return None


def _decoder(form: str, name: str):
    module, decoder = _DECODERS[form]
    try:
        return getattr(importlib.import_module(module), decoder)
    except ImportError as error:
        raise PhotoError(
            f"{name} is a HEIC photo, which needs pillow-heif: `pip install` it, or export it as JPEG"
        ) from error


@contextlib.contextmanager
def _damage_explained(sentence: str) -> Iterator[None]:
    """Decoders fed with hostile bytes raise anything: OSError, SyntaxError, KeyError, cv2.error, …"""
    try:
        yield
    except PhotoError:
        raise
    except MemoryError as error:
        raise PhotoError("the photo takes more memory than there is: resize it first") from error
    except Exception as error:
        raise PhotoError(sentence) from error


def _split(samples: np.ndarray, block: bytes | None, notes: list[str]) -> dict[str, Any]:
    """(H, W) or (H, W, 1…4) samples as stored and their EXIF block → the fields of an upright photo."""
    orientation = 1
    if block is not None:
        try:
            block, orientation = exif.upright(block)
        except ValueError:
            block = None
            notes = [*notes, _EXIF_DAMAGED]
    samples = samples[..., None] if samples.ndim == 2 else samples
    samples = np.ascontiguousarray(_UPRIGHT[orientation](samples))
    alpha = None
    if samples.shape[2] in (2, 4):
        samples, alpha = np.ascontiguousarray(samples[..., :-1]), np.ascontiguousarray(samples[..., -1])
    return {"pixels": samples, "alpha": alpha, "exif": block, "notes": tuple(notes)}


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


def _deepened(image: Image.Image, stream: BinaryIO) -> dict[str, Any]:
    """The pixels and alpha of a 16-bit PNG file, after Pillow has found the rest of it sound."""
    samples = deep_files.png16_samples(stream)
    if samples.shape[2] == 1 and "transparency" in image.info:
        alpha = np.where(samples == image.info["transparency"], 0, 65535).astype(np.uint16)
        samples = np.concatenate([samples, alpha], axis=2)
    fields = _split(samples, image.info.get("exif"), [])
    return {"pixels": fields["pixels"], "alpha": fields["alpha"]}


def _read_tiff(stream: BinaryIO, name: str, max_pixels: int | None) -> dict[str, Any]:
    """8-bit TIFF, in its many colour spaces, by Pillow; deeper ones by `deep_files`."""
    import tifffile

    with tifffile.TiffFile(stream) as file:
        page: Any = file.pages.first
        refuse_if_too_large(name, page.imagewidth, page.imagelength, max_pixels)
        notes = [_SEVERAL_PAGES] if len(file.pages) > 1 else []
        deep = page.dtype is not None and page.dtype.itemsize > 1
        samples = deep_files.tiff_samples(page, stream, name) if deep else None
        icc = page.iccprofile
    stream.seek(0)
    if samples is None:
        fields = _fields(_decoder("TIFF", name)(stream, ""), name)  # it turns the pixels upright itself
        return {**fields, "notes": (*notes, *fields["notes"])}
    tags = Image.Exif()
    tags.load_from_fp(stream)
    return {**_split(samples, _descriptive_block(tags, notes), notes), "icc": icc, "format": "TIFF"}


def _webp_header(stream: BinaryIO) -> tuple[int, int, bool]:
    """Width, height and whether the first picture of a WebP file is lossless, from its chunks' headers."""
    stream.seek(12)
    canvas = None
    while len(chunk := stream.read(8)) == 8:
        kind, length = chunk[:4], int.from_bytes(chunk[4:], "little")
        data = stream.read(min(length, 40))
        if kind == b"VP8X":
            canvas = (1 + int.from_bytes(data[4:7], "little"), 1 + int.from_bytes(data[7:10], "little"))
        elif kind == b"VP8 ":
            own = (
                int.from_bytes(data[6:8], "little") & 0x3FFF,
                int.from_bytes(data[8:10], "little") & 0x3FFF,
            )
            return *(canvas or own), False
        elif kind == b"VP8L":
            bits = int.from_bytes(data[1:5], "little")
            return *(canvas or (1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF))), True
        elif kind == b"ANMF" and canvas:
            return *canvas, data[16:20] == b"VP8L"
        stream.seek(length - len(data) + length % 2, io.SEEK_CUR)
    raise ValueError("a WebP file without a picture")
