"""Law 7: an acknowledged flag is never lost, whatever is killed, whenever (kill -9 gives no warning)."""

from __future__ import annotations

import hashlib
import multiprocessing
import random
import time
from io import BytesIO
from pathlib import Path

from PIL import Image

from deconvdemo.feedback.events.records import Flag
from deconvdemo.feedback.store.store import FeedbackStore

ROUNDS = 15

# forked from a server that has imported all this already: a round takes milliseconds
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["deconvdemo.feedback.store.store", "PIL.Image"])


def picture(seed: str) -> bytes:
    file = BytesIO()
    Image.frombytes("L", (64, 64), hashlib.shake_256(seed.encode()).digest(64 * 64)).save(file, "PNG")
    return file.getvalue()


def flag_of(number: int) -> Flag:
    return Flag(
        "denoise",
        observed=picture(f"observed {number}"),
        restored=picture(f"restored {number}"),
        reasons=("other",),
        comment=f"flag {number}",
        client_token=f"token {number}",
    )


def flag_until_killed(data_dir: Path, number: int, acknowledged) -> None:
    store = FeedbackStore(data_dir, min_free_mb=0)
    while True:
        acknowledged.send((number, store.add(flag_of(number)).flag_id))
        number += 1


def test_acknowledged_flags_survive_kill_9(tmp_path):
    seed = random.randrange(1_000_000)
    moments = random.Random(seed)
    acknowledged: dict[int, str] = {}
    for _ in range(ROUNDS):
        receiver, sender = PROCESSES.Pipe(duplex=False)
        # the flag that was being saved when the last one was killed is sent again, with its token
        child = PROCESSES.Process(target=flag_until_killed, args=(tmp_path, len(acknowledged), sender))
        child.start()
        sender.close()
        receiver.poll(10)  # it works: kill it a moment later
        time.sleep(moments.uniform(0, 0.1))
        child.kill()
        child.join()
        assert child.exitcode == -9
        try:
            while True:
                number, flag_id = receiver.recv()
                acknowledged[number] = flag_id
        except EOFError:
            receiver.close()

    assert len(acknowledged) >= ROUNDS, f"seed {seed}: too few flags for the test to mean something"
    stored = list(FeedbackStore(tmp_path).flags())
    # one flag may have been saved without the child living to say so
    assert 0 <= len(stored) - len(acknowledged) <= 1, f"seed {seed}"
    for number, flag in enumerate(stored):
        assert acknowledged.get(number, flag.flag_id) == flag.flag_id, f"seed {seed}: flag {number}"
        expected = flag_of(number)
        assert (flag.observed, flag.restored) == (expected.observed, expected.restored), f"seed {seed}"
        assert (flag.comment, flag.client_token) == (expected.comment, expected.client_token)
    FeedbackStore(tmp_path).add(flag_of(len(stored)))
