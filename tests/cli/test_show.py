from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from mlray.cli import show
from mlray.units import Duration, Memory, Money, Percent, Price, Range


@dataclass(frozen=True)
class Version:
    name: str

    def __str__(self) -> str:
        return f"{self.name}@3f2a9c01d2e4"


@dataclass(frozen=True)
class Trial:
    number: int
    spent: Money


@dataclass(frozen=True)
class Done:
    version: Version = Version("flights")
    spent: Money = Money(1_500_000)
    left: Money | None = None
    price: Price = Price(Money(380_000))
    took: Duration = Duration(90)
    size: Memory = Memory(2048)
    share: Percent = Percent(0.6)
    replicas: Range = Range(1, 4)
    rejected: tuple[tuple[str, int], ...] = (("no-arrival", 3), ("too-far", 1))
    metric: float = 0.75
    trials: tuple[Trial, ...] = (Trial(1, Money(250_000)), Trial(2, Money(1_250_000)))
    ended: datetime = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    secret: str = field(default="hunter2", repr=False)


def test_json_holds_units_as_numbers_under_keys_that_name_them():
    assert show.plain(Done()) == {
        "version": "flights@3f2a9c01d2e4",
        "spent_usd": 1.5,
        "left_usd": None,
        "price_usd_per_hour": 0.38,
        "took_s": 90.0,
        "size_bytes": 2048,
        "share_fraction": 0.6,
        "replicas": "1..4",
        "rejected": {"no-arrival": 3, "too-far": 1},
        "metric": 0.75,
        "trials": [{"number": 1, "spent_usd": 0.25}, {"number": 2, "spent_usd": 1.25}],
        "ended": "2026-01-02T03:04:05+00:00",
    }


@pytest.mark.parametrize(("value", "expected"), [(float("nan"), None), (float("inf"), None), (np.float32(0.5), 0.5), (Path("a/b"), "a/b")])
def test_json_has_only_what_json_can_say(value: object, expected: object):
    assert json.loads(json.dumps(show.plain({"x": value}), allow_nan=False)) == {"x": expected}


def test_text_lists_facts_and_then_tables_and_no_field_that_hides_itself():
    lines = show.text(Done(), hide=("took",))
    assert "spent     $1.50" in lines
    assert "left      -" in lines
    assert "rejected  no-arrival 3, too-far 1" in lines
    assert "ended     2026-01-02 03:04:05 UTC" in lines
    assert lines[-4:] == ["trials:", "  number  spent", "  1       $0.25", "  2       $1.25"]
    assert not any("hunter2" in line or line.startswith("took") for line in lines)


def test_no_records_are_none(capsys: pytest.CaptureFixture[str]):
    show.rows("tokens", [], as_json=False)
    show.rows("tokens", [], as_json=True)
    assert capsys.readouterr().out == 'none\n{"tokens": []}\n'
