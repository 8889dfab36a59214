"""CSV text becomes typed rows, the same blocks every time, and mistakes are named without their row."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from mlray.errors import SpecError, WorkError
from mlray.sources import csv, readers
from mlray.sources.shape import shape
from mlray.sources.spec import CsvSource
from tests.sources.reading import declared, find


def parse(text: bytes, names: tuple[str, ...], source: CsvSource, where: str, first: int) -> pa.Table:
    return csv.parse(text, names, shape(source, dict.fromkeys(names, "text"), where), source, where, first)


def header(line: bytes, where: str, **changed: Any) -> tuple[str, ...]:
    return csv.header(line, SOURCE.model_copy(update=changed), f"{where}:1")


NAMES = ("tailnum", "delay", "gust", "at", "ok")
SOURCE = CsvSource(
    format="csv",
    uri="x.csv",
    nulls=("", "NA"),
    columns={"at": "timestamp", "tailnum": "text", "delay": "int", "gust": "float", "ok": "bool"},
)


def test_values_have_the_declared_types_and_nulls_are_missing():
    text = b"N14228,11,10.5,2013-01-01T10:00:00Z,true\nNA,NA,,2013-07-01T00:00:00+02:00,false\n"
    table = parse(text, NAMES, SOURCE, "flights", 2)
    assert table.schema.names == ["at", "tailnum", "delay", "gust", "ok", "_line"]
    assert [str(kind) for kind in table.schema.types] == ["timestamp[us, tz=UTC]", "string", "int64", "double", "bool", "int64"]
    first, second = table.to_pylist()
    assert (first["tailnum"], first["delay"], first["_line"]) == ("N14228", 11, 2)
    assert (second["tailnum"], second["delay"], second["gust"], second["_line"]) == (None, None, None, 3)
    assert second["at"] == datetime(2013, 6, 30, 22, tzinfo=UTC)


def test_columns_not_declared_are_not_read():
    source = CsvSource(format="csv", uri="x", columns={"delay": "int"})
    assert parse(b"secret,7,x,y,z\n", NAMES, source, "x", 2).column_names == ["delay", "_line"]


@pytest.mark.parametrize(
    "row, why",
    [
        (b"N1,eleven,1,2013-01-01T10:00:00Z,true", "source flights:70003: column delay: not a whole number"),
        (b"N1,11.5,1,2013-01-01T10:00:00Z,true", "source flights:70003: column delay: not a whole number"),
        (b"N1,1,fast,2013-01-01T10:00:00Z,true", "source flights:70003: column gust: not a number"),
        (b"N1,1,1,yesterday,true", "source flights:70003: column at: not a timestamp with its zone"),
        (b"N1,1,1,2013-01-01 10:00:00,true", "source flights:70003: column at: not a timestamp with its zone"),
        (b"N1,1,1,2013-01-01T10:00:00Z,maybe", "source flights:70003: column ok: not true or false"),
        (b"\xff\xfe,1,1,2013-01-01T10:00:00Z,true", "source flights:70003: column tailnum: not UTF-8 text"),
        (b"N1,1,1", "source flights:70003: not 5 values"),
    ],
)
def test_a_bad_value_is_named_by_line_and_column_and_not_shown(row: bytes, why: str):
    good = b"N9,1,1,2013-01-01T10:00:00Z,true\n"
    with pytest.raises(WorkError) as refused:
        parse(good * 3 + row + b"\n" + good, NAMES, SOURCE, "source flights", 70000)
    assert refused.value.message.startswith(why)
    said = f"{refused.value}{refused.value.__cause__}"
    assert refused.value.__suppress_context__ and not any(word in said for word in ("eleven", "fast", "yesterday", "maybe", "N1", "11.5"))


def test_a_line_break_in_a_value_is_refused():
    with pytest.raises(WorkError, match=r"source flights: 2 lines from line 2 hold 1 rows"):
        parse(b'"N1\n4",1,1,2013-01-01T10:00:00Z,true\n', NAMES, SOURCE, "source flights", 2)


def test_an_empty_line_is_refused_where_it_would_be_a_row_of_nothing():
    row = b"N1,1,1,2013-01-01T10:00:00Z,true\n"
    with pytest.raises(WorkError, match="source flights: 3 lines from line 2 hold 2 rows"):
        parse(row + b"\n" + row, NAMES, SOURCE, "source flights", 2)
    single = CsvSource(format="csv", uri="x", columns={"delay": "int"})
    assert parse(b"1\n\n3\n", ("delay",), single, "x", 2)["delay"].to_pylist() == [1, None, 3]


def test_the_header_may_have_a_byte_order_mark_quotes_and_a_carriage_return():
    assert header('\ufeffyear,month,"dep time"\r'.encode(), "x") == ("year", "month", "dep time")


@pytest.mark.parametrize("line, why", [(b"", "empty"), (b"a,b,a", "the column a is named twice"), (b"\xff\xfe", "not a CSV header")])
def test_a_file_without_a_usable_header_is_refused(line: bytes, why: str):
    with pytest.raises(SpecError, match=why):
        header(line, "x")


def test_missing_columns_are_named_with_those_there_are():
    with pytest.raises(SpecError, match="source x:1: no column gust, ok") as refused:
        shape(SOURCE, dict.fromkeys(("tailnum", "delay", "at"), "text"), "source x:1")
    assert refused.value.hint.startswith("there are tailnum, delay, at;")


def test_a_file_that_became_shorter_or_other_is_told(tmp_path: Path):
    file = tmp_path / "f.csv"
    fields: dict[str, Any] = {"uri": "f.csv", "format": "csv", "columns": {"n": "int"}}
    file.write_text("n\n" + "1\n" * 300)
    found, source = find(tmp_path, **fields), declared(**fields)
    file.write_text("n\n" + "1\n" * 250)
    with pytest.raises(WorkError, match=r"source s \(f\.csv\) changed while it was read"):
        readers.whole(found, source)
    file.write_text("n\n" + "2\n" * 300)
    with pytest.raises(WorkError, match="changed while it was read"):
        readers.unchanged(found, source)


def test_the_same_lines_under_another_header_are_another_piece(tmp_path: Path):
    source = CsvSource(format="csv", uri="rows.csv", columns={"a": "int", "b": "int"})
    digests = []
    for header in ("a,b", "b,a"):
        (tmp_path / "rows.csv").write_text(f"{header}\n1,2\n")
        digests.append(readers.find("rows", source, tmp_path, 1024).pieces[0].digest)
    assert digests[0] != digests[1]
