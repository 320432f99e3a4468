"""The pages: the only package that knows Gradio."""

from deconvdemo.web import stubs

stubs.never_written()
