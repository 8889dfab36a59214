"""Progress: one step of work under way, told as fields while it runs; nobody has to listen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """`stage` names the part of the work, `message` says what happened; `done` of `total` when both are counted."""

    stage: str
    message: str
    done: float | None = None
    total: float | None = None


OnProgress = Callable[[Progress], None]


def silent(progress: Progress) -> None:
    """Listens to nothing: the default where the caller wants results alone."""
