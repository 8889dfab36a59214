"""Every format of files gives the same rows, piece by piece and all at once, and is found the same way twice."""

from __future__ import annotations

import bz2
import gzip
import json
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fastavro
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from pyarrow import csv, orc

from mlray.errors import MlrayError, SpecError, WorkError
from mlray.sources import readers
from tests.sources.reading import declared, find, table

ROWS = 1000
START = datetime(1969, 12, 31, tzinfo=UTC)
DATA = pa.table(
    {
        "id": pa.array(range(ROWS), pa.int64()),
        "price": pa.array([None if i % 7 == 0 else i / 4 for i in range(ROWS)], pa.float64()),
        "who": pa.array([None if i % 5 == 0 else f"Zoë {i}" for i in range(ROWS)], pa.string()),
        "ok": pa.array([None if i % 11 == 0 else i % 2 == 0 for i in range(ROWS)], pa.bool_()),
        "at": pa.array([START + timedelta(minutes=i) for i in range(ROWS)], pa.timestamp("us", tz="UTC")),
    }
)
COLUMNS = {"at": "timestamp", "who": "text", "price": "float", "ok": "bool", "number": {"type": "int", "of": "id"}}
EXPECTED = DATA.select(["at", "who", "price", "ok", "id"]).rename_columns(list(COLUMNS))


def write_csv(data: pa.Table, path: Path) -> None:
    at = pa.array([moment.isoformat() for moment in data["at"].to_pylist()]) if "at" in data.column_names else None
    csv.write_csv(data.set_column(data.column_names.index("at"), "at", at) if at is not None else data, path)


def write_jsonl(data: pa.Table, path: Path) -> None:
    path.write_text("".join(json.dumps(row, default=datetime.isoformat, ensure_ascii=False) + "\n" for row in data.to_pylist()))


def write_parquet(data: pa.Table, path: Path) -> None:
    pq.write_table(data, path, row_group_size=64)


def write_orc(data: pa.Table, path: Path) -> None:
    orc.write_table(data, path, stripe_size=1 << 12, row_index_stride=1000)


def write_avro(data: pa.Table, path: Path, codec: str = "deflate") -> None:
    kinds: dict[str, Any] = {"int64": "long", "double": "double", "string": "string", "bool": "boolean"}
    moment = {"type": "long", "logicalType": "timestamp-micros"}
    fields = [{"name": f.name, "type": ["null", kinds.get(str(f.type), moment)]} for f in data.schema]
    with path.open("wb") as file:
        fastavro.writer(file, {"type": "record", "name": "row", "fields": fields}, data.to_pylist(), codec=codec, sync_interval=2000)


WRITERS: dict[str, Callable[[pa.Table, Path], None]] = {
    "csv": write_csv,
    "jsonl": write_jsonl,
    "parquet": write_parquet,
    "orc": write_orc,
    "avro": write_avro,
}


@pytest.fixture(params=list(WRITERS))
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / f"rows.{request.param}"
    WRITERS[request.param](DATA, path)
    return path


def kind(file: Path) -> str:
    return file.suffix[1:]


def test_all_formats_hold_the_same_rows(file: Path):
    got = table(file.parent, 150, uri=file.name, format=kind(file), columns=COLUMNS)
    assert got.drop_columns("_line").equals(EXPECTED)
    first = 2 if kind(file) == "csv" else 1
    assert got["_line"].to_pylist() == list(range(first, ROWS + first))


def test_pieces_hold_about_the_rows_asked_for_and_keep_their_names(file: Path):
    fields: dict[str, Any] = {"uri": file.name, "format": kind(file), "columns": COLUMNS}
    found, again = find(file.parent, 150, **fields), find(file.parent, 150, **fields)
    assert found == again and found.rows == ROWS
    assert 6 <= len(found.pieces) <= 20 or kind(file) == "orc"
    assert len({piece.digest for piece in found.pieces}) == len(found.pieces)


def test_other_bytes_have_another_name(file: Path):
    fields: dict[str, Any] = {"uri": file.name, "format": kind(file), "columns": COLUMNS}
    source, before = declared(**fields), find(file.parent, **fields)
    WRITERS[kind(file)](DATA.slice(0, ROWS - 1), file)
    with pytest.raises(WorkError, match="changed while it was read"):
        readers.unchanged(before, source)
    assert find(file.parent, **fields).digest != before.digest


def test_a_folder_and_a_pattern_are_many_files_in_the_order_of_their_names(file: Path):
    for part, name in enumerate(("a", "b")):
        WRITERS[kind(file)](DATA.slice(part * 500, 500), file.parent / f"{name}.part")
    (file.parent / "_SUCCESS").write_text("")
    expected = [*DATA["id"].to_pylist()]
    for uri in ("*.part", f"{file.parent}/[ab].part"):
        got = table(file.parent, 150, uri=uri, format=kind(file), columns={"id": "int"})
        assert got["id"].to_pylist() == expected
    file.unlink()
    assert table(file.parent.parent, 150, uri=file.parent.name, format=kind(file), columns={"id": "int"})["id"].to_pylist() == expected


