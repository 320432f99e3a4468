"""Who may compute when: places, memory, the waiting rooms, and whose turn the compute thread's is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial

import numpy as np
import pytest
from demo_app import bomb, png
from tiny import picture

from deconvdemo.engine.admission import Admission, Asker, asked_by, expected_bytes
from deconvdemo.engine.worker import Share, Worker
from deconvdemo.errors import BusyError, LeftError
from deconvdemo.image.recognition import stated
from deconvdemo.web.components.painter import mask_file

LARGE, SMALL = 1000, 10


@pytest.fixture
def admission() -> Admission:
    return Admission(places=4, room=8, memory=2500, small=100)


def test_there_are_so_many_places_and_who_waits_comes_next(admission):
    with ExitStack() as held:
        first = [held.enter_context(admission.asking(SMALL)) for _ in range(3)]
        with admission.asking(SMALL) as last:
            with admission.asking(SMALL) as waits:
                assert all(seat.wait(0) for seat in (*first, last))
                assert not waits.wait(0)
            assert admission.under_way() == 4


def test_large_ones_share_the_memory_and_leave_room_for_small_ones(admission):
    with admission.asking(LARGE) as one, admission.asking(LARGE) as two, admission.asking(LARGE) as three:
        assert (one.wait(0), two.wait(0), three.wait(0)) == (True, True, False)
        with admission.asking(SMALL) as small, admission.asking(SMALL) as other:
            assert small.wait(0)
            assert other.wait(0)


def test_one_that_is_larger_than_the_memory_has_it_alone(admission):
    with admission.asking(LARGE) as before, admission.asking(9999) as huge, admission.asking(LARGE) as after:
        assert (before.wait(0), huge.wait(0), after.wait(0)) == (True, False, False), "large ones come in their order"
    with admission.asking(9999) as huge, admission.asking(LARGE) as after:
        assert (huge.wait(0), after.wait(0)) == (True, False)


def test_a_stream_of_small_ones_does_not_keep_a_large_one_out(admission):
    with ExitStack() as held:
        early = [ExitStack() for _ in range(4)]
        for one in early:
            held.enter_context(one)
            one.enter_context(admission.asking(SMALL))
        large = held.enter_context(admission.asking(LARGE))
        late = held.enter_context(admission.asking(SMALL))
        early[0].close()
        assert large.wait(0)
        assert not late.wait(0)


def test_a_visitor_with_many_waits_for_one_with_none(admission):
    with ExitStack() as held:
        first = ExitStack()
        first.enter_context(admission.asking(SMALL, ("many", "")))
        for _ in range(3):
            held.enter_context(admission.asking(SMALL, ("many", "")))
        waits = held.enter_context(admission.asking(SMALL, ("many", "")))
        other = held.enter_context(admission.asking(SMALL, ("other", "")))
        first.close()
        assert other.wait(0)
        assert not waits.wait(0)


def test_a_full_waiting_room_is_a_sentence_and_one_visitor_does_not_fill_it(admission):
    with ExitStack() as held:
        for _ in range(4 + 4):
            held.enter_context(admission.asking(SMALL, ("many", "")))
        with pytest.raises(BusyError, match="try again"), admission.asking(SMALL, ("many", "")):
            pass
        for i in range(4):
            held.enter_context(admission.asking(SMALL, (f"other {i}", "")))
        with pytest.raises(BusyError), admission.asking(SMALL, ("late", "")):
            pass
        held.enter_context(admission.asking(LARGE, ("late", "")))  # large ones wait elsewhere


def test_who_leaves_while_waiting_frees_the_seat(admission):
    left = threading.Event()
    with ExitStack() as held:
        for _ in range(4):
            held.enter_context(admission.asking(SMALL))
        threading.Timer(0.3, left.set).start()
        with pytest.raises(LeftError), admission.place(SMALL, Asker(left=left.is_set)):
            pass
    with admission.place(SMALL):
        assert admission.under_way() == 1


def test_work_ends_at_the_next_tile_when_its_visitor_has_left(tiny_weights):
    from deconvdemo.checkpoints.serving import Weights
    from deconvdemo.engine.device import Compute
    from deconvdemo.engine.restorer import Restorer

    restorer = Restorer(Weights(tiny_weights), Compute("cpu", "fp32", "a test"), tile=32)
    left = threading.Event()
    with asked_by(Asker(left=left.is_set)):
        steps = restorer.steps("denoise", picture(64, 96), sigma=20)
        next(steps)
        next(steps)
        left.set()
        with pytest.raises(LeftError, match="has left"):
            next(steps)


@pytest.mark.parametrize(
    ("pixels", "options"),
    [(picture(37, 53), {}), (picture(37, 53, 4), {}), (picture(37, 53, 1, np.uint16), {})],
)
def test_a_file_says_what_it_will_take(pixels, options):
    size = stated(png(pixels))
    assert size is not None
    assert (size.height, size.width, size.bytes) == (*pixels.shape[:2], pixels.nbytes)
    assert expected_bytes([png(pixels)], 2) > expected_bytes([png(pixels)], 1) > expected_bytes([None])
    mask = pixels[..., 0] > 127  # as the painter gives it: what is small need not wait for what is large
    assert expected_bytes([mask]) == expected_bytes([mask_file(mask)])


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xd8" + b"\xff\xe0\0\2" * 1_000_000,
        b"\xff\xd8" + b"\xff\xe0\0\0" * 1_000_000,
        b"II*\0\x08\0\0\0" + b"\0\0" + b"\x08\0\0\0",  # a directory that comes after itself
    ],
)
def test_headers_without_end_are_not_followed(data):
    assert stated(data) is None


def test_what_does_not_say_its_size_counts_as_the_largest_and_what_will_be_refused_as_nothing(tmp_path):
    assert expected_bytes([b"II*\0\x08\0\0\0\xff\xff"], 1, 1_000_000) > 1_000_000
    assert expected_bytes([bomb()], 1, 1_000_000) == expected_bytes([], 1, 1_000_000)
    (tmp_path / "photo.png").write_bytes(png(picture(40, 40)))
    assert stated(tmp_path / "photo.png") == stated(png(picture(40, 40)))
    assert stated(tmp_path / "none.png") is None


def test_a_small_photo_passes_large_ones_on_the_compute_thread():
    """It has had nothing yet, the others much: it waits for the tile that is under way, and for no other."""
    done, others = in_turns(Worker(), ["small"])
    assert done.index("small") <= 2
    assert len(done) == others + 1


def test_a_stream_of_small_photos_keeps_no_large_one_out():
    done, others = in_turns(Worker(longest=0.1), [f"small {i}" for i in range(20)])
    last = max(i for i, name in enumerate(done) if name.startswith("small"))
    assert sum(name.startswith("large") for name in done[:last]) >= 4
    assert len(done) == others + 20


def in_turns(worker: Worker, small: list[str]) -> tuple[list[str], int]:
    """What was done, in its order, once these small ones had come, one after another; and how much of large ones."""
    done: list[str] = []
    begun = threading.Event()

    def work(name: str) -> None:
        begun.set()
        time.sleep(0.02)
        done.append(name)

    def large(name: str) -> None:
        share = Share()
        share.seconds = 100.0
        for _ in range(10):
            worker.compute(lambda: work(name), share)

    threads = [threading.Thread(target=large, args=(f"large {i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    begun.wait()
    time.sleep(0.03)
    before = len(done)
    for name in small:
        worker.compute(partial(work, name))
    for thread in threads:
        thread.join(20)
    return done[before:], 40 - before


def in_layers(worker: Worker, layers: int, done: list[str], name: str, seconds: float = 0.01) -> None:
    for _ in range(layers):
        worker.give_way()
        time.sleep(seconds)
        done.append(name)


def begun(worker: Worker, job: Callable[[], None], share: Share | None = None) -> Future:
    """The job, once it is under way."""
    started = ThreadPoolExecutor(1).submit(worker.compute, job, share)
    while not worker._under_way:
        time.sleep(0.001)
    return started


def test_a_small_photo_passes_between_two_layers_of_a_large_ones_tile():
    worker, done = Worker(), []
    large = begun(worker, lambda: in_layers(worker, 50, done, "large"))
    worker.compute(lambda: in_layers(worker, 2, done, "small"))
    assert not large.done()
    large.result()
    assert (done.count("large"), done.count("small")) == (50, 2)
    first = done.index("small")
    assert done[first : first + 2] == ["small", "small"], "no third one comes between: each keeps its memory"


def test_a_tile_lends_others_so_much_time_and_no_more():
    worker, done = Worker(longest=0.1), []
    large = begun(worker, lambda: in_layers(worker, 30, done, "large"))
    others = [
        ThreadPoolExecutor(1).submit(worker.compute, lambda: in_layers(worker, 2, done, "small", 0.03))
        for _ in range(20)
    ]
    large.result()
    assert sum(other.done() for other in others) <= 4
    for other in others:
        other.result()


def test_a_tile_ends_between_two_layers_when_nobody_waits_for_it():
    worker, done, left = Worker(), [], threading.Event()
    large = begun(worker, lambda: in_layers(worker, 1000, done, "large"), Share(left.is_set))
    left.set()
    with pytest.raises(LeftError):
        large.result(5)
    assert len(done) < 900
    worker.compute(lambda: in_layers(worker, 1, done, "next"))
    assert done[-1] == "next"


def test_who_lets_others_pass_gets_the_same_result(tiny_weights):
    from deconvdemo.checkpoints.serving import Weights
    from deconvdemo.engine.device import Compute
    from deconvdemo.engine.restorer import Restorer

    for precision in ("fp32", "bf16"):
        restorer = Restorer(Weights(tiny_weights), Compute("cpu", precision, "a test"))
        plain = Restorer(Weights(tiny_weights), Compute("cpu", "fp32", "a test"))
        photo, small = picture(300, 300), picture(24, 24)
        alone = restorer.restore("denoise", photo, sigma=20).photo.pixels
        expected = plain.restore("denoise", small, sigma=20).photo.pixels
        with ThreadPoolExecutor(1) as pool:
            large = pool.submit(restorer.restore, "denoise", photo, sigma=20)
            while not large.done():
                assert np.array_equal(plain.restore("denoise", small, sigma=20).photo.pixels, expected)
        assert np.array_equal(large.result().photo.pixels, alone)
