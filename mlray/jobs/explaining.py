"""Explaining: what a policy says now, and which policies a job stands under with the strictest bound of each.

An edge: it reads files, the ledger, the policies in force and the clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mlray import files
from mlray.clock import Clock, SystemClock
from mlray.home import Home
from mlray.jobs.governed import governed
from mlray.jobs.purse import standing
from mlray.jobs.read import Written, written
from mlray.ledger.entry import Cause
from mlray.ledger.store import LedgerStore
from mlray.policy.bounds import Bounds, strictest
from mlray.policy.claim import Claim
from mlray.policy.explain import bounds_sentences, promise_sentences, sentences
from mlray.policy.spec import Policy, Stage
from mlray.policy.store import PolicyStore

STAGE = {"ingest": Stage.INGEST, "tune": Stage.TUNE, "serve": Stage.SERVE}


@dataclass(frozen=True, slots=True)
class Explained:
    """`subject` is the policy, or one job of the file. `bounds` is None for a policy: only work has one of each."""

    subject: str
    policies: tuple[str, ...]
    claims: tuple[Claim, ...]
    bounds: Bounds | None
    sentences: tuple[str, ...]


def explain(home: Home, file: Path, clock: Clock | None = None) -> tuple[Explained, ...]:
    """A policy file, or every job of a job file, against the ledger as it is now. Nothing is held, reserved or changed."""
    clock, home = clock or SystemClock(), home.prepare()
    document = files.read(file)
    if document.value.get("kind") == "policy":
        return (_policy(home, files.validate(document, Policy), clock),)
    return tuple(_job(home, step, clock) for step in written(file))


def _policy(home: Home, policy: Policy, clock: Clock) -> Explained:
    (claim,) = standing(LedgerStore(home.database), (policy,), clock)
    return Explained(policy.name, (policy.name,), (claim,), None, sentences(claim, clock.now()))


def _job(home: Home, step: Written, clock: Clock) -> Explained:
    job, now, stage = step.job, clock.now(), STAGE[step.job.kind]
    name = getattr(job, "deployment", job.name)
    found = governed(PolicyStore(home.database).in_force(), step.policy, stage, name, job.tags)
    claims = standing(LedgerStore(home.database), found.policies, clock)
    cause = Cause(stage, name, found.own.name, owner=job.owner, tags=tuple(sorted(job.tags.items())))
    bounds = strictest(claims, cause, now)
    governs = f"{name} is governed by {_listed([policy.name for policy in found.policies])}"
    bound = (*bounds_sentences(bounds), *(promise_sentences(bounds) if stage is Stage.SERVE else ())) if bounds else ()
    each = tuple(said for claim in claims for said in sentences(claim, now))
    return Explained(name, tuple(policy.name for policy in found.policies), claims, bounds, (governs, *bound, *found.notes, *each))


def _listed(names: list[str]) -> str:
    many = len(names) > 1
    return f"policies {', '.join(names[:-1])} and {names[-1]}" if many else f"policy {names[0]}"
