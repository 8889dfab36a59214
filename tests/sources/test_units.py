"""Files together make one source; neighbours are put together as long as they are few."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlray.errors import SpecError
from mlray.sources.freshness import stale
from mlray.sources.piece import Found
from mlray.sources.units import Cut, Unit, grouped, together, union
from tests.sources.reading import declared

SOURCE = declared(uri="x", format="parquet", columns={"a": "int"})


@given(st.lists(st.integers(0, 50), max_size=30), st.integers(1, 60))
def test_groups_hold_everything_once_in_order_and_no_more_than_asked(rows: list[int], most: int):
    cuts = grouped(rows, most)
    assert sum(cut.rows for cut in cuts) == sum(rows)
    assert all(cut.rows <= most or cut.stop - cut.start == 1 or max(rows[cut.start : cut.stop]) == cut.rows for cut in cuts)
    assert all(cut.rows == sum(rows[cut.start : cut.stop]) and cut.first == 1 + sum(rows[: cut.start]) for cut in cuts)
    assert all(before.stop == after.start for before, after in pairwise(cuts))


def test_pieces_are_numbered_over_all_files_and_named_by_their_bytes():
    units = [Unit(f"s3://b/{n}", {"a": "int"}, f"digest {n}", (Cut(0, 2, 1, 10), Cut(2, 3, 11, 5))) for n in range(2)]
    found = together("s", "source s", SOURCE, units, None, ())
    assert [(p.number, p.unit, p.start, p.stop, p.first) for p in found.pieces] == [
        (0, 0, 0, 2, 1),
        (1, 0, 2, 3, 11),
        (2, 1, 0, 2, 1),
        (3, 1, 2, 3, 11),
    ]
    assert found.rows == 30 and len({p.digest for p in found.pieces}) == 4
    moved = [Unit(f"file:///{n}", unit.columns, unit.digest, unit.cuts) for n, unit in enumerate(units)]
    assert together("s", "source s", SOURCE, moved, None, ()).digest == found.digest, "a file may lie elsewhere"
    assert together("s", "source s", SOURCE, units[::-1], None, ()).digest != found.digest


def test_types_of_several_files_together():
    assert union([{"a": "int", "b": "null"}, {"a": "float", "b": "text"}, {"b": "null", "c": "bool"}]) == {
        "a": "float",
        "b": "text",
        "c": "bool",
    }
    assert union([{"a": "int"}, {"a": "text"}]) == {"a": "other"}


def test_a_file_of_another_type_is_named():
    units = [Unit(f"s3://b/{n}", {"a": kind}, "d", ()) for n, kind in enumerate(("int", "bool"))]
    with pytest.raises(SpecError, match="source s, 1: column a: declared int, found bool"):
        together("s", "source s", SOURCE, units, None, ())


NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "age, said",
    [
        (timedelta(hours=1), ""),
        (timedelta(hours=2), ""),
        (timedelta(hours=3), "source s: last changed 3h ago, more than fresh_within (2h)"),
        (timedelta(hours=-1), ""),
        (None, "source s: does not tell when it changed, and fresh_within asks"),
    ],
)
def test_an_old_source_is_told(age: timedelta | None, said: str):
    fresh = declared(uri="x", format="parquet", columns={"a": "int"}, fresh_within="2h")
    found = Found("s", "source s", (), "", (), (), 0, None if age is None else NOON - age)
    assert stale(fresh, found, NOON) == said
    assert stale(SOURCE, found, NOON) == ""
