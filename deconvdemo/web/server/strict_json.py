"""JSON from outside, before anything else looks at it: what no page of ours sends is refused in a sentence."""

from __future__ import annotations

import json
from typing import Any

from deconvdemo.bounded import BoundsError, require_bounded
from deconvdemo.errors import ControlError

DEEPEST = 50  # lists and objects within each other


class JSONError(ControlError):
    """A text that is no JSON, or has in it what no value of ours can be."""


def strict_json(body: bytes | str) -> tuple[Any, bool]:
    """The value, and whether it had to be mended: half a character (a lone surrogate) becomes the sign for a lost one.

    JSONError for what is not JSON in UTF-8, for NaN and infinite numbers, too large ones, and too deep nesting.
    """
    try:
        value = json.loads(body.decode() if isinstance(body, bytes) else body)
        require_bounded(value, DEEPEST, whole_text=False)
    except RecursionError:
        raise JSONError(f"what was sent has values nested more than {DEEPEST} deep") from None
    except BoundsError as error:
        raise JSONError(f"what was sent {error}") from None
    except ValueError:
        raise JSONError("what was sent is not JSON in UTF-8, or has a number of thousands of digits") from None
    mended = _mended(value)
    return mended, mended != value


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_mended(item) for item in value]
    if isinstance(value, dict):
        return {_mended(key): _mended(item) for key, item in value.items()}
    return value
