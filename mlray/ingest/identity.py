"""What names a dataset version before any row is read: the digests of the job, of the code that runs it, and of its sources."""

from __future__ import annotations

import math
from collections.abc import Mapping

from mlray.ingest.parse import Input
from mlray.ingest.spec import IngestJob
from mlray.policy.job import JobSpec
from mlray.vault.version import Lineage, digest_json

# Fields about the run and not the rows: another owner, budget or place of the same file changes nothing in the data.
AROUND = frozenset({*JobSpec.model_fields, "kind"})
WORTH_A_NODE = 40  # blocks for each CPU that is there
SLICES_PER_CPU = 2  # so that a slow task holds up little, at the price of unpacking the file once for each


def lineage(job: IngestJob, inputs: Mapping[str, Input], code: str) -> Lineage:
    """(what, digest) of all a version is made from. The same on every machine, whatever its keys."""
    found = (("code", code), ("spec", spec_digest(job)), *((f"source:{name}", source.digest) for name, source in inputs.items()))
    return tuple(sorted(found))


def spec_digest(job: IngestJob) -> str:
    value = job.model_dump(mode="json", exclude=set(AROUND))
    for source in value["sources"].values():
        source.pop("uri")  # the file's own digest says which rows these are
    return digest_json(value)


def blocks(job: IngestJob, inputs: Mapping[str, Input]) -> int:
    """About how many blocks the main source has; exact only once it was read."""
    return max(1, math.ceil(inputs[job.main].lines / job.rows_per_part))


def slices(block_count: int, cpus: float) -> int:
    """Into how many tasks the blocks are dealt out."""
    return max(1, min(block_count, int(cpus * SLICES_PER_CPU)))


def cpus_at_most(block_count: int, cpus: float) -> float:
    """On how many CPUs the tasks may run: more than are there now only where a new node pays for its start.

    A node takes about ten seconds to come, a block about one to refine. Without a bound, Ray Data asks for a node of each
    type, whatever it costs, as soon as those that are there are busy.
    """
    there = max(1.0, cpus)
    return there * SLICES_PER_CPU if block_count >= WORTH_A_NODE * there else there
