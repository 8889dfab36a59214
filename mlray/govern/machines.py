"""Machines: the nodes of a cluster as they were bought, and what may be done to them from outside of Ray."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Bought:
    """A node that is paid for, whether Ray knows it yet or not. `name` is what the ledger calls it: no other node ever has it."""

    name: str
    ip: str
    node_type: str
    begun: datetime


class Machines(Protocol):
    """Of one cluster. It travels to the head with the governor, so it holds names and paths alone. All raise MlrayError."""

    def bought(self) -> tuple[Bought, ...]:
        """Every node that runs or starts now, the head included."""

    def end(self, name: str) -> None:
        """Ends a node at once, whatever runs on it; one that has ended is left."""

    def down(self) -> None:
        """Begins to take the whole cluster down, and returns: the caller goes with it."""
