"""The unit in which noise and errors are said, whatever depth the pixels have."""

from __future__ import annotations

GREY_LEVELS = 255.0  # sigma and PSNR are always said in 8-bit grey levels
