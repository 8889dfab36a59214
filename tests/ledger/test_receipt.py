"""Receipts: every dollar in exactly one row."""

from __future__ import annotations

from datetime import UTC, datetime

from mlray.ledger.entry import Cause, Charge, Reservation, Usage
from mlray.ledger.receipt import receipt
from mlray.units import Money

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def spent(amount: str, stage: str, item: str = "", capacity: str = "spot", team: str = "") -> Charge:
    cause = Cause(stage, f"flights-{stage}", "flights", "r1", item, tags=(("team", team),) if team else ())
    return Charge(f"{stage}/{item}/{amount}", NOON, Money.parse(amount), cause, Usage("node", capacity, 60, 0.5))


ENTRIES = (
    spent("$0.10", "ingest", team="delays"),
    spent("$0.30", "tune", "t1", team="delays"),
    spent("$0.20", "tune", "t2", "on-demand"),
    Reservation("r", NOON, Money.parse("$9"), Cause("tune", "flights-tune", "flights", "r1")),
)


def test_rows_are_grouped_dearest_first_and_reservations_are_no_spend():
    bill = receipt(ENTRIES, ("stage",))
    assert [(row.group, row.seconds, str(row.amount)) for row in bill.rows] == [(("tune",), 120, "$0.50"), (("ingest",), 60, "$0.10")]
    assert bill.total == Money.parse("$0.60")


def test_spend_is_seen_by_trial_capacity_and_team():
    def by(*names: str) -> dict[tuple[str, ...], str]:
        return {row.group: str(row.amount) for row in receipt(ENTRIES, names).rows}

    assert by("job", "item") == {("flights-tune", "t1"): "$0.30", ("flights-tune", "t2"): "$0.20", ("flights-ingest", ""): "$0.10"}
    assert by("capacity") == {("spot",): "$0.40", ("on-demand",): "$0.20"}
    assert by("team") == {("delays",): "$0.40", ("",): "$0.20"}


def test_an_empty_ledger_has_an_empty_bill():
    assert (receipt(()).rows, receipt(()).total) == ((), Money(0))
