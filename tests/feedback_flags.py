"""Small flags to test the feedback with: flag number n always has the same images."""

from __future__ import annotations

import hashlib
from io import BytesIO

from PIL import Image

from deconvdemo.feedback.events.records import Flag


def picture(seed: object, side: int = 8, format: str = "PNG", **options) -> bytes:
    pixels = hashlib.shake_256(repr(seed).encode()).digest(side * side)
    file = BytesIO()
    Image.frombytes("L", (side, side), pixels).convert("RGB").save(file, format, **options)
    return file.getvalue()


def flag_of(number: int, **fields) -> Flag:
    given = {"task": "denoise", "reasons": ("seams",), "client_token": f"token-{number}", **fields}
    given.setdefault("observed", picture(("observed", number)))
    given.setdefault("restored", picture(("restored", number), format="WEBP", lossless=True))
    return Flag(**given)


# what spreadsheets, browsers, terminals and databases trip over
NASTY_COMMENTS = [
    "<script>alert(1)</script> & <img src=x onerror=alert(1)>",
    '=HYPERLINK("http://example.org","click")',
    "+1-1@SUM(A1)",
    "'; DROP TABLE flags; --",
    "هذا غير واضح ‏(RTL) ‮reversed",
    "👩‍👩‍👧‍👦 🏳️‍🌈 and 漢字, ñ, ﷽",
    "two\nlines\tand a tab",
    "{curly} %s \\n $HOME `ls`",
    "NULL",
]
