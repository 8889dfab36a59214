"""Blocks add up, and errors survive the way back from a worker."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mlray.errors import KeyringError, WorkError
from mlray.ingest.report import BlockReport, failure, from_json, kept_lines, newest, total, with_parts
from mlray.ledger.entry import Usage
from mlray.vault.version import Part


def block(number: int, **changed: object) -> BlockReport:
    fields: dict[str, object] = {
        "block": number,
        "rows": 100,
        "parts": (Part(f"train-{number:05d}", "d/f", "train", 97, 5000, "e" * 64),),
        "rejected": {"cancelled": 3},
        "warned": {},
        "periods": {"train": (f"2013-0{number + 1}-01T00:00:00+00:00", f"2013-0{number + 1}-28T00:00:00+00:00")},
        "positives": {"train": 20},
        "usage": Usage("spot", "spot", 0.5, 0.5),
    }
    return BlockReport(**(fields | changed))  # type: ignore[arg-type]


def test_a_report_survives_its_line():
    assert from_json(block(3).to_json()) == block(3)


@pytest.mark.parametrize("error", [WorkError("f.csv:7: not a number", hint="correct the file"), KeyringError("no keyring")])
def test_an_error_on_a_worker_is_the_same_error_here(error: WorkError):
    with pytest.raises(type(error)) as raised:
        from_json(failure(error))
    assert (raised.value.message, raised.value.hint) == (error.message, error.hint)


def test_three_blocks_add_up_in_any_order():
    totals = total([block(2), block(0, rejected={"cancelled": 1, "diverted": 2}), block(1)])
    assert [part.name for part in totals.parts] == ["train-00000", "train-00001", "train-00002"]
    assert totals.rejected == {"cancelled": 7, "diverted": 2}
    assert totals.about["rows_read"] == 300 and totals.about["positives"] == {"train": 60}
    assert totals.about["periods"] == {"train": ["2013-01-01T00:00:00+00:00", "2013-03-28T00:00:00+00:00"]}


def test_a_block_that_came_twice_counts_once():
    assert total([block(0), block(0), block(1)]).about["rows_read"] == 200


def test_a_block_that_did_not_come_back_stops_the_commit():
    with pytest.raises(WorkError, match="block 1 did not come back"):
        total([block(0), block(2)])


def test_what_a_version_keeps_of_its_pieces_finds_its_parts_again_in_the_next():
    made = [block(n, work=f"w{n}", parts=(replace(block(n).parts[0], work=f"w{n}"),), seen=f"2013-0{n + 1}") for n in range(2)]
    kept = with_parts(kept_lines(made), [part for found in made for part in found.parts])
    assert kept == {"w0": made[0], "w1": made[1]}
    moved = kept["w1"].placed(0)
    assert (moved.block, moved.parts[0].name, moved.parts[0].file, moved.usage.seconds) == (0, "train-00000", "d/f", 0.0)
    assert newest(made) == "2013-02" and newest(made, "2014") == "2014" and newest([block(0)]) == ""
