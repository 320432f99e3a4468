"""Which deconvdemo this is; by itself, since those on the ground floor say it, too."""

__version__ = "0.1.0"
