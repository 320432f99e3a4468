"""The unit in which noise and errors are said, whatever depth the pixels have."""

from __future__ import annotations

LUMA = (0.299, 0.587, 0.114)  # of red, green and blue, by ITU-R BT.601, as JPEG has it
GREY_LEVELS = 255.0  # sigma and PSNR are always said in 8-bit grey levels
