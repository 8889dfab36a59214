"""Notices: what people are told, once for each subject, bound and window of the policy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mlray.govern.actions import Notify
from mlray.govern.means import Means
from mlray.govern.snapshot import Seen, Snapshot
from mlray.govern.tally import Tally
from mlray.policy.alerts import crossed
from mlray.policy.allowance import Allowance, Bound
from mlray.policy.spec import Policy


def notices(snapshot: Snapshot, tally: Tally, known: Mapping[str, Means], allowances: Mapping[str, Allowance]) -> tuple[Notify, ...]:
    """Those that nobody was told yet."""
    fresh: dict[str, Notify] = {}
    for one in _all(snapshot, tally, known, allowances):
        if one.key not in snapshot.told:
            fresh.setdefault(one.key, one)
    return tuple(fresh.values())


def _all(snapshot: Snapshot, tally: Tally, known: Mapping[str, Means], allowances: Mapping[str, Allowance]) -> Iterator[Notify]:
    if not snapshot.readable:
        yield Notify(
            "policies", Bound.UNKNOWN, _day(snapshot), "", "the policies in force cannot be read: those known before bind, nothing grows"
        )
    for name, policy in snapshot.policies.items():
        found = known.get(name)
        if found is None:
            yield _unknown(snapshot, name, f"the balance of policy {name} cannot be read: nothing grows, floors are held")
            continue
        if name in tally.unpriced:
            yield _unknown(snapshot, name, f"work under policy {name} has no known price: nothing grows, floors are held")
        yield from _of_budget(policy, found)
    for seen in snapshot.deployments:
        yield from _of_deployment(snapshot, seen, allowances[seen.watched.deployment], known)


def _of_budget(policy: Policy, found: Means) -> Iterator[Notify]:
    for alert in crossed(policy, found.balance):
        yield Notify(policy.name, alert.bound, _window(found), policy.name, alert.reason)
    if found.gone:
        what = "pays no more work until the next look" if found.left > 0 else "is spent"
        yield Notify(policy.name, Bound.SPENT, _window(found), policy.name, f"the money of policy {policy.name} {what}: {found.sentence}")


def _of_deployment(snapshot: Snapshot, seen: Seen, after: Allowance, known: Mapping[str, Means]) -> Iterator[Notify]:
    """When the bound changes. That it is open is worth a word only after it was not."""
    before = seen.allowance.bound if seen.allowance else Bound.OPEN
    if after.bound == before:
        return
    name, policy = seen.watched.deployment, after.policy or seen.policies[0] if seen.policies else ""
    window = _window(known[policy]) if policy in known else _day(snapshot)
    yield Notify(name, after.bound, window, policy, f"{name} may run {after.floor} to {after.ceiling} replicas: {after.reason}")


def _unknown(snapshot: Snapshot, policy: str, reason: str) -> Notify:
    """A window that cannot be known is a day."""
    return Notify(policy, Bound.UNKNOWN, _day(snapshot), policy, reason)


def _window(found: Means) -> str:
    return found.balance.window_start.isoformat()


def _day(snapshot: Snapshot) -> str:
    return snapshot.now.date().isoformat()
