"""Tables: a report, or several side by side, as headings and rows of text; for terminals and pages alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mlray.simulate.compare import Comparison
from mlray.simulate.report import Report

Row = tuple[str, ...]
DOLLARS = ("work", "capacity", "node hours", "amount")
PROMISES = ("deployment", "target", "ready", "nines", "good requests", "late", "failed", "taken", "unannounced", "cold starts")
SEARCHES = ("job", "ended", "trials", "spent", "limit", "work", "work lost", "taken", "pauses")
BUDGET = ("policy", "window", "amount", "spent", "left", "overspent")


@dataclass(frozen=True, slots=True)
class Table:
    """Every row has as many cells as the heading."""

    name: str
    heading: Row
    rows: tuple[Row, ...]


def tables(reports: Sequence[Report]) -> tuple[Table, ...]:
    """Each with the policy's name in front where there are several; those without a row are left out."""
    several = len(reports) > 1
    parts = (
        ("dollars", DOLLARS, _dollars),
        ("promises", PROMISES, _promises),
        ("searches", SEARCHES, _searches),
        ("budget", BUDGET, _budget),
    )
    found = []
    for name, heading, of in parts:
        rows = tuple((f"{r.policy}: {row[0]}", *row[1:]) if several and name != "budget" else row for r in reports for row in of(r))
        found += [Table(name, heading, rows)] if rows else []
    return tuple(found)


def difference(found: Comparison) -> Table:
    """What the second policy does, less the first."""
    share = "" if found.share is None else f" ({found.share:+.1%})"
    rows: list[Row] = [("dollars", f"{_signed(found.dollars.usd)}{share}"), ("overspent", _signed(found.overspent.usd))]
    for change in found.serving:
        name = change.deployment
        nines = "one was never short" if change.nines is None else f"{change.nines:+.2f}"
        rows += [
            (f"{name}: ready", "-" if change.available is None else f"{100 * change.available:+.4f} points"),
            (f"{name}: nines", nines),
            (f"{name}: good requests", "-" if change.good is None else f"{100 * change.good:+.4f} points"),
            (f"{name}: replica hours", f"{change.replica_hours:+,.1f}"),
            (f"{name}: nodes taken", f"{change.interruptions:+d}"),
            (f"{name}: cold starts", f"{change.cold_starts:+d}"),
        ]
    return Table(f"{found.second} instead of {found.first}", ("what", "difference"), tuple(rows))


def share(of: float | None, digits: int = 4) -> str:
    """Rounded down, so that 99.99999% never reads as all of it."""
    if of is None:
        return "-"
    scale = 10**digits
    return f"{int(100 * of * scale + 1e-6) / scale:.{digits}f}%"


def _dollars(report: Report) -> Iterator[Row]:
    for row in report.by:
        yield (row.stage, row.capacity, f"{row.node_hours:,.1f}", f"{row.amount.usd:,.2f}")
    yield ("all", "", f"{sum(row.node_hours for row in report.by):,.1f}", f"{report.spent.usd:,.2f}")
    if report.all_on_demand is not None:
        relative = "" if report.relative is None else f"{share(report.relative, 1)} of it"
        yield ("all on-demand", "", relative, f"{report.all_on_demand.usd:,.2f}")


def _promises(report: Report) -> Iterator[Row]:
    for kept in report.serving:
        nines = "never short" if kept.nines is None else f"{kept.nines:.2f}"
        ready = share(kept.available) + ("" if kept.met is not False else " missed")
        counts = (kept.late, kept.failed, kept.interruptions, kept.unannounced, kept.cold_starts)
        yield (kept.deployment, share(kept.target, 2), ready, nines, share(kept.good), *(f"{n:,.0f}" for n in counts))


def _searches(report: Report) -> Iterator[Row]:
    for run in report.searches:
        trials, counts = f"{run.trials_done} of {run.trials}", (f"{run.interruptions}", f"{run.pauses}")
        hours = (f"{run.work_s / 3600:,.1f} h", f"{run.lost_s / 3600:,.1f} h")
        yield (run.job, run.ended or "still runs", trials, str(run.spent), str(run.limit), *hours, *counts)


def _budget(report: Report) -> Iterator[Row]:
    for window in report.windows:
        money = (f"{m.usd:,.2f}" for m in (window.amount, window.spent, window.left, window.overspent))
        yield (window.policy, f"{window.start:%Y-%m-%d %H:%M}", *money)


def _signed(dollars: float) -> str:
    return f"{'-' if dollars < 0 else '+'}${abs(dollars):,.2f}"
