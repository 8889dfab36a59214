"""Finish: all pieces are sealed; the version is judged, told about, and committed. An edge: it reads the clock and writes to the vault."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pyarrow as pa

from mlray.errors import KeyringError, WorkError
from mlray.ingest import account, evolve, report, sketch, stats
from mlray.ingest.plan import Plan
from mlray.ingest.protect import sealed_columns
from mlray.ingest.refine import schema
from mlray.ingest.report import PIECES, BlockReport, part_name
from mlray.ingest.splits import REPORT
from mlray.ingest.verdict import verdict
from mlray.progress import OnProgress, Progress, silent
from mlray.vault.store import Draft, Vault
from mlray.vault.version import DatasetVersion, Json


def commit(plan: Plan, draft: Draft, vault: Vault, reports: list[BlockReport], on_progress: OnProgress = silent) -> DatasetVersion:
    totals = report.total(reports)
    if not totals.parts:
        raise WorkError(f"source {', '.join(plan.job.mains)} holds no rows", hint="a version without rows is of no use, so none was made")
    table = pa.table({"line": report.kept_lines(sorted(reports, key=lambda found: found.block))})
    told = judge(plan, vault, reports, on_progress)
    parts = (
        *totals.parts,
        vault.write_part(draft, part_name(PIECES, 0), PIECES, table),
        vault.write_part(draft, part_name(REPORT, 0), REPORT, told),
    )
    return vault.commit_dataset(
        draft, parts, schema=schema(plan.job), lineage=plan.lineage, rejected=totals.rejected, about=totals.about | about(plan, reports)
    )


def judge(plan: Plan, vault: Vault, reports: Sequence[BlockReport], on_progress: OnProgress) -> pa.Table:
    """The account of the version. Raises WorkError when a rule refuses it."""
    merged, total = stats.merge(found.stats for found in reports), sketch.total(found.sketch for found in reports)
    found = verdict(plan.job, merged, total, _account(vault, plan.previous), datetime.now(UTC))
    for said in found.warned:
        on_progress(Progress("ingest", f"warning: {said}"))
    if found.refused:
        raise WorkError("; ".join(found.refused), hint="no version was made; correct the data, or the rule, or let it warn")
    return account.table(merged, found)


def _account(vault: Vault, previous: DatasetVersion | None) -> stats.Stats | None:
    """The statistics of the version before. One whose keys were destroyed can be compared with nothing."""
    if not previous or REPORT not in previous.manifest.splits:
        return None
    try:
        return account.stats_of(vault.read(previous, REPORT))
    except KeyringError:
        return None


def about(plan: Plan, reports: Sequence[BlockReport]) -> dict[str, Json]:
    job, previous = plan.job, plan.previous.manifest if plan.previous else None
    columns = {field.name: str(field.type) for field in schema(job)}
    stale: list[Json] = [said for found in plan.founds.values() if (said := found.fact("stale"))]
    seen = report.newest(reports, str(previous.about.get("seen") or "") if previous else "")
    return {
        "job": job.name,
        "owner": job.owner,
        "label": job.label.name if job.label else None,
        "keep": str(job.keep) if job.keep else None,
        "subject": {"column": job.subject, "sealed": [*sealed_columns(job)]} if job.subject else None,
        "classes": {column: kind.value for column, kind in job.classes.items()},
        "protection": {column: how.model_dump(mode="json", exclude_none=True) for column, how in job.protection.items()},
        "evolution": evolve.evolution(plan.declared or job, plan.founds, columns, previous),
        **({"stale": stale} if stale else {}),
        **({"seen": seen} if seen else {}),
    }
