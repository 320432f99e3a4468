"""What two checkpoints did on the same images, side by side, and when that keeps the candidate out."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from deconvdemo.evaluation.protocols import CLEAN

TOLERANCE = 0.05  # dB that the mean of a validation set may lose
DOUBT = 0.15  # dB below which the interval's lower end must not lie
GAIN = 0.1  # dB that the mean on held-back flags must win
FEWEST_FLAGS = 3  # held-back flags that can tell anything
FLAGS = "held-back flags"
UNSEEN = 36.0  # dB: photos that had no noise may change so much, as by JPEG's quality 85, and few see it


@dataclass(frozen=True)
class Comparison:
    """One set and setting: PSNR in dB of both on the same images."""

    images: str  # the set's name, or FLAGS
    setting: str
    served: tuple[float, ...]
    candidate: tuple[float, ...]

    @property
    def differences(self) -> np.ndarray:
        return np.subtract(self.candidate, self.served)

    @property
    def mean(self) -> float:
        return float(self.differences.mean())

    @property
    def interval(self) -> tuple[float, float]:
        """95 %, of the mean difference, by Student's t."""
        from scipy import stats

        count = len(self.differences)
        error = float(self.differences.std(ddof=1)) / math.sqrt(count) if count > 1 else math.inf
        if not error:
            return self.mean, self.mean
        reach = float(stats.t.ppf(0.975, count - 1)) * error if count > 1 else math.inf
        return self.mean - reach, self.mean + reach

    @property
    def p_value(self) -> float:
        """Of a paired t-test that there is no difference; 1.0 where there is none at all."""
        from scipy import stats

        if len(self.differences) < 2 or not self.differences.any():
            return 1.0
        found = float(stats.ttest_rel(self.candidate, self.served).pvalue)
        return found if math.isfinite(found) else 0.0

    def refusal(self) -> str:
        """Why this alone keeps the candidate out, or ""."""
        low, high = self.interval
        where = f"{self.images} {self.setting}".strip()
        told = f"{self.mean:+.2f} dB, 95 % from {low:+.2f} to {high:+.2f}, on {len(self.served)} images"
        if self.setting == CLEAN:
            seen = np.mean(self.candidate) < min(UNSEEN, float(np.mean(self.served)) - TOLERANCE)
            return f"it changes {where} ({told}), where {UNSEEN:g} dB are asked for" if seen else ""
        if self.images == FLAGS:
            if len(self.served) < FEWEST_FLAGS:
                return f"{len(self.served)} held-back flags cannot tell whether it is better: {FEWEST_FLAGS} are needed"
            better = self.mean >= GAIN and low > 0
            return "" if better else f"it is not better on {where} ({told}), where {GAIN:+.2f} dB are asked for"
        worse = self.mean < -TOLERANCE or (high < 0 and low < -DOUBT)
        return f"it is worse on {where} ({told})" if worse else ""
