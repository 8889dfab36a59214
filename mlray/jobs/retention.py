"""Retention: which versions go, and why. `keep: 90d` is a promise, so it wins over a tag or a use, and says what it broke."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from mlray.units import Duration
from mlray.vault.version import Manifest, short


@dataclass(frozen=True, slots=True)
class Standing:
    """A dataset version, and what holds on to it: its tags (`latest` is one), and models made from it."""

    manifest: Manifest
    tags: tuple[str, ...] = ()
    models: tuple[str, ...] = ()

    def __str__(self) -> str:
        return short(self.manifest.name, self.manifest.digest)

    @property
    def keep(self) -> Duration | None:
        """How long its job said it may be kept."""
        written = self.manifest.about.get("keep")
        return Duration.parse(str(written)) if written else None

    @property
    def held(self) -> tuple[str, ...]:
        return (*(f"tag {tag}" if tag != "latest" else tag for tag in self.tags), *(f"model {model}" for model in self.models))


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of a version. `breaks` is what held on to it and is let down."""

    standing: Standing
    destroyed: bool
    why: str
    breaks: tuple[str, ...] = ()

    def __str__(self) -> str:
        said = f"{self.standing} {'is destroyed' if self.destroyed else 'stays'}: {self.why}"
        return f"{said}; breaks {', '.join(self.breaks)}" if self.breaks else said


def judge(standings: Iterable[Standing], now: datetime, unused: bool) -> tuple[Fate, ...]:
    """A fate for every version; `unused` asks for those as well that nothing holds on to."""
    return tuple(_judge(standing, now, unused) for standing in standings)


def _judge(standing: Standing, now: datetime, unused: bool) -> Fate:
    keep, age = standing.keep, now - standing.manifest.created
    if keep is not None and age.total_seconds() >= keep.seconds:
        return Fate(standing, True, f"it was to be kept {keep} and is {_days(age.total_seconds())} old", standing.held)
    if not unused:
        return Fate(standing, False, f"it is kept {keep}" if keep else "nothing says how long it is kept")
    if standing.held:
        return Fate(standing, False, f"it is used by {', '.join(standing.held)}")
    return Fate(standing, True, "nothing uses it")


def _days(seconds: float) -> str:
    return f"{seconds / 86400:.1f} days" if seconds >= 86400 else f"{seconds / 3600:.1f} hours"
