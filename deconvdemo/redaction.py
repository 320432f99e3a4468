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


def _named(source: Any) -> Any:
    """A file by its name, which may have spaces: its folders may, too, and no pattern tells where such a path ends."""
    if not isinstance(source, str) or ("://" in source and not source.startswith("file:")):
        return source
    return re.split(r"[/\\]", source.rstrip("/\\"))[-1]


def for_strangers(value: Any) -> Any:
    """The same JSON-able value with texts that name no places; of a file that is a `source`, the name alone."""
    if isinstance(value, dict):
        return {name: for_strangers(_named(item) if name == "source" else item) for name, item in value.items()}
    if isinstance(value, list):
        return [for_strangers(item) for item in value]
    return without_places(value) if isinstance(value, str) else value
