"""Chart: a bill as a picture. matplotlib is imported when one is drawn."""

from __future__ import annotations

import io
from collections import defaultdict
from html import escape
from typing import Any

from mlray.ledger.receipt import Receipt, Row

COLOURS = ("#3567b0", "#e08214", "#1b9e77", "#a6559d", "#7a7a7a", "#c23b3b", "#6b8e23", "#0e8a9c")
TIMES = ("day", "hour")
MOST = len(COLOURS) - 1  # groups with a colour of their own; the others share the last one
PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>body {{ font: 15px sans-serif; margin: 2em auto; max-width: 62em; color: #222 }} table {{ border-collapse: collapse }}
td, th {{ padding: .2em .8em; text-align: left; border-bottom: 1px solid #ddd }} td.n, th.n {{ text-align: right }}</style>
<h1>{title}</h1>
{svg}
<table><tr>{heading}</tr>
{rows}
</table></html>
"""


def png(bill: Receipt, title: str) -> bytes:
    out = io.BytesIO()
    _figure(bill, title).savefig(out, format="png", dpi=150)
    return out.getvalue()


def page(bill: Receipt, title: str) -> str:
    """One file with the picture and the numbers: no scripts, nothing loaded from elsewhere, every name escaped."""
    from matplotlib import rc_context

    out = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": title}):
        _figure(bill, "").savefig(out, format="svg", metadata={"Date": None})
    svg = out.getvalue()
    names = (*bill.by, "node hours", "amount", "savings", "lost", "idle")
    heading = "".join(f"<th{_right(place, bill)}>{escape(name)}</th>" for place, name in enumerate(names))
    rows = "\n".join(_cells(row, bill) for row in (*bill.rows, bill.whole))
    return PAGE.format(title=escape(title), svg=svg[svg.index("<svg") :], heading=heading, rows=rows)


def _cells(row: Row, bill: Receipt) -> str:
    group = row.group if row in bill.rows else ("total", *row.group[1:]) if bill.by else ()
    savings = "-" if row.savings is None else str(row.savings)
    cells = (*group, f"{row.node_seconds / 3600:,.2f}", str(row.amount), savings, str(row.lost), str(row.idle))
    return "<tr>" + "".join(f"<td{_right(place, bill)}>{escape(cell)}</td>" for place, cell in enumerate(cells)) + "</tr>"


def _right(place: int, bill: Receipt) -> str:
    return ' class="n"' if place >= len(bill.by) else ""


def _figure(bill: Receipt, title: str) -> Any:
    """Over time where the bill is by day or hour, stacked by the rest of the group; else a bar for each group."""
    from matplotlib.figure import Figure

    time = next((name for name in TIMES if name in bill.by), "")
    figure = Figure(figsize=(9, 4), layout="constrained")
    axes: Any = figure.add_subplot()
    axes.set_title(title)
    (_over_time if time else _bars)(axes, bill, *([time] if time else []))
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _over_time(axes: Any, bill: Receipt, time: str) -> None:
    place = bill.by.index(time)
    sums: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for row in bill.rows:
        sums[" ".join(name for number, name in enumerate(row.group) if number != place and name)][row.group[place]] += row.amount.usd
    moments = sorted({row.group[place] for row in bill.rows})
    dearest = sorted(sums, key=lambda name: -sum(sums[name].values()))
    shown = [(name, sums[name]) for name in dearest[:MOST]]
    if others := dearest[MOST:]:
        shown.append((f"{len(others)} others", {at: sum(sums[name].get(at, 0.0) for name in others) for at in moments}))
    bottom = [0.0] * len(moments)
    for colour, (name, by_time) in zip(COLOURS, shown, strict=False):
        heights = [by_time.get(at, 0.0) for at in moments]
        axes.bar(range(len(moments)), heights, bottom=bottom, color=colour, label=name or "all")
        bottom = [low + height for low, height in zip(bottom, heights, strict=True)]
    step = max(1, len(moments) // 12)
    axes.set_xticks(range(0, len(moments), step), moments[::step], rotation=30, ha="right", fontsize=8)
    axes.set_ylabel(f"dollars a {time}")
    if shown:
        axes.legend(fontsize=8, frameon=False)


def _bars(axes: Any, bill: Receipt) -> None:
    rows = bill.rows[:20]
    names = [" ".join(filter(None, row.group)) or "all" for row in rows]
    left = [0.0] * len(rows)
    for label, colour, amounts in (
        ("work", COLOURS[0], [row.work.usd for row in rows]),
        ("lost", COLOURS[5], [row.lost.usd for row in rows]),
        ("idle", COLOURS[4], [row.idle.usd for row in rows]),
    ):
        axes.barh(range(len(rows)), amounts, left=left, color=colour, label=label)
        left = [low + amount for low, amount in zip(left, amounts, strict=True)]
    axes.set_yticks(range(len(rows)), names, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("dollars")
    axes.legend(fontsize=8, frameon=False)
