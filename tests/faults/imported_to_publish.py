"""Imports what a process that publishes needs, also what is otherwise imported at the first use: it is to be forked."""

import alembic.command  # noqa: F401
import datasets  # noqa: F401
import huggingface_hub.hf_api  # noqa: F401
import PIL.Image
import pyarrow.parquet  # noqa: F401
import sqlalchemy.dialects.sqlite  # noqa: F401

import deconvdemo.feedback.dataset.publish  # noqa: F401

PIL.Image.init()
