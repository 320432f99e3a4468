"""What harms a photo, judged from the photo alone: what Auto chooses by, and tells."""

from __future__ import annotations

from dataclasses import dataclass

FAINT = 1.0  # grey levels: what moves pixels by less is nothing to remove
NOISY = 0.3  # grey levels: from here on what disturbs is noise, too, not JPEG alone
SOFT = 1.0  # pixels
# of a JPEG file's quality: up to here its tables leave traces, whatever the pixels seem to show, and no noise stays
# white. A finer file's tables say nothing of what the photo went through before: its pixels have the word, as a PNG's
COARSE = 95
EVEN = 0.3  # grey levels: photos, however soft, show more; plain colour, in which JPEG leaves nothing, shows less


def ramp(value: float, start: float, end: float) -> float:
    """0 up to `start`, 1 from `end` on, and even between them."""
    return min(max((value - start) / (end - start), 0.0), 1.0)


@dataclass(frozen=True)
class Harm:
    """Levels are in 8-bit grey levels, root mean square."""

    level: float  # how far all of it together moves a pixel
    noise: float  # how far noise does
    white: float  # how likely it is white noise and nothing else, 0 to 1
    jpeg: float  # how likely there are traces of JPEG, 0 to 1
    blur: float  # sigma in pixels of a Gaussian blur as soft as the photo is; 0: sharp
    quality: int | None = None  # what a JPEG file's own tables say, 1 to 100; None: there are only the pixels

    @property
    def is_white(self) -> bool:
        """Noise of one strength everywhere, each pixel for itself."""
        return self.white > 0.5 and not self.is_marked

    @property
    def is_faint(self) -> bool:
        """Nothing that could be removed without removing more of the photo."""
        return not (self.is_white or self.is_noisy or self.is_marked) and self.level < FAINT

    @property
    def is_noisy(self) -> bool:
        return self.noise >= NOISY

    @property
    def is_compressed(self) -> bool:
        """By the file's own tables or, where they leave it open, by the pixels."""
        return self.is_marked or (self.jpeg > 0.5 and not self.is_white)

    @property
    def is_marked(self) -> bool:
        """By its file, for certain."""
        return self.quality is not None and self.quality <= COARSE and self.level >= EVEN

    @property
    def is_soft(self) -> bool:
        return self.blur >= SOFT

    def in_words(self) -> str:
        """ "JPEG traces (quality 75), camera noise of about 9" """
        file = "" if self.quality is None else f" (quality {self.quality})"
        seen = [f"JPEG traces{file}"] if self.is_compressed else []
        if self.is_white:
            seen.append(f"even noise of about {max(self.noise, 1):.0f}")
        elif self.is_noisy:
            seen.append("faint camera noise" if self.noise < 1 else f"camera noise of about {self.noise:.0f}")
        return ", ".join(seen) or "a clean photo"
