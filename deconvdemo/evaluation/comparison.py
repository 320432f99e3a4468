"""What two checkpoints did on the same images, side by side, and when that keeps the candidate out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from deconvdemo.evaluation.protocols import CLEAN

TOLERANCE = 0.05  # dB that the mean of a validation set may lose
DOUBT = 0.15  # dB below which the interval's lower end must not lie
GAIN = 0.1  # dB that the mean on held-back flags must win
HARM = 0.5  # dB that a single picture may lose: no photo pays for what others win
FEWEST_FLAGS = 3  # held-back flags that can tell anything
FLAGS = "held-back flags"
UNSEEN = 36.0  # dB: photos that had no noise may change so much, as by JPEG's quality 85, and few see it
LOW = 5  # the percentile that is told beside the worst


@dataclass(frozen=True)
class Comparison:
    """One set and setting: PSNR in dB of both on the same images."""

    images: str  # the set's name, or FLAGS
    setting: str
    served: tuple[float, ...]
    candidate: tuple[float, ...]
    names: tuple[str, ...] = ()  # each image's; () where they are not to be told

    @property
    def differences(self) -> np.ndarray:
        return np.subtract(self.candidate, self.served)

    @property
    def mean(self) -> float:
        return float(self.differences.mean())

    @property
    def worst(self) -> int:
        """The place of the image that loses most."""
        return int(self.differences.argmin())

    @property
    def losing(self) -> int:
        """How many images lose more than HARM."""
        return int((self.differences < -HARM).sum())

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

    @property
    def where(self) -> str:
        return f"{self.images} {self.setting}".strip()

    def facts(self) -> dict[str, Any]:
        """For the history, JSON-able: `mean` is that of the difference, in dB, as are its interval and the lowest."""
        name = {"image": self.names[self.worst]} if self.names else {}
        return {
            "images": self.images,
            "setting": self.setting,
            "count": len(self.served),
            "served": round(float(np.mean(self.served)), 4),
            "candidate": round(float(np.mean(self.candidate)), 4),
            "mean": round(self.mean, 4),
            "interval": [round(end, 4) for end in self.interval] if math.isfinite(self.interval[0]) else None,
            "low": round(float(np.percentile(self.differences, LOW)), 4),
            "losing": self.losing,
            "worst": {**name, "difference": round(float(self.differences.min()), 4)},
        }

    def refusal(self) -> str:
        """Why its mean alone keeps the candidate out, or ""."""
        low, high = self.interval
        told = f"{self.mean:+.2f} dB, 95 % from {low:+.2f} to {high:+.2f}, on {len(self.served)} images"
        if self.setting == CLEAN:
            seen = np.mean(self.candidate) < min(UNSEEN, float(np.mean(self.served)) - TOLERANCE)
            return f"it changes {self.where} ({told}), where {UNSEEN:g} dB are asked for" if seen else ""
        if self.images == FLAGS:
            if len(self.served) < FEWEST_FLAGS:
                return f"{len(self.served)} held-back flags cannot tell whether it is better: {FEWEST_FLAGS} are needed"
            better = self.mean >= GAIN and low > 0
            return "" if better else f"it is not better on {self.where} ({told}), where {GAIN:+.2f} dB are asked for"
        worse = self.mean < -TOLERANCE or (high < 0 and low < -DOUBT)
        return f"it is worse on {self.where} ({told})" if worse else ""

    def harm(self) -> str:
        """Why a single picture keeps the candidate out, or "". Flags are damaged: they are judged by their mean."""
        if self.images == FLAGS or not self.losing:
            return ""
        name = self.names[self.worst] if self.names else f"image {self.worst + 1}"
        before, now = self.served[self.worst], self.candidate[self.worst]
        return (
            f"{name} in {self.where} loses {before - now:.2f} dB ({before:.2f} → {now:.2f}), where {HARM:g} dB are the "
            f"most that one picture may lose; {self.losing} of {len(self.served)} lose more"
        )
