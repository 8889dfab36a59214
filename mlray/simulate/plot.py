"""A replay as a picture, or two side by side: money, replicas, availability and decisions over time. matplotlib is imported to draw."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from mlray.simulate.series import Series

WIDTH, HEIGHT = 7.2, 8.4
SPENT, BUDGET, READY, WANTED, ALLOWED = "#3567b0", "#b3261e", "#1b7f4d", "#e08214", "#c9d3df"


def png(named: Sequence[tuple[str, Series]]) -> bytes:
    """The same series give the same bytes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    out = io.BytesIO()
    FigureCanvasAgg(_figure(named)).print_png(out, metadata={"Software": None}, pil_kwargs={})
    return out.getvalue()


def svg(named: Sequence[tuple[str, Series]], salt: str = "simulate") -> str:
    """For a page: text stays text, and nothing in it tells when it was drawn."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    out = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": salt, "font.family": "sans-serif"}):
        FigureCanvasSVG(_figure(named)).print_svg(out, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return re.sub(r"^.*?(?=<svg)", "", out.getvalue(), flags=re.S)


def _figure(named: Sequence[tuple[str, Series]]) -> Any:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({"font.size": 8}):
        figure = Figure(figsize=(WIDTH * len(named), HEIGHT), layout="constrained", dpi=110)
        axes = figure.subplots(4, len(named), sharex="col", sharey="row", squeeze=False, height_ratios=(3, 3, 2, 2))
        kinds = sorted({kind for _, found in named for _, kind in found.decisions})
        for column, (name, found) in enumerate(named):
            _money(axes[0, column], found)
            _replicas(axes[1, column], found)
            _available(axes[2, column], found)
            _decisions(axes[3, column], found, kinds)
            for axis in axes[:, column]:
                axis.spines[["top", "right"]].set_visible(False)
                axis.margins(x=0.01)
            axes[0, column].set_title(name, loc="left")
            _dated(axes[-1, column])
        _limit(axes, [found for _, found in named])
    return figure


def _money(axis: Any, found: Series) -> None:
    axis.plot(found.at, found.spent, color=SPENT, label="spent in the window", linewidth=1)
    axis.plot(found.at, found.budget, color=BUDGET, label="budget", linewidth=1, linestyle="--")
    axis.set_ylabel("US dollars")
    axis.legend(loc="upper left", frameon=False, ncols=2)


def _replicas(axis: Any, found: Series) -> None:
    axis.fill_between(found.at, found.floor, found.ceiling, step="post", color=ALLOWED, linewidth=0, label="allowed")
    axis.step(found.at, found.wanted, where="post", color=WANTED, linewidth=1, label="wanted")
    axis.step(found.at, found.ready, where="post", color=READY, linewidth=1, label="ready (fewest)")
    axis.set_ylabel("replicas")
    axis.legend(loc="upper left", frameon=False, ncols=3)


def _available(axis: Any, found: Series) -> None:
    axis.plot(found.at, 100 * found.available, color=READY, linewidth=1)
    axis.set_ylabel("% of time kept, so far")


def _decisions(axis: Any, found: Series, kinds: Sequence[str]) -> None:
    for row, kind in enumerate(kinds):
        when = [at for at, of in found.decisions if of == kind]
        axis.plot(when, [row] * len(when), "|", color=SPENT, markersize=7)
    axis.set_yticks(range(len(kinds)), kinds)
    axis.set_ylim(-0.5, max(0.5, len(kinds) - 0.5))


def _limit(axes: Any, drawn: Sequence[Series]) -> None:
    """Both pictures of a row have one scale, which the most of either sets; what is allowed beyond what is wanted is cut off."""
    dollars = max(float(max(one.spent.max(), one.budget.max())) for one in drawn)
    replicas = max(float(max(one.wanted.max(), one.ready.max(), one.floor.max())) for one in drawn)
    known = np.concatenate([one.available[np.isfinite(one.available)] for one in drawn])
    axes[0, 0].set_ylim(0, 1.15 * dollars or 1.0)
    axes[1, 0].set_ylim(0, max(1.0, 1.2 * replicas))
    axes[2, 0].set_ylim(max(0.0, min(100 * float(known.min(initial=1.0)), 99.9) - 0.05), 100.01)


def _dated(axis: Any) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(maxticks=8)
    axis.xaxis.set_major_locator(locator)
    axis.xaxis.set_major_formatter(ConciseDateFormatter(locator))
