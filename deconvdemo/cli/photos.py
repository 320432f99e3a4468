"""Which files of a command's inputs are photos, and why the others are not: nothing is passed over in silence."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from deconvdemo.errors import ControlError

# names that promise a photo: such a file is opened whatever it holds, so that a damaged one is told
PHOTO_SUFFIXES = frozenset(
    (
        ".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".webp", ".tif", ".tiff", ".bmp", ".dib", ".gif",
        ".heic", ".heics", ".heif", ".heifs", ".hif", ".avif", ".avifs", ".dng",
    )
)  # fmt: skip
# what cameras record before it is a picture: much of it is TIFF by its first bytes, with a preview as first picture
_RAW = frozenset(
    (
        ".3fr", ".ari", ".arw", ".bay", ".cap", ".cr2", ".cr3", ".crw", ".dcr", ".dcs", ".drf", ".eip", ".erf", ".fff",
        ".gpr", ".iiq", ".k25", ".kdc", ".mdc", ".mef", ".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".ptx", ".pxn",
        ".r3d", ".raf", ".raw", ".rw2", ".rwl", ".rwz", ".sr2", ".srf", ".srw", ".x3f",
    )
)  # fmt: skip
_OTHER_PICTURES = frozenset(
    (
        ".ai", ".cur", ".dds", ".emf", ".eps", ".exr", ".hdr", ".icns", ".ico", ".j2c", ".j2k", ".jp2", ".jpc", ".jpf",
        ".jpm", ".jpx", ".jxl", ".jxr", ".pbm", ".pcx", ".pdf", ".pgm", ".pnm", ".ppm", ".psb", ".psd", ".qoi", ".sgi",
        ".svg", ".svgz", ".tga", ".wdp", ".wmf", ".xbm", ".xcf", ".xpm",
    )
)  # fmt: skip
# what file managers, cameras, network storage and operating systems put beside people's files; anything that begins
# with a dot is theirs, too: ._IMG_1.jpg, .thumbnails, .DS_Store, .Trashes, .@__thumb
_SERVICE = frozenset(
    (
        "@eadir", "@recently-snapshot", "@recycle", "@sharebin", "@tmp", "#recycle", "#snapshot", "$recycle.bin",
        "recycler", "__macosx", "lost+found", "system volume information", "network trash folder",
        "desktop.ini", "ehthumbs.db", "ehthumbs_vista.db", "icon\r", "thumbs.db",
    )
)  # fmt: skip
_SERVICE_ENDINGS = (".thm", ".ithmb", "~")  # cameras' and telephones' thumbnails; copies that editors keep


@dataclass
class Found:
    """`photos`: each with its place below what was given. `passed`, `failed`: what is left out, and why."""

    photos: list[tuple[Path, Path]] = field(default_factory=list)
    passed: list[tuple[Path, str]] = field(default_factory=list)
    failed: list[tuple[Path, str]] = field(default_factory=list)


def find(inputs: list[Path], output: Path) -> Found:
    """The photos among the files given and in the folders given, in the order of their names; each one once.

    Results of an earlier run, in a folder `output` inside a folder given, are none. Links to files are followed, and
    links to folders are not: they may lead out of the folder, or in a circle. Raises ControlError for a folder
    that would be restored onto itself.
    """
    found = Found()
    for given in inputs:
        if not os.path.isdir(given):
            if len(inputs) > 1 and _is_service(given.name, hidden=False):  # as from `denoise holiday/*`
                found.passed.append((given, HIDDEN))
            else:
                found.photos.append((given, Path(given.name)))
            continue
        if _same(given, output):
            raise ControlError(f"{output} is the folder of the photos themselves: name another -o")
        if len(inputs) > 1 and _is_service(given.name, hidden=False):
            found.passed.append((given, HIDDEN))
            continue
        before = len(found.photos)
        _walk(given, output, found)
        # a link after what it may be a link to: of two names of one photo the file's own counts
        if len(inputs) > 1 and len(found.photos) == before:
            found.passed.append((given, "folders without photos"))
        found.photos[before:] = sorted(found.photos[before:], key=lambda pair: (pair[0].is_symlink(), pair[0]))
    _keep_once(found)
    return found


HIDDEN = "hidden or the system's own"


def _walk(given: Path, output: Path, found: Found) -> None:
    def unreadable(error: OSError) -> None:
        found.failed.append((Path(error.filename), f"{error.filename} cannot be read ({error.strerror})"))

    for place, folders, files in os.walk(given, onerror=unreadable):
        here, entered = Path(place), []
        for name in sorted(folders):
            folder = here / name
            if _is_service(name):
                found.passed.append((folder, HIDDEN))
            elif folder.is_symlink():
                found.passed.append((folder, "links to folders"))
            elif _same(folder, output):
                found.passed.append((folder, "the folder of the results"))
            else:
                entered.append(name)
        folders[:] = entered
        for name in sorted(files):
            why = _why_not(here / name)
            if why is None:
                found.photos.append((here / name, (here / name).relative_to(given)))
            else:
                found.passed.append((here / name, why))


def _why_not(file: Path) -> str | None:
    """Why a file of a folder is not opened as a photo; None if it is. Nothing but a file is ever opened."""
    if _is_service(file.name):
        return HIDDEN
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            return "neither files nor folders"
    except OSError:
        if file.is_symlink():
            return "links to nothing"
        return None  # it vanished, or is kept from us: opening it says so
    suffix = file.suffix.lower()
    if suffix in PHOTO_SUFFIXES:
        return None
    if suffix in _RAW:
        return "camera raw, to be developed first"
    if form_of(file):
        return None
    return "pictures of a kind that is not read" if suffix in _OTHER_PICTURES else "not photos"


def form_of(file: Path) -> str | None:
    """A file's format by its first bytes, whatever its name; None for what is no photo, or cannot be read."""
    from deconvdemo.image.recognition import kind_of

    try:
        if not stat.S_ISREG(file.stat().st_mode):  # a pipe would let us wait for ever
            return None
        with file.open("rb") as stream:
            head = stream.read(512)
    except (OSError, ValueError):
        return None
    form = kind_of(head)
    if form == "BMP" and head[6:10] != b"\0\0\0\0":  # two letters: many a text begins so; its reserved bytes are 0
        return None
    return form


def _is_service(name: str, hidden: bool = True) -> bool:
    name = name.lower()
    return name in _SERVICE or name.endswith(_SERVICE_ENDINGS) or name.startswith("." if hidden else "._")


def _same(one: Path, other: Path) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:  # one of them is not there yet
        return False


def _keep_once(found: Found) -> None:
    """A file and its folder, or a photo and a link to it: one photo, by the first name."""
    seen: set[str] = set()
    several, found.photos = found.photos, []
    for photo, relative in several:
        real = os.path.normcase(os.path.realpath(photo))
        if real in seen:
            found.passed.append((photo, "given twice"))
        else:
            found.photos.append((photo, relative))
        seen.add(real)