def test_a_column_that_is_not_there_is_refused_or_missing(file: Path):
    fields: dict[str, Any] = {"uri": file.name, "format": kind(file), "columns": {"id": "int", "gate": "text"}}
    with pytest.raises(SpecError, match=r"source s \(rows\.\w+\): no column gate") as refused:
        find(file.parent, **fields)
    assert "id" in refused.value.hint and "on_missing_column: null" in refused.value.hint
    got = table(file.parent, **fields, on_missing_column="null")
    assert got["gate"].null_count == ROWS and got["gate"].type == pa.string()


def test_a_new_column_is_dropped_refused_or_kept(file: Path):
    fields: dict[str, Any] = {"uri": file.name, "format": kind(file), "columns": {"id": "int"}}
    assert table(file.parent, **fields).column_names == ["id", "_line"]
    with pytest.raises(SpecError, match="new column price, who, ok, at"):
        find(file.parent, **fields, on_new_column="refuse")
    kept = table(file.parent, **fields, on_new_column="keep")
    assert kept.column_names == ["id", "price", "who", "ok", "at", "_line"]
    assert str(kept["price"].type) == ("string" if kind(file) == "csv" else "double"), "CSV has no types, so what is kept is text"


def test_a_wider_column_is_refused_or_kept(file: Path):
    fields: dict[str, Any] = {"uri": file.name, "format": kind(file), "columns": {"price": "int"}}
    with pytest.raises(MlrayError, match=r"column price: (declared int, found float|not a whole number)"):
        table(file.parent, **fields)
    got = table(file.parent, **fields, on_wider_column="keep")
    assert got["price"].equals(DATA["price"])


def test_a_file_that_lacks_a_column_of_the_others_is_named(file: Path):
    WRITERS[kind(file)](DATA.drop_columns("who"), file.parent / "b.part")
    WRITERS[kind(file)](DATA, file.parent / "a.part")
    fields: dict[str, Any] = {"uri": "*.part", "format": kind(file), "columns": {"id": "int", "who": "text"}}
    with pytest.raises(SpecError, match=r"\(2 files\), b.part: no column who"):
        find(file.parent, **fields)
    got = table(file.parent, **fields, on_missing_column="null")
    assert got["who"].to_pylist() == [*DATA["who"].to_pylist(), *[None] * ROWS]


@pytest.mark.parametrize("packed", ["gz", "zip", "zst", "bz2"])
@pytest.mark.parametrize("format", ["csv", "jsonl", "text"])
def test_packed_text_is_unpacked_on_the_way(tmp_path: Path, packed: str, format: str):
    plain = tmp_path / "rows"
    (write_jsonl if format == "jsonl" else write_csv)(DATA, plain)
    raw, path = plain.read_bytes(), tmp_path / f"rows.{format}.{packed}"
    if packed == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("rows", raw)
    else:
        pack: dict[str, Any] = {"gz": gzip.compress, "zst": zstandard.compress, "bz2": bz2.compress}
        path.write_bytes(pack[packed](raw))
    columns = {"text": "text"} if format == "text" else COLUMNS
    got = table(tmp_path, 150, uri=path.name, format=format, columns=columns).drop_columns("_line")
    assert got["text"].to_pylist() == raw.decode().splitlines() if format == "text" else got.equals(EXPECTED)


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "utf-16"])
@pytest.mark.parametrize("format", ["csv", "jsonl", "text"])
def test_text_is_read_in_its_encoding(tmp_path: Path, encoding: str, format: str):
    (write_jsonl if format == "jsonl" else write_csv)(DATA, tmp_path / "rows")
    text = (tmp_path / "rows").read_text()
    (tmp_path / "rows").write_text(text, encoding=encoding)
    columns = {"text": "text"} if format == "text" else COLUMNS
    got = table(tmp_path, 150, uri="rows", format=format, columns=columns, encoding=encoding).drop_columns("_line")
    assert got["text"].to_pylist() == text.splitlines() if format == "text" else got.equals(EXPECTED)


def test_polars_reads_what_we_read(file: Path):
    """An independent reader agrees."""
    if kind(file) == "orc":
        pytest.skip("Polars reads no ORC")
    others: dict[str, Any] = {"csv": pl.read_csv, "jsonl": pl.read_ndjson, "parquet": pl.read_parquet, "avro": pl.read_avro}
    frame = others[kind(file)](file)
    got = table(file.parent, uri=file.name, format=kind(file), columns={"id": "int", "price": "float"})
    assert got["id"].to_pylist() == frame["id"].to_list() and got["price"].to_pylist() == frame["price"].to_list()
