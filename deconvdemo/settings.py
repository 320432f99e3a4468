"""What the outside may set, read from the environment once, by the doors (app.py, cli.py) alone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from deconvdemo.errors import ControlError


def _setting(default, variable: str, meaning: str, else_from: str = ""):
    """`else_from` is another program's variable that is read where ours is not set."""
    return field(default=default, metadata={"variable": variable, "meaning": meaning, "else_from": else_from})


@dataclass(frozen=True)
class Settings:
    """Every setting of the app. `Settings.from_environment()` reads the variables named here; all are optional."""

    # a Space sets Gradio's two variables: there the demo must listen to all addresses
    host: str = _setting("127.0.0.1", "DECONVDEMO_HOST", "address the demo listens on", "GRADIO_SERVER_NAME")
    port: int = _setting(7860, "DECONVDEMO_PORT", "port the demo listens on", "GRADIO_SERVER_PORT")
    data_dir: Path = _setting(
        Path("data"), "DECONVDEMO_DATA_DIR", "folder for feedback, uploads, recent results and training caches"
    )
    max_pixels: int = _setting(
        50_000_000, "DECONVDEMO_MAX_PIXELS", "largest photo, and largest upscaled result, in pixels"
    )
    max_upload_mb: int = _setting(100, "DECONVDEMO_MAX_UPLOAD_MB", "largest uploaded file, in MB")
    weights_repo: str = _setting(
        "",
        "DECONVDEMO_WEIGHTS_REPO",
        "Hub model repo, `owner/repo[@revision]`, whose weights replace the bundled ones once fetched",
    )
    weights_every: float = _setting(
        300.0, "DECONVDEMO_WEIGHTS_EVERY", "seconds between two looks at that repo for newer weights, at least 1"
    )
    database_url: str = _setting(
        "", "DECONVDEMO_DATABASE_URL", "SQLAlchemy URL of the feedback rows; empty: SQLite in the data folder"
    )
    blobs_url: str = _setting(
        "",
        "DECONVDEMO_BLOBS_URL",
        "fsspec URL of the folder or bucket for the flags' images, like `s3://bucket/folder`; empty: the data folder",
    )
    feedback_repo: str = _setting(
        "",
        "DECONVDEMO_FEEDBACK_REPO",
        "Hub dataset repo, `owner/repo`, that feedback is published to; needs `HF_TOKEN`; empty: it stays here",
    )
    publish_every: float = _setting(
        300.0, "DECONVDEMO_PUBLISH_EVERY", "seconds between two publications of new feedback"
    )
    commits_per_hour: int = _setting(
        20, "DECONVDEMO_COMMITS_PER_HOUR", "most commits an hour to the dataset repo, by this database's processes"
    )
    feedback_mb: int = _setting(20_000, "DECONVDEMO_FEEDBACK_MB", "room for the flags' images, in MB")
    flags_per_visitor: int = _setting(
        60, "DECONVDEMO_FLAGS_PER_VISITOR", "most flags, and most votes, of one visitor in an hour"
    )
    flags_per_hour: int = _setting(2000, "DECONVDEMO_FLAGS_PER_HOUR", "most flags, and most votes, of all in an hour")
    review_password: str = _setting(
        "",
        "DECONVDEMO_REVIEW_PASSWORD",
        "opens `/review` to whoever has it; empty: to whoever has the link that the demo prints, on this machine alone",
    )
    reviewers: str = _setting(
        "",
        "DECONVDEMO_REVIEWERS",
        "Hugging Face users, with commas between, who may sign in to `/review`; on a Space with `hf_oauth: true`",
    )
    oauth_client: str = _setting(
        "", "DECONVDEMO_OAUTH_CLIENT_ID", "a Space with `hf_oauth: true` sets it", "OAUTH_CLIENT_ID"
    )
    owners: str = _setting(
        "",
        "DECONVDEMO_OWNERS",
        "those of the reviewers who sign in with Hugging Face, with commas between, whose verdict decides",
    )
    owner_password: str = _setting(
        "",
        "DECONVDEMO_OWNER_PASSWORD",
        "in place of the reviewers' password it signs an owner in, whose verdict decides",
    )
    moderate: str = _setting(
        "on",
        "DECONVDEMO_MODERATE",
        "on: a flag is published only once a reviewer has let it pass; off: every flag that nobody withholds",
    )
    verdicts_needed: int = _setting(1, "DECONVDEMO_VERDICTS_NEEDED", "how many reviewers a flag should have")
    behind_proxy: str = _setting(
        "",
        "DECONVDEMO_BEHIND_PROXY",
        "if set, a visitor's address is what a proxy says (`X-Forwarded-For`), as on a Space",
        "SPACE_ID",
    )
    root_path: str = _setting(
        "",
        "DECONVDEMO_ROOT_PATH",
        "where a proxy shows the demo, if not at its root: `/demo`, or `https://example.org/demo`",
        "GRADIO_ROOT_PATH",
    )
    allow_origins: str = _setting(
        "",
        "DECONVDEMO_ALLOW_ORIGINS",
        "other sites whose pages may use or show the demo, with commas between, like `https://example.org`",
    )
    results_hours: float = _setting(
        24.0, "DECONVDEMO_RESULTS_HOURS", "how long a result can be downloaded and flagged, in hours"
    )
    results_mb: int = _setting(2000, "DECONVDEMO_RESULTS_MB", "disk for recent results in MB; the oldest go first")
    uploads_mb: int = _setting(
        2000,
        "DECONVDEMO_UPLOADS_MB",
        "disk for uploaded photos in MB; when it is full, new ones are refused a while",
    )
    min_free_mb: int = _setting(
        200,
        "DECONVDEMO_MIN_FREE_MB",
        "free disk, in MB, below which flags are refused rather than half written",
    )
    device: str = _setting("auto", "DECONVDEMO_DEVICE", "auto, cpu, cuda or mps")
    precision: str = _setting("auto", "DECONVDEMO_PRECISION", "auto, fp32, bf16 or fp16")

    @property
    def moderated(self) -> bool:
        """Whether flags stay private until a reviewer lets them pass. ControlError for what is neither on nor off."""
        if self.moderate not in ("on", "off"):
            raise ControlError(f"DECONVDEMO_MODERATE is {self.moderate!r}, but it is on or off: correct or unset it")
        return self.moderate == "on"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Raises ControlError, naming the variable, for a value that is not of its setting's type."""
        values = {}
        for setting in fields(cls):
            variables = (setting.metadata["variable"], setting.metadata["else_from"])
            variable = next((name for name in variables if environment.get(name, "").strip()), None)
            if variable is None:
                continue
            text = environment[variable].strip()
            try:
                values[setting.name] = type(setting.default)(text)  # type: ignore[misc]
            except ValueError:
                raise ControlError(
                    f"{variable} is {text!r}, but it takes a value like {setting.default!r}: correct or unset it"
                ) from None
        return cls(**values)

    @classmethod
    def table(cls) -> str:
        """The README's table of settings, in Markdown (a test compares the two)."""
        rows = ["| variable | default | meaning |", "|---|---|---|"]
        for setting in fields(cls):
            shown = f"`{setting.default}`" if str(setting.default) else "–"
            rows.append(f"| `{setting.metadata['variable']}` | {shown} | {setting.metadata['meaning']} |")
        return "\n".join(rows)
