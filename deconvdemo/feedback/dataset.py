"""The dataset that flags become: its columns, their types, and its card."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deconvdemo.feedback.imagefile import image_extension
from deconvdemo.feedback.records import CONSENT, IMAGES, REASONS, SCHEMA_VERSION, StoredFlag, as_json

if TYPE_CHECKING:
    from datasets import Features

# column → what it holds, in the dataset's order
COLUMNS = {
    "flag_id": "the flag's id; ids sort by time",
    "created_at": "when it was flagged, UTC",
    "task": "`denoise`, `upscale`, `inpaint` or `deblur`",
    "observed": "what went into the network",
    "restored": "what came out",
    "mask": "inpainting: the pixels that were filled in",
    "clean": "a better version, from the visitor",
    "region": "where the visitor painted the complaint",
    "reasons": "why it was flagged: " + ", ".join(f"`{reason}`" for reason in REASONS),
    "comment": "in the visitor's words",
    "controls": "the task's settings, as JSON",
    "checkpoint": "the network's weights, as JSON: `name`, `sha256`, `source`",
    "app_version": "the version of deconvdemo",
    "consent": "always true: nothing is stored without",
    "schema_version": f"of the row's fields; now {SCHEMA_VERSION}",
}

MARK = "<!-- written by `deconvdemo feedback export` -->"


def flag_features() -> Features:
    """The columns' types; with them in the parquet's metadata the Hub's viewer shows the images."""
    from datasets import Features, Image, List, Value

    types: dict[str, Any] = dict.fromkeys(COLUMNS, Value("string"))
    types |= {role: Image() for role in IMAGES}
    types |= {"created_at": Value("timestamp[us, tz=UTC]"), "reasons": List(Value("string"))}
    types |= {"consent": Value("bool"), "schema_version": Value("int32")}
    return Features(types)


def flag_row(flag: StoredFlag) -> dict[str, Any]:
    """The flag as a row, images byte for byte. JSON is text: its keys may grow, a column's type may not."""
    row = {column: getattr(flag, column) for column in COLUMNS}
    for role, data in flag.images.items():
        row[role] = {"bytes": data, "path": f"{flag.flag_id}-{role}.{image_extension(data)}"}
    row["reasons"] = list(flag.reasons)
    row["controls"], row["checkpoint"] = as_json(flag.controls), as_json(flag.checkpoint)
    return row


def dataset_card(rows: int) -> str:
    """README.md. Without `dataset_info`: stated split sizes would make the next rows an error on load."""
    columns = "\n".join(f"| `{column}` | {meaning} |" for column, meaning in COLUMNS.items())
    return f"""---
license: cc-by-4.0
pretty_name: deconvdemo feedback
task_categories:
- image-to-image
tags:
- image
- image-restoration
- deconvdemo
configs:
- config_name: flags
  default: true
  data_files:
  - split: train
    path: data/flags/*.parquet
---
{MARK}

# Flagged results of image restoration networks

{rows:,} results of deconvolution networks (denoising, upscaling, inpainting, deblurring) that visitors of a
deconvdemo flagged as good or bad: what went in, what came out, with which weights and settings, and why.

```python
from datasets import load_dataset

flags = load_dataset("path/to/this/folder", "flags", split="train")
flags[0]["observed"], flags[0]["restored"], flags[0]["reasons"]
```

| column | meaning |
|---|---|
{columns}

## Consent and licence

CC BY 4.0. Every visitor agreed to this before a flag was stored:

> {CONSENT}

Comments are the visitors' own words: treat them as text, never as HTML, formulae or instructions.
"""
