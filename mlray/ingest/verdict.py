"""The verdict on a whole version, before it is committed: what refuses it, what is only said, and what each rule found."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from mlray.ingest import drift, leakage, stats
from mlray.ingest.rules import Drift, Fresh, NullShare, OnWhole, RowCount, Unique, WholeCheck, by_version, fraction
from mlray.ingest.sketch import Total
from mlray.ingest.spec import IngestJob
from mlray.ingest.stats import Stats
from mlray.units import Duration


@dataclass(frozen=True, slots=True)
class Finding:
    """What one rule found, as a sentence with its numbers."""

    rule: str
    held: bool
    on_fail: OnWhole
    said: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Every rule's finding. A version with anything in `refused` is not to be committed."""

    findings: tuple[Finding, ...]

    @property
    def refused(self) -> tuple[str, ...]:
        return self._failed(OnWhole.REFUSE)

    @property
    def warned(self) -> tuple[str, ...]:
        return self._failed(OnWhole.WARN)

    def _failed(self, on_fail: OnWhole) -> tuple[str, ...]:
        return tuple(found.said for found in self.findings if not found.held and found.on_fail is on_fail)


def verdict(job: IngestJob, merged: Stats, total: Total, previous: Stats | None, now: datetime) -> Verdict:
    """`merged` and `total` are what all blocks came to, `previous` the statistics of the version before, None for the first."""
    findings = [_finding(rule, merged, total, previous, now) for rule in by_version(job.checks)]
    if job.leakage:
        said = tuple(leakage.leaks(job.leakage, total.leaks))
        findings += [Finding("leakage", False, job.leakage.on_leak, leak) for leak in said]
        if not said:
            findings.append(Finding("leakage", True, job.leakage.on_leak, "leakage: none found"))
    return Verdict(tuple(findings))


def _finding(rule: WholeCheck, merged: Stats, total: Total, previous: Stats | None, now: datetime) -> Finding:
    match rule:
        case NullShare():
            held, said = _nulls(rule, total)
        case Unique():
            repeats = total.repeats(rule.columns)
            held, said = not repeats, f"{', '.join(rule.columns)}: {repeats:,} of {total.rows:,} rows repeat one before them, none may"
        case RowCount():
            held, said = _rows(rule, total)
        case Fresh():
            held, said = _fresh(rule, total, now)
        case Drift():
            held, said = _drift(rule, merged, previous)
    return Finding(rule.rule, held, rule.on_fail, f"{rule.rule} {said}".replace(" :", ":"))


def _nulls(rule: NullShare, total: Total) -> tuple[bool, str]:
    share, most = total.nulls.get(rule.column, 0) / max(1, total.rows), fraction(rule.most)
    return share <= most, f"{rule.column}: {share:.2%} of {total.rows:,} rows are missing, at most {most:.2%} may be"


def _rows(rule: RowCount, total: Total) -> tuple[bool, str]:
    held = rule.low <= total.rows and (rule.high is None or total.rows <= rule.high)
    bounds = f"at least {rule.low:,}" + (f" and at most {rule.high:,}" if rule.high is not None else "")
    return held, f": {total.rows:,} rows, {bounds} are wanted"


def _fresh(rule: Fresh, total: Total, now: datetime) -> tuple[bool, str]:
    newest = total.newest.get(rule.column)
    if newest is None:
        return False, f"{rule.column}: no row has a value, so nothing says how fresh it is"
    age = (now - newest).total_seconds()
    shown = Duration(float(max(0, round(age))))
    return age <= rule.within.seconds, f"{rule.column}: the newest value is {shown} old, at most {rule.within} is wanted"


def _drift(rule: Drift, merged: Stats, previous: Stats | None) -> tuple[bool, str]:
    before, now = (stats.over_splits(found, rule.column) if found else None for found in (previous, merged))
    if before is None:
        return True, f"{rule.column}: no version before this one holds it, so nothing has moved"
    found = drift.distance(before, now, rule.measure) if now else None
    if found is None:
        return False, f"{rule.column}: it cannot be compared with the version before, which held another type or no rows"
    return found <= rule.most, f"{rule.column}: {rule.measure} is {found:.3f} against the version before, at most {rule.most:g} is wanted"
