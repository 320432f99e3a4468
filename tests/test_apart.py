"""Files from somebody else: bounded in memory and time, whatever is in them; and the same photo as in this process."""

import ast
import contextlib
import dataclasses
import mmap
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from hostile_files import BOMBS, inflating_pixels, ordinary
from photo_files import SRGB, assert_same_picture, camera_exif, chunk, file_of, png, random_photo, tiff, with_chunks

from deconvdemo.errors import PhotoError, PhotoMemoryError
from deconvdemo.image.apart import OWN_FILES, STRANGERS, Pool, blocks
from deconvdemo.image.apart.answer import packed, unpacked
from deconvdemo.image.apart.pool import DecodingLimits
from deconvdemo.image.apart.process import Allowance, Child
from deconvdemo.image.photo import Photo
from deconvdemo.image.reading import read_photo
from deconvdemo.image.writing import encode_photo, to_pillow, write_photo

ROOT = Path(__file__).parent.parent
MAX_PIXELS = 50_000_000
SENTENCE = re.compile(r"the photo [^\n]+: [^\n]+")
GENEROUS = Allowance(1 << 30, 60.0)
linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture(scope="module")
def pool():
    pool = Pool(STRANGERS.limits)
    yield pool
    pool.close()


@pytest.fixture
def child():
    child = Child()
    yield child
    child.kill()


@pytest.fixture
def small_file(tmp_path):
    return write_photo(random_photo(), tmp_path / "a.png")


def read_by(child, path, allowed=GENEROUS):
    with open(path, "rb") as file:
        return child.photo(file, path.name, "PNG", MAX_PIXELS, allowed)


def said_of(child, path, allowed=GENEROUS):
    with pytest.raises(PhotoError) as raised:
        read_by(child, path, allowed)
    return str(raised.value)


