"""Orders: which trials of a search its governor holds, and whether the search is to end."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Orders:
    """`paused` pairs trials with why each is held; `stop` is why the whole search ends now, "" while it may go on."""

    paused: tuple[tuple[str, str], ...] = ()
    stop: str = ""

    def held(self, trial: str) -> str:
        """Why the trial is held; "" when it may run."""
        return dict(self.paused).get(trial, "")


NONE = Orders()
