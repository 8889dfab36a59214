"""Pictures of bills: there, whole, and safe to open."""

from __future__ import annotations

from mlray.ledger.chart import page, png
from mlray.ledger.receipt import Receipt, receipt
from tests.ledger.test_sums import made


def test_a_bill_by_day_is_a_picture_with_its_numbers():
    bill = receipt(made(), ("day", "job"))
    said = page(bill, "cost")
    assert said.count("<svg") == said.count("</svg>") == 1
    assert all(f">{job}<" in said for job in ("j0", "j1", "j2", "j3")) and "2026-11-21" in said
    assert f'<td class="n">{bill.total}</td>' in said
    assert png(bill, "cost").startswith(b"\x89PNG")


def test_a_bill_of_groups_is_bars_and_names_are_escaped():
    bill = receipt(made(), ("job",))
    odd = Receipt(bill.by, (bill.rows[0].__class__(("<script>",), 1.0, bill.total), *bill.rows), bill.total)
    said = page(odd, "<b>")
    assert "<script>" not in said and "&lt;script&gt;" in said and "<b>" not in said


def test_an_empty_bill_is_drawn_as_well():
    assert page(receipt((), ("day",)), "nothing")
    assert png(receipt((), ()), "nothing")
