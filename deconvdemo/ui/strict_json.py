"""JSON from outside, before anything else looks at it: what no page of ours sends is refused in a sentence."""

from __future__ import annotations

import json
import math
from typing import Any

from deconvdemo.errors import ControlError

DEEPEST = 50  # lists and objects within each other
LARGEST = 2**63  # of a whole number: databases and encoders take no larger ones


class JSONError(ControlError):
    """A text that is no JSON, or has in it what no value of ours can be."""


def strict_json(body: bytes | str) -> tuple[Any, bool]:
    """The value, and whether it had to be mended: half a character (a lone surrogate) becomes the sign for a lost one.

    JSONError for what is not JSON in UTF-8, for NaN and infinite numbers, too large ones, and too deep nesting.
    """
    try:
        value = json.loads(body.decode() if isinstance(body, bytes) else body)
    except RecursionError:
        raise _too_deep() from None
    except ValueError:
        raise JSONError("what was sent is not JSON in UTF-8, or has a number of thousands of digits") from None
    return _checked(value, 0)


def _checked(value: Any, depth: int) -> tuple[Any, bool]:
    if isinstance(value, str):
        return _whole(value)
    if isinstance(value, dict | list):
        if depth >= DEEPEST:
            raise _too_deep()
        if isinstance(value, list):
            items = [_checked(item, depth + 1) for item in value]
            mended = any(changed for _, changed in items)
            return ([item for item, _ in items] if mended else value), mended
        pairs = [(_whole(key), _checked(item, depth + 1)) for key, item in value.items()]
        mended = any(key[1] or item[1] for key, item in pairs)
        return ({key[0]: item[0] for key, item in pairs} if mended else value), mended
    if isinstance(value, float) and not math.isfinite(value):
        raise JSONError("a number is not finite: give one that is, or null")
    if isinstance(value, int) and abs(value) >= LARGEST:
        raise JSONError("a number has more than 18 digits: give a smaller one")
    return value, False


def _whole(text: str) -> tuple[str, bool]:
    if text.isascii():
        return text, False
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return whole, whole != text


def _too_deep() -> JSONError:
    return JSONError(f"what was sent is nested more than {DEEPEST} deep: no value here is")
