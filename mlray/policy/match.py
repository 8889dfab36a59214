"""Which policies govern a job, a deployment or a cluster."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from mlray.ledger.entry import Cause, Tags
from mlray.policy.patterns import Patterns
from mlray.policy.spec import Governs, Policy, Stage

CLUSTER = "cluster"
TEAM = "team"
# What is remembered of one set of policies before it is forgotten and found again.
MOST_KNOWN = 200_000


def governs(policy: Policy, kind: str, name: str, tags: Mapping[str, str]) -> bool:
    """Whether a policy applies: by the name of the job, deployment or cluster, by the tag `team`, or by another tag.

    `kind` is the stage of the work, or `cluster`. Patterns are the shell's.
    """
    wanted = _tags(policy.governs)
    return _matches(_names(policy.governs, kind), name) or any(tag in tags and _matches(wanted[tag], tags[tag]) for tag in wanted)


def governing(policies: Iterable[Policy], kind: str, name: str, tags: Mapping[str, str]) -> tuple[Policy, ...]:
    """The policies that apply, in the order of their names."""
    return tuple(sorted((p for p in policies if governs(p, kind, name, tags)), key=lambda p: p.name))


def governs_cause(policy: Policy, cause: Cause) -> bool:
    """Whether what was spent for this counts against the policy: it names it, or the policy governs it."""
    return cause.policy == policy.name or governs(policy, cause.stage, cause.job, dict(cause.tags))


class Governance:
    """A set of policies that is asked about much work: `governing` for each, found without trying every policy.

    Keep it as long as the policies are the same: it remembers what it found.
    """

    def __init__(self, policies: Iterable[Policy]) -> None:
        self.policies = tuple(sorted(policies, key=lambda p: p.name))
        self.by_name = {policy.name: policy for policy in self.policies}
        self._names = {kind: self._patterns(kind) for kind in (Stage.INGEST, Stage.SERVE, CLUSTER)}
        tags = {tag for policy in self.policies for tag in _tags(policy.governs)}
        self._tags = {
            tag: Patterns((p, i) for i, policy in enumerate(self.policies) for p in _tags(policy.governs).get(tag, ())) for tag in tags
        }
        self._known: dict[tuple[str, str, Tags], tuple[Policy, ...]] = {}

    def of(self, kind: str, name: str, tags: Tags = ()) -> tuple[Policy, ...]:
        """The policies that apply, in the order of their names."""
        asked = (kind, name, tags)
        found = self._known.get(asked)
        if found is None:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            found = self._known[asked] = self._find(kind, name, tags)
        return found

    def of_cause(self, cause: Cause) -> tuple[Policy, ...]:
        """Those that govern the work, and the one that its job named."""
        found, own = self.of(cause.stage, cause.job, cause.tags), self.by_name.get(cause.policy)
        return found if own is None or own in found else tuple(sorted((*found, own), key=lambda p: p.name))

    def _find(self, kind: str, name: str, tags: Tags) -> tuple[Policy, ...]:
        fitting = set(self._names.get(kind, self._names[Stage.INGEST]).fitting(name))
        for tag, value in tags:
            fitting |= set(self._tags[tag].fitting(value)) if tag in self._tags else set()
        return tuple(self.policies[i] for i in sorted(fitting))

    def _patterns(self, kind: str) -> Patterns:
        return Patterns((pattern, i) for i, policy in enumerate(self.policies) for pattern in _names(policy.governs, kind))


def _names(governs: Governs, kind: str) -> tuple[str, ...]:
    """Ingest, tune and whatever else is a job go by the names of jobs."""
    if kind == Stage.SERVE:
        return governs.deployments
    return governs.clusters if kind == CLUSTER else governs.jobs


def _tags(governs: Governs) -> dict[str, tuple[str, ...]]:
    """Patterns by tag; `teams` and a tag `team` mean the same."""
    return governs.tags | {TEAM: (*governs.teams, *governs.tags.get(TEAM, ()))} if governs.teams else governs.tags


def _matches(patterns: Iterable[str], name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
