"""Load: how many requests are in progress, smoothed over a window."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import pairwise


@dataclass(slots=True)
class Window:
    """The samples of the last `length_s` seconds, oldest first. Kept by the autoscaler, which is asked five times a second."""

    length_s: float
    samples: deque[tuple[float, float]] = field(default_factory=deque)

    def add(self, at: float, ongoing: float) -> float:
        """The average over the window, weighted by how long each sample stood, with this one as the newest."""
        self.samples.append((at, max(0.0, ongoing)))
        while self.samples[0][0] < at - self.length_s:
            self.samples.popleft()
        return average(tuple(self.samples))


def average(samples: tuple[tuple[float, float], ...]) -> float:
    """Each value counts for the time from the sample before it to its own; a lone sample counts as it is. 0 for none."""
    if not samples:
        return 0.0
    spans = [(later[0] - earlier[0], later[1]) for earlier, later in pairwise(samples)]
    total = sum(span for span, _ in spans)
    return sum(span * value for span, value in spans) / total if total > 0 else samples[-1][1]
