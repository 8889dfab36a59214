"""Remember: what a governor saw and has not charged to its end yet, as text, so that the next one can."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any, Protocol

from mlray.govern.metering import Lived
from mlray.govern.snapshot import Replica
from mlray.ledger.entry import Cause
from mlray.ledger.nodes import NodeLife
from mlray.market.offer import Offer
from mlray.market.spec import Capacity
from mlray.units import Money, Price

LOOKED, REPLICA, CLOSED, NODES_LOOKED, NODE = "looked", "replica/", "closed/", "looked/nodes", "node/"


class Remembering(Protocol):
    """Where it is kept: texts by name. A text of "" forgets."""

    def remember(self, texts: Mapping[str, str]) -> None: ...

    def remembered(self) -> dict[str, str]: ...


def replica_text(group: str, lived: Lived, closed: bool = False) -> str:
    """Of one that lives, the last look tells until when; of one that is `closed`, its text does."""
    replica, offer = lived.replica, lived.replica.offer
    found: dict[str, Any] = {"group": group, "cause": asdict(lived.cause), "listed": _price(lived.listed)}
    found |= {"id": replica.id, "cpus": replica.cpus, "started": replica.started.isoformat(), "node": replica.node, "state": replica.state}
    found |= {"until": lived.until.isoformat()} if closed else {}
    sold = offer and {
        "type": offer.node_type,
        "zone": offer.zone,
        "capacity": offer.capacity,
        "price": _price(offer.price),
        "cpus": offer.cpus,
    }
    return json.dumps(found | {"offer": sold})


def replica_of(text: str, looked: datetime) -> tuple[str, Lived]:
    """The group it belonged to, and the replica as it was last seen, at the look of that time if its text does not say."""
    found = json.loads(text)
    until = datetime.fromisoformat(found["until"]) if "until" in found else looked
    started = datetime.fromisoformat(found["started"])
    replica = Replica(found["id"], _offer(found["offer"]), found["cpus"], started, found["node"], found["state"])
    return found["group"], Lived(replica, _cause(found["cause"]), until, _priced(found["listed"]))


def node_text(life: NodeLife) -> str:
    texts = {name: getattr(life, name) for name in ("node", "node_type", "capacity", "cluster", "head")}
    prices = [(at.isoformat(), _price(price)) for at, price in life.prices]
    states = [(at.isoformat(), state) for at, state in life.states]
    ended = life.ended and life.ended.isoformat()
    more = {"prices": prices, "states": states, "begun": life.begun.isoformat(), "ended": ended, "on_demand": _price(life.on_demand)}
    return json.dumps(texts | more | {"cause": asdict(life.cause)})


def node_of(text: str) -> NodeLife:
    found = json.loads(text)
    return NodeLife(
        **{name: found[name] for name in ("node", "node_type", "capacity", "cluster", "head")},
        prices=tuple((datetime.fromisoformat(at), _priced(price)) for at, price in found["prices"]),
        states=tuple((datetime.fromisoformat(at), state) for at, state in found["states"]),
        begun=datetime.fromisoformat(found["begun"]),
        ended=datetime.fromisoformat(found["ended"]) if found["ended"] else None,
        on_demand=_priced(found["on_demand"]),
        cause=_cause(found["cause"]),
    )


def parts(texts: Mapping[str, str], kind: str) -> Iterable[str]:
    return [text for name, text in texts.items() if name.startswith(kind)]


def _price(price: Price | None) -> int | None:
    return None if price is None else price.per_hour.micros


def _priced(micros: int | None) -> Price | None:
    return None if micros is None else Price(Money(micros))


def _offer(found: dict[str, Any] | None) -> Offer | None:
    if found is None:
        return None
    return Offer(found["type"], found["zone"], Capacity(found["capacity"]), Price(Money(found["price"])), found["cpus"])


def _cause(found: dict[str, Any]) -> Cause:
    return Cause(**{**found, "tags": tuple((name, value) for name, value in found["tags"])})
