"""What a machine does not have: tests that need it are skipped, loudly; where CI is set, they fail."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def missing(what_to_do: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(what_to_do, pytrace=False)
    pytest.skip(what_to_do)
