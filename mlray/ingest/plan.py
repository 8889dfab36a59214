"""Plan: what is to be done, once the sources were found, and whether it was done before. An edge: it looks at sources and the vault."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mlray.ingest import aside, evolve, identity
from mlray.ingest.code import code_digest
from mlray.ingest.spec import IngestJob
from mlray.sources import readers
from mlray.sources.piece import Found
from mlray.sources.places import Secrets
from mlray.vault.store import Vault
from mlray.vault.version import DatasetVersion, Lineage, dataset_digest


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done, once the sources were found: the job as it is meant for them, and what the version is named by."""

    job: IngestJob
    founds: Mapping[str, Found]
    code: str
    previous: DatasetVersion | None
    before: datetime | None  # rows before it are late
    lineage: Lineage
    declared: IngestJob | None = None  # the job as it was written, where that is known to be another

    @property
    def digest(self) -> str:
        return dataset_digest(self.job.dataset, self.lineage)

    @property
    def mains(self) -> tuple[Found, ...]:
        return tuple(self.founds[name] for name in self.job.mains)


@contextmanager
def looked_at(job: IngestJob, base: Path, secrets: Secrets) -> Iterator[dict[str, Found]]:
    """Every source as it lies there now. What is held so that all pieces see one moment is let go of at the end."""
    founds: dict[str, Found] = {}
    try:
        for name, source in job.sources.items():
            founds[name] = readers.find(name, source, base, job.rows_per_part, secrets)
        yield founds
    finally:
        for found in founds.values():
            readers.release(found)


def plan_of(job: IngestJob, founds: Mapping[str, Found], vault: Vault) -> Plan:
    settled = evolve.settle(job, founds)
    previous = vault.latest_dataset(job.dataset)
    before = aside.late_before(job.late, _seen(previous))
    code = code_digest()
    return Plan(settled, founds, code, previous, before, identity.lineage(job, founds, code, before), job)


def _seen(version: DatasetVersion | None) -> datetime | None:
    seen = version.manifest.about.get("seen") if version else None
    return datetime.fromisoformat(str(seen)) if seen else None


def known(plan: Plan, vault: Vault) -> DatasetVersion | None:
    """The version of this work, if it was made before. With a rule for late rows, that is the first of the same sources."""
    if not plan.job.late:
        return vault.known_dataset(plan.job.dataset, plan.digest)
    versions = [found.manifest for found in vault.datasets() if found.name == plan.job.dataset]
    same = identity.same_work(versions, plan.lineage)
    return vault.known_dataset(plan.job.dataset, same.digest) if same else None
