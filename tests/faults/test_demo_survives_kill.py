"""Law 7 by HTTP: what a real demo acknowledged before it was killed is stored and published once."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import kills


@pytest.mark.timeout(300)
def test_flags_by_http_survive_kill_9(tmp_path):
    """Two hundred kills, on PostgreSQL, too: benchmarks/kills.py."""
    seed = random.randrange(1_000_000)
    outcome = kills.attack(tmp_path, kills=1, minutes=3, seed=seed)
    assert not outcome.wrong, f"seed {seed}: {outcome}"
    assert outcome.kills == 1
    assert outcome.published >= outcome.acknowledged >= 2
