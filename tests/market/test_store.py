"""Traces on disk: what researchers publish, and plain CSV."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from mlray.errors import SpecError
from mlray.market.store import read_traces, write_traces
from mlray.market.trace import Trace


def recorded(folder: Path, name: str, data: object, gap: object = 300) -> Path:
    file = folder / f"{name}.json"
    file.write_text(json.dumps({"metadata": {"gap_seconds": gap}, "data": data}))
    return file


def refused(path: Path) -> str:
    with pytest.raises(SpecError) as error:
        read_traces(path)
    return str(error.value)


def test_a_file_names_its_zone_and_node_type(tmp_path: Path):
    (trace,) = read_traces(recorded(tmp_path, "us-east-1a_v100_1", [0, 4, 1]))
    assert (trace.zone, trace.node_type, trace.tick_s) == ("us-east-1a", "v100_1", 300)
    assert trace.nodes.tolist() == [0, 4, 1] and trace.price is None


def test_a_folder_joins_prices_by_name_and_does_not_guess_those_before_the_first(tmp_path: Path):
    recorded(tmp_path, "b_v100_1", [1, 1, 1, 1])
    recorded(tmp_path, "a_v100_1", [1, 0, 1, 1])
    (tmp_path / "spot_price.json").write_text(json.dumps({"data": {"a_v100_1": [[1, 0.9], [3, 1.1]]}}))
    first, second = read_traces(tmp_path)
    assert (first.zone, second.zone, second.price) == ("a", "b", None)
    assert first.price is not None and np.isnan(first.price[0]) and first.price[1:].tolist() == [0.9, 0.9, 1.1]


def test_csv_comes_back_as_it_was_written(tmp_path: Path):
    start = datetime(2026, 1, 31, 6, tzinfo=UTC)
    written = (
        Trace("a", 195.0, np.array([1, 0, 3]), np.array([0.5, np.nan, 0.75]), "g5", start),
        Trace("b", 0.5, np.array([2, 2, 0, 1]), None, "", start),
    )
    write_traces(tmp_path / "t.csv", written)
    for old, new in zip(written, read_traces(tmp_path / "t.csv"), strict=True):
        assert (new.zone, new.node_type, new.tick_s, new.start) == (old.zone, old.node_type, old.tick_s, old.start)
        np.testing.assert_array_equal(new.nodes, old.nodes)
        assert (new.price is None) == (old.price is None)
        if old.price is not None:
            np.testing.assert_array_equal(new.price, old.price)


def test_csv_may_count_ticks_and_be_out_of_order(tmp_path: Path):
    (tmp_path / "t.csv").write_text("tick,tick_s,zone,nodes\n1,60,a,5\n0,60,a,4\n2,60,a,6\n")
    (trace,) = read_traces(tmp_path / "t.csv")
    assert (trace.tick_s, trace.nodes.tolist()) == (60, [4, 5, 6])


@pytest.mark.parametrize(
    ("data", "gap", "said"),
    [
        ([1, -1], 300, "z.json: data[1]: -1: a number is wanted, 0 or more"),
        ([1, 0.5], 300, "z.json: data[1]: 0.5: a whole number is wanted"),
        ([True], 300, "z.json: data[0]: True: a number is wanted"),
        ([], 300, "z.json: data: a list with the number of nodes"),
        ([1], 0, "z.json: metadata.gap_seconds: 0: the seconds of one tick are wanted"),
    ],
)
def test_a_json_mistake_names_file_and_field(tmp_path: Path, data: object, gap: object, said: str):
    assert said in refused(recorded(tmp_path, "z", data, gap))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("time,nodes\n0,1\n", "t.csv:1: zone: the columns zone, nodes, time are wanted"),
        ("time,zone,nodes\n0,a,1\n60,a,many\n", "t.csv:3: nodes: 'many': a number is wanted"),
        ("time,zone,nodes\nnoon,a,1\n", "t.csv:2: time: 'noon': write a time like"),
        ("time,zone,nodes\n1e99,a,1\n", "t.csv:2: time: '1e99': write a time like"),
        ("time,zone,nodes\nnan,a,1\n", "t.csv:2: time: 'nan': write a time like"),
        ("time,zone,nodes\n0,a,1\n60,a,1\n180,a,1\n240,a,1\n300,a,1\n", "t.csv:4: time: 120 after line 3, where 60 is usual"),
        ("time,zone,nodes,price\n0,a,1,0.5\n60,a,1,-1\n", "t.csv:3: price: '-1': a number is wanted, above 0"),
        ("time,zone,nodes\n0,a,1\n", "t.csv:2: time: one row for a: two are needed"),
        ("tick,tick_s,zone,nodes\n0,60,a,1\n1,30,a,1\n", "t.csv:3: tick_s: 30.0: another than the 60 before"),
        ("tick,tick_s,zone,nodes\n0,60,a,1\n0,60,a,1\n", "t.csv:3: tick: 0 after line 2"),
    ],
)
def test_a_csv_mistake_names_file_line_and_field(tmp_path: Path, text: str, said: str):
    (tmp_path / "t.csv").write_text(text)
    assert said in refused(tmp_path / "t.csv")


def test_what_is_no_trace_is_refused(tmp_path: Path):
    assert "no trace in it" in refused(tmp_path)
    (tmp_path / "x.json").write_text("{")
    assert "x.json:1: not valid JSON" in refused(tmp_path)
    assert "cannot be read" in refused(tmp_path / "none.csv")
    assert "not a trace by its name" in refused(tmp_path / "trace.txt")