def peak(child):
    """Bytes that it has held at most."""
    status = Path(f"/proc/{child.process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1000


# --- what is hostile -------------------------------------------------------------------------------------------


LEFT_TO_THE_LIMITS = {"inflating_pixels_16"}  # OpenCV inflates all that is there


@linux
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_costs_a_moment_and_little_memory(pool, name):
    data, before = BOMBS[name](), time.process_time()
    try:
        opened = pool.open(data, MAX_PIXELS)
    except PhotoError as error:
        said = str(error)  # some are photos, with much behind them
        assert SENTENCE.fullmatch(said)
    else:
        said = ""
        assert opened.pixels.size <= 8 * 8 * 3
    assert ("needs more" in said) == (name in LEFT_TO_THE_LIMITS), said  # the others are known by their headers
    assert time.process_time() - before < 3  # seconds of this process, which has others to serve
    for child in pool._idle:
        assert peak(child) < 400e6
        spent = Path(f"/proc/{child.process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        assert sum(map(int, spent)) / os.sysconf("SC_CLK_TCK") < 30
    assert pool.open(encode_photo(random_photo(), "PNG")).width == 5


def test_mutated_files_are_photos_or_sentences():
    """The short form of benchmarks/hostile.py."""
    command = [sys.executable, "benchmarks/hostile.py", "--count", "150", "--seed", "3"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("150 files: ")


# --- a child that does not answer ------------------------------------------------------------------------------


def test_what_takes_too_long_is_a_sentence_and_the_next_photo_is_opened(small_file, tmp_path):
    pool, slow = Pool(dataclasses.replace(STRANGERS.limits, seconds=0.1)), tmp_path / "slow.png"
    slow.write_bytes(inflating_pixels(16))
    with pytest.raises(PhotoError, match=r"slow\.png needs more time than a photo of its size should: export it"):
        pool.open(slow)
    assert pool.open(small_file).width == 5
    pool.close()


def test_what_hangs_is_a_sentence(child, small_file):
    child.process.send_signal(signal.SIGSTOP)
    assert "more time" in said_of(child, small_file, Allowance(1 << 30, -1.2))
    assert child.process.returncode == -signal.SIGKILL
    assert not child.usable


@linux
def test_what_needs_too_much_memory_is_a_sentence_and_the_next_photo_is_opened(child, small_file, tmp_path):
    large = tmp_path / "large.png"
    large.write_bytes(png(6000, 6000, 8, 2, zlib.compress(bytes(6000 * 18001), 1)))
    assert "large.png needs more memory than a photo of its size should" in said_of(
        child, large, Allowance(50 << 20, 9)
    )
    assert read_by(child, small_file).width == 5
    assert read_by(child, large).width == 6000


def test_memory_is_watched_from_here_where_a_system_does_not_limit_it(child, small_file, monkeypatch):
    looks = iter([50e6, 60e6, 900e6, 900e6])
    monkeypatch.setattr("deconvdemo.image.apart.process._resident", lambda pid: next(looks))
    child.limits_memory = False
    child.process.send_signal(signal.SIGSTOP)
    with pytest.raises(PhotoMemoryError, match="more memory"):
        read_by(child, small_file, Allowance(100 << 20, 60))


@pytest.mark.parametrize(
    ("killer", "words"), [(signal.SIGSEGV, "fell over"), (signal.SIGABRT, "fell over"), (signal.SIGKILL, "more memory")]
)
def test_a_child_that_is_killed_is_a_sentence_and_the_next_photo_is_opened(small_file, killer, words, tmp_path):
    pool, slow = Pool(OWN_FILES.limits), tmp_path / "slow.png"
    slow.write_bytes(inflating_pixels(16))
    assert pool.open(small_file).width == 5
    (child,) = pool._idle
    raised = []

    def open_file():
        try:
            pool.open(slow)
        except PhotoError as error:
            raised.append(str(error))

    opening = threading.Thread(target=open_file)
    opening.start()
    while pool._idle:
        time.sleep(0.01)
    time.sleep(0.3)
    child.process.send_signal(killer)
    opening.join(30)
    assert len(raised) == 1
    assert words in raised[0]
    assert pool.open(small_file).width == 5
    pool.close()


def test_a_child_that_died_while_it_waited_costs_no_photo(small_file):
    pool = Pool(STRANGERS.limits)
    pool.open(small_file)
    pool._idle[0].process.kill()
    assert pool.open(small_file).width == 5
    pool.close()


# --- what a child is -------------------------------------------------------------------------------------------


@linux
def test_nothing_of_this_process_is_in_the_child(small_file, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("DECONVDEMO_DATABASE_URL", "postgresql://secret")
    with open(small_file) as file:
        os.set_inheritable(file.fileno(), True)
        child = Child()
        read_by(child, small_file)
        place = Path(f"/proc/{child.process.pid}")
        assert b"secret" not in (place / "environ").read_bytes()
        assert b"HF_" not in (place / "environ").read_bytes()
        held = {os.readlink(descriptor).partition(":")[0] for descriptor in (place / "fd").iterdir()}
        assert held <= {"socket", "/dev/null"}
        child.kill()


@linux
@pytest.mark.parametrize("busy", [False, True])
def test_a_child_ends_with_its_parent(busy, tmp_path):
    slow = tmp_path / "slow.png"
    slow.write_bytes(inflating_pixels(16, 30_000) if busy else encode_photo(random_photo(), "PNG"))
    script = (
        "import threading, time; from deconvdemo.image.apart import OWN_FILES\n"
        f"threading.Thread(target=OWN_FILES.open, args=({str(slow)!r},)).start()\n"
        "time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT)
    pid = _until(lambda: _child_of(parent.pid))
    if busy:  # it holds the file while it decodes
        _until(lambda: _holds(pid, "slow.png"))
        time.sleep(0.3)
    parent.kill()
    parent.wait()
    _until(lambda: not Path(f"/proc/{pid}").exists() or "State:\tZ" in Path(f"/proc/{pid}/status").read_text(), 8)


def _child_of(parent):
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            if (
                int(file.read_text().rpartition(")")[2].split()[1]) == parent
                and b"apart" in (file.parent / "cmdline").read_bytes()
            ):
                return int(file.parent.name)
        except OSError:
            continue
    return None


def _holds(pid, name):
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed while we look
            if name in os.readlink(file):
                return True
    return False


def _until(asked, seconds=30):
    ends = time.monotonic() + seconds
    while not (found := asked()):
        assert time.monotonic() < ends, "it has not come"
        time.sleep(0.02)
    return found


def test_a_script_needs_no_guard(small_file):
    script = f"from deconvdemo.image.apart import OWN_FILES\nprint(OWN_FILES.open({str(small_file)!r}).width)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("5\n", "")


# --- the same photo --------------------------------------------------------------------------------------------


def files():
    deep = random_photo(dtype=np.uint16, alpha=True)
    floats = random_photo(dtype=np.float32)
    return ordinary() | {
        "PNG 16": encode_photo(deep, "PNG"),
        "PNG grey": encode_photo(random_photo(channels=1, alpha=True), "PNG"),
        "PNG chunks": with_chunks(
            encode_photo(random_photo(), "PNG"), (b"tEXt", b"a\0b"), (b"gAMA", b"\0\0\xb1\x8f"),
            (b"eXIf", camera_exif(6)[6:]),
            (b"iCCP", b"p\0\0" + zlib.compress(SRGB)), (b"pHYs", b"\0\0\x2e\x23\0\0\x2e\x23\1"), (b"zTXt", b"c\0\0d"),
        ),
        "PNG damaged": png(5, 4, 8, 2, zlib.compress(bytes(64)), chunk(b"tRNS", b"\0")),
        "JPEG turned": file_of(to_pillow(random_photo()), "JPEG", exif=camera_exif(6), dpi=(300, 300)),
        "TIFF alpha": encode_photo(deep, "TIFF"),
        "TIFF floats": tiff((floats.pixels, {"photometric": "rgb", "compression": "deflate", "tile": (16, 16)})),
        "TIFF negative": tiff((floats.pixels * 3 - 1, {"photometric": "rgb", "planarconfig": "separate"})),
    }  # fmt: skip


FILES = files()


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("of_bytes", [True, False])
def test_it_is_the_photo_that_this_process_reads(pool, name, of_bytes, tmp_path):
    path = tmp_path / "photo"
    path.write_bytes(FILES[name])
    source = FILES[name] if of_bytes else path
    here, apart = read_photo(source), pool.open(source)
    for field in dataclasses.fields(Photo):
        one, other = getattr(here, field.name), getattr(apart, field.name)
        assert type(one) is type(other)
        if isinstance(one, np.ndarray):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)
            assert other.flags.writeable
        else:
            assert one == other


def test_a_photo_stays_when_the_next_is_opened(pool):
    first, second = random_photo(1), random_photo(2)
    opened = pool.open(encode_photo(first, "PNG"))
    assert_same_picture(pool.open(encode_photo(second, "PNG")), second)
    assert_same_picture(opened, first)


@linux
def test_a_child_can_make_the_block_of_its_answers_neither_shorter_nor_longer(child):
    for size in (0, 1 << 30):
        with pytest.raises(PermissionError):
            os.ftruncate(child._kept.fileno(), size)


@pytest.mark.parametrize("source", ["missing.png", ".", "a\0b", b"", b"plain text", 7])
def test_refusals_are_those_of_this_process(pool, source):
    with pytest.raises(PhotoError) as here:
        read_photo(source)
    with pytest.raises(PhotoError) as apart:
        pool.open(source)
    assert str(here.value) == str(apart.value)


def test_what_is_in_memory_is_sent_nowhere(monkeypatch):
    monkeypatch.setattr("deconvdemo.image.apart.process.Child", None)
    photo, pool = random_photo(), Pool(STRANGERS.limits)
    for source in (photo, photo.pixels, to_pillow(photo)):
        assert pool.open(source).width == 5
    holes = np.eye(5, dtype=bool)
    np.testing.assert_array_equal(pool.read_mask(holes, 5, 5)[0], holes)


def test_a_mask_file_is_read_as_here(pool):
    data = file_of(to_pillow(random_photo()).convert("1"), "PNG")
    photo = read_photo(data)
    np.testing.assert_array_equal(pool.read_mask(data, 7, 5)[0], photo.pixels[..., 0] > 127)
    with pytest.raises(PhotoError, match="mask is 5×7 but the photo is 9×9"):
        pool.read_mask(data, 9, 9)


# --- an answer is not trusted ----------------------------------------------------------------------------------


def answer(**changed):
    told, parts = packed(random_photo(alpha=True, icc=b"profile"))
    block = np.zeros(told["size"], np.uint8)
    for offset, data in parts:
        block[offset : offset + len(data)] = np.frombuffer(data, np.uint8)
    return {**told, **changed}, block


@pytest.mark.parametrize(
    "changed",
    [
        {"pixels": ["object", [1], [0, 8]]}, {"pixels": ["uint8", [1000, 1000, 3], [0, 3_000_000]]},
        {"pixels": ["uint8", [7, 5, 3], [-1, 105]]}, {"pixels": ["uint8", [7, 5, 3], [0, 10]]},
        {"pixels": ["uint8", [7, 5, -3], [0, 105]]}, {"pixels": ["float64", [1], [0, 8]]}, {"pixels": None},
        {"pixels": ["uint8", [7, 5, True], [0, 35]]}, {"icc": [1 << 62, 4]}, {"icc": "no"}, {"format": "EXE"},
        {"resolution": [1]}, {"notes": 7}, {"texts": [["tEXt", 0, 1 << 40]]}, {"colour": [[]]},
        {"texts": [["é", 0, 1]]},
    ],
    ids=str,
)  # fmt: skip
def test_an_answer_that_is_not_what_it_says_is_refused(changed):
    assert unpacked(*answer()).icc == b"profile"
    with pytest.raises((ValueError, TypeError, KeyError)):
        unpacked(*answer(**changed))


@pytest.mark.parametrize(
    "said", [b"\0\0\0\2[]", b"\xff\xff\xff\xff", b"\0\0\0\2{}", b'\0\0\0\x0c{"size": 9}', b"\0", b"\0\0\0\2{}{"]
)
def test_a_child_that_says_something_else_is_a_sentence(child, small_file, said):
    child._connection.close()
    child._connection, theirs = socket.socketpair()
    theirs.sendall(said)
    theirs.shutdown(socket.SHUT_WR)
    assert "fell over" in said_of(child, small_file)
    assert not child.usable


# --- places ----------------------------------------------------------------------------------------------------


def test_waiting_for_a_place_has_an_end(small_file):
    pool = Pool(DecodingLimits(places=1, memory=1 << 30, together=1 << 30, small=1 << 30, seconds=9, patience=0.2))
    with pool._place(1 << 20), pytest.raises(PhotoError, match="too many photos are being opened at once: try again"):
        pool.open(small_file)
    assert pool.open(small_file).width == 5
    pool.close()


def test_large_photos_leave_a_place_and_room_to_small_ones():
    limits, pool = STRANGERS.limits, Pool(STRANGERS.limits)
    pool._held = [limits.memory]
    assert not pool._fits(limits.memory)
    assert pool._fits(limits.small)
    assert limits.memory + limits.small <= limits.together


def test_an_ordinary_photo_of_a_telephone_is_a_small_one():
    limits = STRANGERS.limits
    from deconvdemo.image.header import Facts

    assert limits.of(Facts(4032, 3024, 3), 6_000_000).memory <= limits.small
    assert OWN_FILES.limits.of(Facts(4032, 3024, 3), 6_000_000).seconds > 10


# the only places where the server's side decodes in its own process: files that this program has written or checked
TRUSTED = {
    "deconvdemo.evaluation.protocols": "test images of whoever runs the command",
    "deconvdemo.evaluation.articles": "test images of whoever runs the command",
    "deconvdemo.evaluation.generated": "test images of whoever runs the command",
    "deconvdemo.evaluation.variety": "validation images of whoever runs the command",
    "deconvdemo.evaluation.scratches": "test images of whoever runs the command",
    "deconvdemo.evaluation.contenders": "bundled photos, and published flags",
    "deconvdemo.evaluation.replaying": "stored flags",
    "deconvdemo.web.review.sent": "headers of stored flags",
    "deconvdemo.web.review.thumbnails": "stored flags",
    "deconvdemo.feedback.events.imagefile": "stored flags, and headers",
    "deconvdemo.feedback.review.likeness": "stored flags",
    "deconvdemo.feedback.review.lesson": "stored flags",
}


def test_what_others_bring_is_opened_apart():
    opens = re.compile(r"\b(Image\.open|read_photo|open_mask|read_mask|imdecode|TiffFile)\b")
    found = set()
    for package in ("web", "feedback", "engine", "evaluation"):
        for file in (ROOT / "deconvdemo" / package).rglob("*.py"):
            calls = (
                ast.unparse(node.func) for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)
            )
            if any(opens.search(call) and not re.search(r"STRANGERS|opener", call) for call in calls):
                found.add(".".join(file.relative_to(ROOT).with_suffix("").parts))
    assert found == set(TRUSTED)


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="this system has no files in memory")
def test_a_block_that_somebody_can_still_write_into_is_copied():
    """A system may hold a page for a moment, and then refuses to seal: the photo is not damaged for that."""
    with blocks.block_of_memory() as block:
        os.ftruncate(block, 100)
        with mmap.mmap(block, 100) as writable:
            writable[:] = bytes(range(100))
            found = blocks.contents(None, block, 100)
            writable[:] = bytes(100)
            assert found.tolist() == list(range(100))
