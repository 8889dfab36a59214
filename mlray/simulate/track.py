"""Track: what became of one deployment or search, tick by tick, and every decision about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlray.simulate.machines import Machine


class Moment(NamedTuple):
    """One tick of a deployment: replicas ready, held (those that start included), wanted, allowed and promised, and its requests."""

    ready: int
    held: int
    wanted: int
    floor: int
    ceiling: int
    promised: int
    good: float
    late: float
    failed: float


class Decision(NamedTuple):
    """What was decided, about what, by which policy ("" where a market or a load decided) and why. `bound` is "" where none changed."""

    at: datetime
    kind: str
    subject: str
    bound: str
    policy: str
    reason: str


@dataclass(slots=True)
class Track:
    """One deployment's moments, in the order of ticks, and what happened to its nodes."""

    moments: list[Moment] = field(default_factory=list)
    announced: int = 0
    unannounced: int = 0
    cold_starts: int = 0
    broken: float = 0.0

    def lose(self, machines: Iterable[Machine], broken: float) -> None:
        """Counts nodes the market took, and the requests that were in progress on them."""
        for machine in machines:
            self.announced += machine.announced
            self.unannounced += not machine.announced
        self.broken += broken

    def table(self) -> dict[str, NDArray[np.float64]]:
        """The moments as columns, by name."""
        rows = np.array(self.moments, dtype=np.float64).reshape(-1, len(Moment._fields))
        return dict(zip(Moment._fields, rows.T, strict=True))
