"""A replay, or two side by side, as one HTML page: no scripts, nothing loaded from elsewhere, every value escaped."""

from __future__ import annotations

from collections.abc import Sequence

from mlray.simulate.compare import compare
from mlray.simulate.look import STYLE, TEMPLATE
from mlray.simulate.played import Replay
from mlray.simulate.plot import svg
from mlray.simulate.report import Report
from mlray.simulate.series import series
from mlray.simulate.tables import difference, share, tables

# A page with more decisions than this is slow to open.
MOST_SHOWN = 3000


def page(played: Sequence[tuple[Replay, Report]]) -> str:
    """One file, to open in a browser or send by mail."""
    from jinja2 import Environment

    reports = [report for _, report in played]
    first = reports[0]
    changed = [difference(compare(*reports))] if len(reports) == 2 else []
    environment = Environment(autoescape=True, trim_blocks=True)
    return environment.from_string(TEMPLATE).render(
        title=" and ".join(f"policy {r.policy}" for r in reports) + ", replayed",
        about=f"{first.days:g} days from {first.start:%Y-%m-%d}, ticks of {first.tick_s:g} s, seed {first.seed}",
        notes=first.notes,
        tiles=[tile for r in reports for tile in _tiles(r, len(reports) > 1)],
        plot=svg([(report.policy, series(replay)) for replay, report in played]),
        tables=[*changed, *tables(reports)],
        style=STYLE,
        decisions=[(r.policy, p.decisions[:MOST_SHOWN], max(0, len(p.decisions) - MOST_SHOWN)) for p, r in played],
    )


def _tiles(report: Report, several: bool) -> list[tuple[str, str]]:
    of = f" ({report.policy})" if several else ""
    kept = [(f"{k.deployment} ready{of}", share(k.available)) for k in report.serving]
    relative = [] if report.relative is None else [(f"of all on-demand{of}", share(report.relative, 1))]
    return [(f"spent{of}", f"${report.spent.usd:,.2f}"), *relative, (f"overspent{of}", f"${report.overspent.usd:,.2f}"), *kept]
