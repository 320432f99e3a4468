"""How large a pixel is meant to be: the same fact in JPEG's, PNG's, TIFF's and EXIF's words."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from fractions import Fraction

_METRE = 0.0254  # an inch
_CM = 2.54  # an inch
_TIFF_NO_UNIT, _TIFF_INCH, _TIFF_CM = 1, 2, 3


@dataclass(frozen=True)
class Resolution:
    """Pixels per inch, across and down; or, where `per_inch` is false, only how the two relate to each other.

    A picture that is enlarged keeps it: the print grows, the dots stay as fine as they were said to be.
    """

    across: float
    down: float
    per_inch: bool = True

    @classmethod
    def stated(cls, across: float, down: float, per_inch: bool = True) -> Resolution | None:
        """None for what says nothing: zero, infinite or negative figures, or pixels that are square anyway."""
        if not all(math.isfinite(value) and value > 0 for value in (across, down)):
            return None
        return None if not per_inch and across == down else cls(float(across), float(down), per_inch)

    @classmethod
    def of_jfif(cls, unit: int, across: int, down: int) -> Resolution | None:
        scale = _CM if unit == 2 else 1
        return cls.stated(across * scale, down * scale, unit in (1, 2))

    @classmethod
    def of_phys(cls, data: bytes) -> Resolution | None:
        """From the data of PNG's pHYs chunk, which counts in whole pixels a metre (300 dpi are 11811)."""
        if len(data) != 9:
            return None
        across, down, unit = struct.unpack(">IIB", data)
        if unit != 1:
            return cls.stated(across, down, per_inch=False)
        return cls.stated(_nearly_whole(across * _METRE), _nearly_whole(down * _METRE))

    @classmethod
    def of_tiff(cls, unit: int, across: float, down: float) -> Resolution | None:
        scale = _CM if unit == _TIFF_CM else 1
        return cls.stated(across * scale, down * scale, unit != _TIFF_NO_UNIT)

    def turned(self) -> Resolution:
        """Of the picture turned by 90°."""
        return Resolution(self.down, self.across, self.per_inch)

    def jfif(self) -> bytes:
        """The five bytes of a JFIF header: unit, across, down."""
        largest = max(self.across, self.down)
        scale = 1.0 if self.per_inch or min(self.across, self.down) >= 1 else 100.0
        scale = min(scale, 65535 / largest)
        pair = (min(65535, max(1, round(value * scale))) for value in (self.across, self.down))
        return struct.pack(">BHH", self.per_inch, *pair)

    def phys(self) -> bytes:
        scale = 1 / _METRE if self.per_inch else 1.0
        pair = (min(0x7FFFFFFF, max(1, round(value * scale))) for value in (self.across, self.down))
        return struct.pack(">IIB", *pair, self.per_inch)

    def tiff(self) -> tuple[int, tuple[int, int], tuple[int, int]]:
        """TIFF's unit and the two fractions, of whole numbers below 2³²."""
        fractions = (Fraction(min(value, 4e9)).limit_denominator(1000) for value in (self.across, self.down))
        across, down = ((max(1, f.numerator), f.denominator) for f in fractions)
        return (_TIFF_INCH if self.per_inch else _TIFF_NO_UNIT), _bounded(across), _bounded(down)

    def __str__(self) -> str:
        same = self.across == self.down
        figures = f"{self.across:.6g}" if same else f"{self.across:.6g}×{self.down:.6g}"
        return f"{figures} dpi" if self.per_inch else f"pixels of {self.down:.6g}:{self.across:.6g}"


def _bounded(fraction: tuple[int, int]) -> tuple[int, int]:
    numerator, denominator = fraction
    return (numerator, denominator) if numerator < 1 << 32 else (numerator // denominator, 1)


def _nearly_whole(dpi: float) -> float:
    """300 for 299.9994: a whole number of pixels a metre says it no better than to a hundredth."""
    return float(round(dpi)) if abs(dpi - round(dpi)) <= _METRE / 2 and round(dpi) else dpi
