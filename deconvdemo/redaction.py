"""What strangers are not told: where files are on this machine, and passwords in addresses."""

from __future__ import annotations

import re
from typing import Any

# "/home/ada/weights/denoise.safetensors" in a sentence, but neither hf://owner/repo, a URL, nor "and/or"
_PATH = re.compile(r"(?<![\w/:.])/(?:[^\s/'\"<>|:;,()]+/)+([^\s/'\"<>|:;,()]*)")
_WINDOWS_PATH = re.compile(r"\b[A-Za-z]:\\(?:[^\s\\'\"<>|:;,()]+\\)*([^\s\\'\"<>|:;,()]*)")
_PASSWORD = re.compile(r"(\w://)[^\s/@]*@")


def without_places(text: str) -> str:
    """The text with files' names in place of their paths, and without whoever signs in in an address."""
    return _PASSWORD.sub(r"\1", _WINDOWS_PATH.sub(r"\1", _PATH.sub(r"\1", text)))


def for_strangers(value: Any) -> Any:
    """The same JSON-able value with texts that name no places."""
    if isinstance(value, dict):
        return {name: for_strangers(item) for name, item in value.items()}
    if isinstance(value, list):
        return [for_strangers(item) for item in value]
    return without_places(value) if isinstance(value, str) else value
