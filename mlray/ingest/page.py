"""The report of a version as one HTML page: no scripts, nothing loaded from elsewhere, every value escaped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlray.ingest import stats
from mlray.ingest.look import STYLE, TEMPLATE
from mlray.ingest.plot import COLOURS, svg
from mlray.ingest.stats import Stats
from mlray.ingest.summary import histogram_of, ordered, summary
from mlray.ingest.verdict import Finding
from mlray.units import Memory
from mlray.vault.version import DatasetVersion


def page(version: DatasetVersion, merged: Stats, findings: Sequence[Finding]) -> str:
    """One file, to open in a browser or send by mail. Nothing in it is of a protected column but counts."""
    from jinja2 import Environment

    found = summary(version, merged, findings)
    kept = sum(split["rows"] for split in found["splits"])
    environment = Environment(autoescape=True, trim_blocks=True)
    return environment.from_string(TEMPLATE).render(
        r=found,
        style=STYLE,
        kept=kept,
        tiles=_tiles(found, kept),
        most_rejected=max(found["rejected"].values(), default=1),
        splits=list(zip(ordered(merged), COLOURS * len(merged), strict=False)),
        plots=_plots(found, merged),
        since=_lines(found["evolution"].get("since")),
        declared=_lines(found["evolution"].get("declared")),
        share=_share,
        percent=lambda fraction: "" if fraction is None else f"{fraction:.1%}",
        width=lambda part, whole: f"{100 * part / whole:.1f}" if whole else "0",
        number=_number,
    )


def _tiles(found: dict[str, Any], kept: int) -> list[tuple[str, str]]:
    rejected = sum(found["rejected"].values())
    rows = [("rows read", found["rows_read"]), ("rows kept", kept), ("rows rejected", rejected), ("sealed files", found["parts"])]
    counted = [(name, f"{value:,}") for name, value in rows if value is not None]
    return [*counted, ("sealed", _size(found["bytes"])), ("columns", str(len(found["columns"])))]


def _plots(found: dict[str, Any], merged: Stats) -> dict[str, str]:
    return {column["column"]: _plot(column["column"], merged) for column in found["columns"] if "min" in (column["all"] or {})}


def _plot(name: str, merged: Stats) -> str:
    splits = {split: merged[split]["columns"][name] for split in ordered(merged) if name in merged[split]["columns"]}
    moments = any(one["kind"] == stats.MOMENT for one in splits.values())
    whole = not moments and all(isinstance(one["min"], int) for one in splits.values() if one["finite"])
    return svg(name, {split: histogram_of(one) for split, one in splits.items()}, moments, whole)


def _lines(value: Any, under: str = "") -> list[tuple[str, str]]:
    """Nested facts as (what, value) lines; empty ones say nothing."""
    if isinstance(value, dict):
        return [line for name, inner in value.items() for line in _lines(inner, f"{under} {name}".strip())]
    if isinstance(value, list):
        return [(under, ", ".join(map(str, value)))] if value else []
    return [] if value in (None, "") else [(under, str(value))]


def _share(part: int | None, whole: int | None) -> str:
    return f"{part / whole:.1%}" if part is not None and whole else ""


def _number(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1e6 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str("" if value is None else value)


def _size(size: int) -> str:
    for unit in ("GB", "MB", "KB"):
        if size >= Memory.parse(f"1{unit}").bytes:
            return f"{size / Memory.parse(f'1{unit}').bytes:.1f} {unit}"
    return f"{size} B"
