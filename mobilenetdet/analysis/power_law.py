"""An error that falls as a power of the number of training frames, fitted to some runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Of the largest error that is told apart: all of them are an AP of 0.
_MAX_LOG = 700.0


@dataclass(frozen=True)
class PowerLaw:
    """An error that falls with the number of training frames: exp(log_scale) * frames ** -exponent.

    Source of the form: Hestness et al., Deep Learning Scaling is Predictable, Empirically
    (arXiv 1712.00409).

    Attributes:
        log_scale: logarithm of the error after one frame.
        exponent: by which it falls.
        log_frames: [P] logarithms of the numbers of frames that it was fitted to.
        scatter: standard deviation of the logarithms of the errors around it, P - 2 degrees of
            freedom; None where two runs leave none.
    """

    log_scale: float
    exponent: float
    log_frames: tuple[float, ...] = ()
    scatter: float | None = None

    def ap(self, num_frames: float) -> float:
        """AP in percent, 0 or more, after training on so many frames."""
        return max(0.0, 100.0 - self._error(num_frames))

    def interval(self, num_frames: float, confidence: float) -> tuple[float, float] | None:
        """Returns between which AP, 0 or more, one more run on so many frames is expected.

        The prediction interval of a line through the logarithms, with Student's t: with three runs
        it is wide. It takes for granted that the law holds as far as that.

        Args:
            num_frames: of the run.
            confidence: how likely it is that the AP lies there, above 0 and below 1.
        """
        if self.scatter is None:
            return None
        logs, distance = np.array(self.log_frames), math.log(num_frames) - np.mean(self.log_frames)
        spread = ((logs - logs.mean()) ** 2).sum()
        error = self.scatter * np.sqrt(1 + 1 / len(logs) + distance**2 / spread)
        with np.errstate(over="ignore"):  # as good as certain: 0 to 100
            factor = np.exp(student_t(confidence, len(logs) - 2) * error)
        loss = self._error(num_frames)
        low, high = 100.0 - loss * factor, 100.0 - loss / factor
        return max(0.0, float(low)), max(0.0, float(high))

    def _error(self, num_frames: float) -> float:
        log_error = self.log_scale - self.exponent * math.log(num_frames)
        return math.exp(min(log_error, _MAX_LOG))


def student_t(confidence: float, freedom: int) -> float:
    """Returns the value that Student's t stays within, on either side of 0, so likely.

    Example: of 0.95 and 10 degrees of freedom it is 2.228.
    """
    # t is sqrt(freedom) tan(angle), and the density of the angle a power of its cosine.
    angles = np.linspace(0.0, np.pi / 2, 100_001)
    density = np.cos(angles) ** (freedom - 1)
    mass = np.concatenate([[0.0], np.cumsum(density[1:] + density[:-1])])
    return float(np.sqrt(freedom) * np.tan(np.interp(confidence, mass / mass[-1], angles)))


def fit_power_law(num_frames: Sequence[int], aps: Sequence[float]) -> PowerLaw:
    """Fits 100 - AP by least squares of the logarithms.

    Args:
        num_frames: [P] training frames of each run, two different numbers at least.
        aps: [P] AP in percent, below 100.

    Raises:
        ValueError: fewer than two numbers of frames, or an AP of 100.
    """
    if len(set(num_frames)) < 2:
        raise ValueError(
            f"runs on {num_frames[0]} frames alone; two different numbers needed: name runs "
            "that were trained on more or fewer (mobilenetdet kitti_split --num_train)"
        )
    if min(num_frames) < 1:
        raise ValueError(
            f"a run on {min(num_frames)} frames has no place on the curve; leave it out"
        )
    if max(aps) >= 100:
        raise ValueError("an AP of 100 percent leaves nothing to predict; leave that run out")
    logs, errors = np.log(num_frames), np.log(100.0 - np.asarray(aps))
    slope, offset = np.polyfit(logs, errors, 1)
    scatter = None
    if len(logs) > 2:
        residuals = errors - (offset + slope * logs)
        scatter = float(np.sqrt((residuals**2).sum() / (len(logs) - 2)))
    return PowerLaw(float(offset), float(-slope), tuple(logs.tolist()), scatter)
