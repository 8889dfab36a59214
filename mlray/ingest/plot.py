"""A column's histogram by split, as SVG text. matplotlib is imported when the first one is drawn."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlray.ingest.histogram import Histogram

WIDTH, HEIGHT, BARS = 4.4, 1.5, 40
WIDE = 1000.0  # times that the largest is the least, from which the axis is logarithmic
CROWDED = 0.05  # ... and if half of the rows lie in this share of the axis
COLOURS = ("#3567b0", "#e08214", "#1b9e77", "#a6559d", "#7a7a7a")
Numbers = NDArray[np.float64]


def svg(name: str, by_split: Mapping[str, Histogram], moments: bool = False, whole: bool = False) -> str:
    """Shares of each split's rows, as steps over the same bars; "" for a column without a value.

    `moments` are microseconds since 1970; between `whole` numbers no bar is drawn.
    """
    filled = {split: found for split, found in by_split.items() if len(found.keys)}
    if not filled:
        return ""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    edges, log = bars(filled, whole)
    # The salt keeps names inside one picture from meeting those of another on the page.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name, "font.size": 8, "font.family": "sans-serif"}):
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="tight")
        canvas = FigureCanvasSVG(figure)
        axes: Any = figure.add_subplot()
        shown = (edges.astype(np.int64).astype("datetime64[us]")) if moments else edges
        for colour, (_, found) in zip(COLOURS * len(filled), filled.items(), strict=False):
            heights = spread(found, edges)
            axes.stairs(heights / heights.sum(), shown, color=colour, fill=len(filled) == 1, alpha=0.9)
        _dressed(axes, log, moments)
        out = io.StringIO()
        canvas.print_svg(out, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return re.sub(r"^.*?(?=<svg)", "", out.getvalue(), flags=re.S)


def bars(by_split: Mapping[str, Histogram], whole: bool) -> tuple[Numbers, bool]:
    """The edges of bars of equal width over all splits, and whether that is on a logarithmic scale."""
    low = min(float(found.low[0]) for found in by_split.values())
    high = max(float(found.high[-1]) for found in by_split.values())
    if not np.isfinite(high - low):
        low, high = max(low, -1e300), min(high, 1e300)
    if high - low <= 1e-9 * max(abs(low), abs(high), 1.0):
        low, high = low - 0.5, high + 0.5  # all alike
    if low > 0 and high / low > WIDE and max(map(_middle, by_split.values())) < low + CROWDED * (high - low):
        return np.geomspace(low, high, BARS + 1), True
    if not whole:
        return np.linspace(low, high, BARS + 1), False
    step = max(1, math.ceil((math.ceil(high) - low) / BARS))
    return np.arange(math.floor(low), math.ceil(high) + step, step, dtype=np.float64) - 0.5, False


def _middle(found: Histogram) -> float:
    """About the median."""
    return float(found.low[np.searchsorted(np.cumsum(found.counts), found.counts.sum() / 2)])


def spread(found: Histogram, edges: Numbers) -> Numbers:
    """The rows between each two edges; those of a bin that reaches over several are spread over it evenly."""
    counted = np.concatenate(([0.0], np.cumsum(found.counts, dtype=float)))
    ends = np.unique(np.concatenate((found.low, found.high)))
    below = np.array([counted[np.searchsorted(found.high, end, side="right")] for end in ends])
    return np.diff(np.interp(edges, ends, below))


def _dressed(axes: Any, log: bool, moments: bool) -> None:
    if log:
        axes.set_xscale("log")
    if moments:
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

        locator = AutoDateLocator(maxticks=6)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.set_yticks([])
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.margins(x=0.01)
