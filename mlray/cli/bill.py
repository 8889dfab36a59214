"""Bills as text, JSON, CSV, FOCUS and pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlray.cli import show

if TYPE_CHECKING:
    from mlray.ledger.receipt import Receipt, Row

Span = tuple[datetime | None, datetime | None]


def tell(bill: Receipt, as_json: bool, also: dict[str, Any] | None = None) -> None:
    whole = bill.whole
    if as_json:
        rows = [dict(zip(bill.by, row.group, strict=True)) | _measures(row) for row in bill.rows]
        totals = {f"total_{name}" if name.endswith("usd") else name: value for name, value in _measures(whole).items()}
        totals["total_usd"] = totals.pop("total_amount_usd")
        show.result((also or {}) | {"by": bill.by, "rows": rows} | totals, as_json)
        return
    names = (*bill.by, "node seconds", "amount", "savings", "lost", "idle")
    end = ("total", *[""] * (len(bill.by) - 1)) if bill.by else ()
    print("\n".join(show.columns([names, *((*row.group, *_numbers(row)) for row in bill.rows), (*end, *_numbers(whole))])))


def _measures(row: Row) -> dict[str, Any]:
    return {
        "seconds": row.seconds,
        "node_seconds": row.node_seconds,
        "gib_months": row.amount_of,
        "amount_usd": row.amount.usd,
        "savings_usd": None if row.savings is None else row.savings.usd,
        "lost_usd": row.lost.usd,
        "idle_usd": row.idle.usd,
    }


def _numbers(row: Row) -> tuple[str, ...]:
    savings = "-" if row.savings is None else str(row.savings)
    return f"{row.node_seconds:,.1f}", str(row.amount), savings, str(row.lost), str(row.idle)


def write_csv(path: Path, bill: Receipt) -> None:
    rows = [dict(zip(bill.by, row.group, strict=True)) | _measures(row) for row in bill.rows]
    names = (*bill.by, "seconds", "node_seconds", "gib_months", "amount_usd", "savings_usd", "lost_usd", "idle_usd")
    _write(path, names, rows)


def write_focus(path: Path, bill: Receipt) -> None:
    """Of a bill by `focus.BY`."""
    from mlray.ledger.focus import COLUMNS, focus

    _write(path, COLUMNS, focus(bill))


def _write(path: Path, names: Sequence[str], rows: Iterable[dict[str, Any]]) -> None:
    import csv

    with _writable(path), path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)


def draw(path: Path, bill: Receipt, span: Span) -> None:
    from mlray.errors import SpecError
    from mlray.ledger.chart import page, png

    begin, end = (f"{at:%Y-%m-%d %H:%M}" if at else "" for at in span)
    title = f"{bill.total} by {', '.join(bill.by)}" + (f" from {begin}" if begin else "") + (f" to {end}" if end else "")
    if path.suffix not in (".png", ".html"):
        raise SpecError(f"--plot {path}: the file's name ends in neither .png nor .html")
    with _writable(path):
        if path.suffix == ".png":
            path.write_bytes(png(bill, title))
        else:
            path.write_text(page(bill, title), encoding="utf-8")


@contextmanager
def _writable(path: Path) -> Iterator[None]:
    from mlray.errors import StoreError

    try:
        yield
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}", hint="name a file in a folder that is there and yours") from error
