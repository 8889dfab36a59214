"""Governed: which policies a piece of work stands under: the one its file names, and every one in force that matches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mlray.policy.match import governing
from mlray.policy.spec import Policy, SpotTolerance, Stage


@dataclass(frozen=True, slots=True)
class Governed:
    """The work's own policy first, then the others by name. `notes` are what its people should know of the choice."""

    policies: tuple[Policy, ...]
    notes: tuple[str, ...] = ()

    @property
    def own(self) -> Policy:
        return self.policies[0]


def governed(in_force: Iterable[Policy], named: Policy, stage: str, name: str, tags: Mapping[str, str]) -> Governed:
    """What is in force counts before what a file says: a wording that was changed and not applied governs nothing yet.

    A policy that was never applied governs by its file, so that work on a laptop needs no second step.
    """
    known = {policy.name: policy for policy in in_force}
    own = known.get(named.name, named)
    others = tuple(policy for policy in governing(known.values(), stage, name, tags) if policy.name != own.name)
    policies = (own, *others)
    changed = f"policy {named.name} is in force in another wording than its file has: mlray policy diff shows it, policy apply changes it"
    notes = (changed if own.digest != named.digest else "", _not_placed(policies) if stage == Stage.SERVE else "")
    return Governed(policies, tuple(filter(None, notes)))


def _not_placed(policies: Iterable[Policy]) -> str:
    """What a policy says of places holds in a replay; on a cluster Ray chooses the node."""
    names = [policy.name for policy in policies if policy.spot != SpotTolerance() or policy.availability.zones > 1]
    fields = "its zones, share of spot and notices are not obeyed on a cluster yet: they count in its floor and in mlray simulate"
    return f"policy {names[0]}: {fields}" if names else ""
