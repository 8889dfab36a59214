"""Charge, Reservation, Return: the three things a ledger holds. Entries are appended, never edited."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from mlray.units import Money

Tags = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Cause:
    """Whom and what an entry is for.

    `stage` is ingest, tune or serve; cluster for nodes that no work pays for (their heads, what is idle), where `job` is
    the cluster's name; data for storage. `item` is the trial or replica inside the job ("" for the job itself);
    `job` names the job or the deployment; `policy` names the policy whose budget it counts against.
    """

    stage: str
    job: str
    policy: str
    run: str = ""
    item: str = ""
    owner: str = ""
    tags: Tags = field(default=())


@dataclass(frozen=True, slots=True)
class Usage:
    """A share of one node for a while, or an amount of something else: what a charge is computed from.

    `node` is the node's id and `cluster` its cluster's name, "" where nobody knows. `state` is what the node did:
    running (work), starting, draining or idle. For storage, `state` says so, seconds are 0 and `amount_of` is GiB-months.
    """

    node_type: str
    capacity: str
    seconds: float
    share: float = 1.0
    node: str = ""
    state: str = "running"
    cluster: str = ""
    amount_of: float = 0.0


@dataclass(frozen=True, slots=True)
class Charge:
    """Dollars spent. `key` names the one event it stands for: appending it twice counts once.

    `list_amount` is what the same would have cost on demand (None: unknown), so that savings are list - amount.
    `waste` says that the dollars bought nothing: "lost" for work that was interrupted and is done again, "idle" for a
    node without work, else "". An amount below zero takes dollars out of where they were booked first.
    """

    key: str
    at: datetime
    amount: Money
    cause: Cause
    usage: Usage
    list_amount: Money | None = None
    waste: str = ""


@dataclass(frozen=True, slots=True)
class Reservation:
    """Dollars set aside before work begins, so that two jobs cannot spend the same ones.

    Its run is charged against it: `cause.run` must name one. It ends with its Return, or, where a run can end without
    giving one (a machine that died), at `until`.
    """

    key: str
    at: datetime
    amount: Money
    cause: Cause
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Return:
    """The end of a reservation: what its work did not spend is free again. `reservation` is its key."""

    key: str
    at: datetime
    reservation: str
    cause: Cause


Entry = Charge | Reservation | Return


@dataclass(frozen=True, slots=True)
class Asked:
    """What one policy's balance is asked of the ledger.

    `since` is where its window begins, or several rising instants: charges before and after each of them are not folded
    together. Entries count that name the policy, or whose cause `governs` holds for.
    """

    policy: str
    since: datetime | tuple[datetime, ...]
    governs: Callable[[Cause], bool] | None = None

    @property
    def cuts(self) -> tuple[datetime, ...]:
        return self.since if isinstance(self.since, tuple) else (self.since,)

    def counts(self, cause: Cause) -> bool:
        return cause.policy == self.policy or (self.governs is not None and self.governs(cause))
