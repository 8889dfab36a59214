"""Traces drawn one above the other: how many nodes there were, and at which price. matplotlib is imported when it is used."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from mlray.market.trace import EPOCH, Trace

WIDTH, HEIGHT = 11.0, 1.3
NODES, PRICE = "#3567b0", "#e08214"


def png(traces: Sequence[Trace]) -> bytes:
    """A picture with one row for each trace. Time is in days where a trace has no date of its own."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context({"font.size": 8, "font.family": "sans-serif"}):
        figure = Figure(figsize=(WIDTH, 0.6 + HEIGHT * len(traces)), layout="constrained")
        rows: Any = figure.subplots(len(traces), 1, squeeze=False, sharex=len({trace.start for trace in traces}) == 1)
        for axes, trace in zip(rows[:, 0], traces, strict=True):
            _draw(axes, trace)
        out = io.BytesIO()
        FigureCanvasAgg(figure).print_png(out)
    return out.getvalue()


def _draw(axes: Any, trace: Trace) -> None:
    edges = _edges(trace)
    axes.stairs(trace.nodes, edges, fill=True, color=NODES, alpha=0.55, baseline=0)
    axes.set_title(f"{trace.zone} {trace.node_type}".strip(), loc="left")
    axes.set_ylabel("nodes")
    axes.set_ylim(0, max(1, int(trace.nodes.max(initial=1))) * 1.05)
    axes.margins(x=0)
    if trace.start == EPOCH:
        axes.set_xlabel("days")
    if trace.price is not None:
        beside = axes.twinx()
        beside.stairs(trace.price, edges, color=PRICE, baseline=None)
        beside.set_ylabel("$/h", color=PRICE)
        beside.margins(x=0)


def _edges(trace: Trace) -> list[Any]:
    ticks = range(len(trace) + 1)
    if trace.start == EPOCH:
        return [tick * trace.tick_s / 86400 for tick in ticks]
    return [trace.start + timedelta(seconds=tick * trace.tick_s) for tick in ticks]
