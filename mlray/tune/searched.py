"""Searched: what a search came to. Apart from what runs it, so that showing it loads neither Ray nor XGBoost."""

from __future__ import annotations

from dataclasses import dataclass

from mlray.tune.trial import Trial
from mlray.units import Money
from mlray.vault.version import ModelVersion

INTERRUPTED = "it was interrupted"


@dataclass(frozen=True, slots=True)
class Searched:
    """What a search came to. `model` is None when no trial reported; `ended` says why it stopped."""

    model: ModelVersion | None
    trials: tuple[Trial, ...]
    spent: Money
    overspend: Money
    best: Trial | None
    metric_validation: float
    metric_test: float
    ended: str

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended it: what it found is kept, and nothing that waits for it should begin."""
        return self.ended.startswith(INTERRUPTED)
