"""What comes in broken: one clear error or a declared rejection, never a value in a message and never a traceback's words."""

from __future__ import annotations

import gzip
import os
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlray.errors import MlrayError, SpecError, WorkError
from mlray.sources.typed import ARROW, cast_tolerant
from tests.sources.reading import find, table

CSV = "who,delay,at\n" + "".join(f"N{i},{i},2013-01-01T10:00:00Z\n" for i in range(400))
COLUMNS = {"who": "text", "delay": "int", "at": "timestamp"}
SECRET = "hunter2"


def csv(base: Path, text: str | bytes = "", **fields: Any) -> pa.Table:
    path = base / fields.get("uri", "f.csv")
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return table(base, **{"uri": "f.csv", "format": "csv", "columns": COLUMNS, **fields})


def jsonl(base: Path, text: str, **fields: Any) -> pa.Table:
    (base / "f.jsonl").write_text(text)
    return table(base, **{"uri": "f.jsonl", "format": "jsonl", **fields})


def test_a_broken_gzip_is_refused_where_it_is_found(tmp_path: Path):
    whole = gzip.compress(CSV.encode())
    for raw in (whole[:-40], whole[:30] + b"\xff\xff" + whole[32:], b"not packed at all"):
        with pytest.raises(SpecError, match=r"source s: .*f\.csv\.gz: (cannot be unpacked|the first line)"):
            csv(tmp_path, raw, uri="f.csv.gz")


@pytest.mark.parametrize("keep", [100, -30])
def test_a_truncated_zip_is_refused(tmp_path: Path, keep: int):
    with zipfile.ZipFile(tmp_path / "whole.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("f.csv", CSV)
    with pytest.raises(SpecError, match=r"f\.csv\.zip: cannot be unpacked"):
        csv(tmp_path, (tmp_path / "whole.zip").read_bytes()[:keep], uri="f.csv.zip")


@pytest.mark.parametrize("format", ["csv", "jsonl", "text"])
def test_mixed_encodings_are_named_by_line(tmp_path: Path, format: str):
    lines = {"csv": 'who\nAnn\n"Zoë"\n', "jsonl": '{"who":"Ann"}\n{"who":"Bo"}\n{"who":"Zoë"}\n', "text": "Ann\nBo\nZoë\n"}[format]
    (tmp_path / "f").write_bytes(lines.encode("latin-1"))
    name = "text" if format == "text" else "who"
    with pytest.raises(MlrayError, match=r"f\)?:3: (column who: )?not UTF-8 text|f:3: not UTF-8") as refused:
        table(tmp_path, uri="f", format=format, columns={name: "text"})
    assert "Zo" not in str(refused.value)
    assert table(tmp_path, uri="f", format=format, columns={name: "text"}, encoding="latin-1")[name].to_pylist()[-1] == "Zoë"


def test_utf_16_that_is_none_is_refused(tmp_path: Path):
    with pytest.raises(MlrayError, match=r"not UTF-16|not a CSV header"):
        csv(tmp_path, CSV.encode()[:-1], encoding="utf-16")


def test_another_delimiter_is_named(tmp_path: Path):
    with pytest.raises(SpecError, match="one column, so values are not delimited by ','") as refused:
        csv(tmp_path, CSV.replace(",", ";"))
    assert refused.value.hint == "write delimiter: ';'"
    assert csv(tmp_path, CSV.replace(",", ";"), delimiter=";").num_rows == 400


def test_a_nested_value_is_taken_by_its_path_and_refused_whole(tmp_path: Path):
    text = '{"user":{"id":1,"name":{"first":"Ann"}}}\n{"user":null}\n{"user":{"id":null}}\n{}\n'
    wanted = {"id": {"of": "user.id", "type": "int"}, "first": {"of": "user.name.first", "type": "text"}}
    got = jsonl(tmp_path, text, columns=wanted)
    assert got.drop_columns("_line").to_pylist() == [{"id": 1, "first": "Ann"}, *[{"id": None, "first": None}] * 3]
    with pytest.raises(SpecError, match="column user: declared text, found a type mlray does not read") as refused:
        jsonl(tmp_path, text, columns={"user": "text"})
    assert "of: user.id" in refused.value.hint


def test_a_nested_value_of_parquet_is_taken_by_its_path(tmp_path: Path):
    pq.write_table(pa.table({"user": [{"id": 1}, None, {"id": None}], "x": [1, 2, 3]}), tmp_path / "f")
    got = table(tmp_path, uri="f", format="parquet", columns={"id": {"of": "user.id", "type": "float"}}, on_new_column="keep")
    assert got["id"].to_pylist() == [1.0, None, None] and got.column_names == ["id", "x", "_line"]


def test_a_cell_of_10_mb_is_read_whole(tmp_path: Path):
    large = "x" * 10_000_000
    got = csv(tmp_path, CSV + f'"{large}",7,2013-01-01T10:00:00Z\n')
    assert got["who"][-1].as_py() == large
    assert jsonl(tmp_path, f'{{"who":"{large}","n":1}}\n{{"who":"b","n":2}}\n', columns={"who": "text"})["who"][0].as_py() == large


def test_a_file_without_a_line_is_told_instead_of_held_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("mlray.sources.lines.LARGEST", 1 << 20)
    with pytest.raises(SpecError, match="100 rows from row 1 on are more than 1 MiB"):
        csv(tmp_path, "a,b\n" + "x" * (3 << 20), columns={"a": "text"})


def test_a_duplicated_header_is_refused(tmp_path: Path):
    with pytest.raises(SpecError, match=r"f\.csv:1: the column who is named twice"):
        csv(tmp_path, CSV.replace("delay", "who", 1))


@pytest.mark.parametrize("moment", ["-2013-01-01T10:00:00Z", "2013-02-31T10:00:00Z", "-05:00", "2013-01-01T25:00:00Z"])
def test_a_time_that_is_none_is_refused_or_rejected(tmp_path: Path, moment: str):
    text = CSV + f"N9,1,{moment}\n"
    with pytest.raises(WorkError, match=r"source s \(f\.csv\):402: column at: not a timestamp with its zone") as refused:
        csv(tmp_path, text)
    assert moment not in str(refused.value)
    got = csv(tmp_path, text, columns=COLUMNS | {"at": {"type": "timestamp", "on_bad": "reject"}})
    assert got["_unreadable"].to_pylist()[-2:] == [None, "at is not a timestamp with its zone, like 2013-01-01T10:00:00Z"]
    assert got["at"].null_count == 1


def test_a_time_before_1970_is_a_time(tmp_path: Path):
    got = csv(tmp_path, "who,delay,at\nN1,1,1901-01-01T00:00:00+01:00\n")
    assert got["at"][0].as_py().isoformat() == "1900-12-31T23:00:00+00:00"


def test_nan_is_a_number_but_no_whole_one_and_no_missing_text(tmp_path: Path):
    text = CSV + "NaN,NaN,2013-01-01T10:00:00Z\n"
    with pytest.raises(WorkError, match=r":402: column delay: not a whole number"):
        csv(tmp_path, text)
    got = csv(tmp_path, text, columns={"who": "text", "delay": "float"})
    assert got["who"][-1].as_py() == "NaN" and got["delay"].null_count == 0 and str(got["delay"][-1].as_py()) == "nan"
    assert csv(tmp_path, text, nulls=["NaN"])["who"].null_count == 1
    assert csv(tmp_path, text, columns={"delay": {"type": "int", "on_bad": "null"}})["delay"].null_count == 1


@pytest.mark.parametrize("format", ["csv", "parquet", "orc", "avro"])
def test_an_empty_file_is_refused(tmp_path: Path, format: str):
    (tmp_path / "f").write_bytes(b"")
    with pytest.raises(SpecError, match=r"/f(:1)?: (the file is empty|is not an? \w+ (container )?file)"):
        find(tmp_path, uri="f", format=format, columns={"who": "text"})


def test_an_empty_file_of_json_lines_has_no_columns_and_one_of_text_no_rows(tmp_path: Path):
    with pytest.raises(SpecError, match="no column who") as refused:
        jsonl(tmp_path, "", columns={"who": "text"})
    assert "there are none" in refused.value.hint
    (tmp_path / "f").write_bytes(b"")
    assert table(tmp_path, uri="f", format="text", columns={"text": "text"}).num_rows == 0


@pytest.mark.parametrize("format", ["csv", "jsonl", "text", "parquet", "orc", "avro", "binary"])
def test_a_missing_file_and_an_empty_folder_are_refused(tmp_path: Path, format: str):
    (tmp_path / "flights").mkdir()
    columns = {"text": "text"} if format == "text" else {"size": "int"} if format == "binary" else {"who": "text"}
    with pytest.raises(SpecError, match="flighst: no such file") as refused:
        find(tmp_path, uri="flighst", format=format, columns=columns)
    assert refused.value.hint == "did you mean flights?"
    with pytest.raises(SpecError, match="flights: the folder holds no file"):
        find(tmp_path, uri="flights", format=format, columns=columns)
    with pytest.raises(SpecError, match=r"\*\.csv: no file has such a name"):
        find(tmp_path, uri="flights/*.csv", format=format, columns=columns)


def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path):
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    (tmp_path / "f").write_text(CSV)
    (tmp_path / "f").chmod(0)
    with pytest.raises(SpecError, match="cannot be read"):
        find(tmp_path, uri="f", format="csv", columns=COLUMNS)


def test_a_ragged_line_is_named(tmp_path: Path):
    for line in ("N1,1\n", "N1,1,2013-01-01T10:00:00Z,extra\n"):
        with pytest.raises(WorkError, match=r"source s \(f\.csv\):(302|302, from line 302)?.*: not 3 values"):
            csv(tmp_path, CSV.replace("N300,300,2013-01-01T10:00:00Z\n", line))


def test_a_line_break_in_quotes_is_read_where_it_is_declared(tmp_path: Path):
    text = CSV + '"N\n""1",7,2013-01-01T10:00:00Z\n' + CSV.partition("\n")[2]
    with pytest.raises(WorkError, match=r"not 3 values|hold"):
        csv(tmp_path, text)
    got = csv(tmp_path, text, multiline=True)
    assert got["who"][400].as_py() == 'N\n"1' and got.num_rows == 801 and got["_line"].to_pylist() == list(range(2, 803))


@pytest.mark.parametrize(
    "line, why",
    [
        ('{"who": "a", "n": 1', "not a JSON object"),
        ("[1, 2]", "not a JSON object"),
        ("", "not a JSON object"),
        ('{"who": "a", "n": 1}{"who": "a", "n": 1}', "not a JSON object"),
        ('{"who": "a", "n": "hunter2"}', "column n: not a whole number"),
        ('{"who": "a", "n": 1.5}', "column n: declared int, found float"),
        ('{"who": "a", "n": 99999999999999999999}', "column n: declared int, found float"),
        ('{"who": 7, "n": 1}', "column who: not text"),
        ('{"who": ["hunter2"], "n": 1}', "column who: not text"),
        ('{"who": "a", "n": true}', "column n: not a whole number"),
    ],
)
def test_a_bad_line_of_json_is_named_and_not_shown(tmp_path: Path, line: str, why: str):
    good = '{"who": "b", "n": 2}\n'
    with pytest.raises(MlrayError, match=rf"source s \(f\.jsonl\)(:152)?: {why}") as refused:
        jsonl(tmp_path, good * 151 + line + "\n" + good * 9, columns={"who": "text", "n": "int"})
    assert SECRET not in f"{refused.value}{refused.value.__cause__}"
    if why.startswith("column"):
        tolerant = {"who": {"type": "text", "on_bad": "reject"}, "n": {"type": "int", "on_bad": "reject"}}
        got = jsonl(tmp_path, good * 151 + line + "\n" + good * 9, columns=tolerant)
        assert (got.num_rows, got["_unreadable"].null_count) == (161, 160) and got["_unreadable"][151].as_py()
        assert got["n"].to_pylist()[:151] == [2] * 151 and got["who"].to_pylist()[152:] == ["b"] * 9


def test_values_of_several_types_in_json_are_rejected_one_by_one(tmp_path: Path):
    text = '{"n": 1, "at": "2013-01-01T00:00:00Z"}\n{"n": "one", "at": 5}\n{"n": null, "at": "soon"}\n'
    got = jsonl(tmp_path, text * 1, columns={"n": {"type": "int", "on_bad": "null"}, "at": {"type": "timestamp", "on_bad": "reject"}})
    assert got["n"].to_pylist() == [1, None, None]
    assert got["_unreadable"].is_null().to_pylist() == [True, False, False]


def test_a_parquet_file_with_pickled_objects_is_refused_whichever_columns_are_wanted(tmp_path: Path):
    import ray.data  # registers the type, as every task has

    kind = ray.data._internal.object_extensions.arrow.ArrowPythonObjectType()
    for column in (pa.ExtensionArray.from_storage(kind, pa.array([b"x"], pa.large_binary())), pa.array([b"x"])):
        field = pa.field("thing", column.type, metadata={"ARROW:extension:name": "ray.data.arrow_pickled_object"})
        pq.write_table(pa.table({"id": [1], "thing": column}, pa.schema([pa.field("id", pa.int64()), field])), tmp_path / "f")
        with pytest.raises(SpecError, match="column thing holds pickled Python objects"):
            find(tmp_path, uri="f", format="parquet", columns={"id": "int"})


def test_a_parquet_file_that_others_encrypted_is_refused(tmp_path: Path):
    import pyarrow.parquet.encryption as pe

    keys = pe.create_encryption_properties(footer_key=b"0" * 16, plaintext_footer=False)
    with pq.ParquetWriter(tmp_path / "f", pa.schema([("id", pa.int64())]), encryption_properties=keys) as file:
        file.write_table(pa.table({"id": [1]}))
    with pytest.raises(SpecError, match=r"/f: is encrypted, and mlray has no key to it"):
        find(tmp_path, uri="f", format="parquet", columns={"id": "int"})


@pytest.mark.parametrize("format", ["parquet", "orc", "avro"])
def test_every_cut_and_every_flipped_byte_gives_rows_or_one_sentence(tmp_path: Path, format: str):
    from tests.sources.test_formats import COLUMNS, DATA, ROWS, WRITERS

    WRITERS[format](DATA, tmp_path / "whole")
    whole = (tmp_path / "whole").read_bytes()
    bad = [whole[:at] for at in range(1, len(whole), len(whole) // 23)]
    bad += [whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :] for at in range(3, len(whole), len(whole) // 37)]
    refused = 0
    for raw in bad:
        (tmp_path / "f").write_bytes(raw)
        try:
            assert table(tmp_path, 300, uri="f", format=format, columns=COLUMNS).num_rows <= ROWS * 2
        except MlrayError as error:
            refused += 1
            assert "\n" not in error.message and "source s" in error.message
    assert refused >= 24


@pytest.mark.parametrize("kind", ["int", "float", "timestamp", "bool"])
@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.none(),
            st.sampled_from(["1", "1.5", "nan", "true", "2013-01-01T10:00:00Z", "2013-02-31T10:00:00Z", "x"]),
            st.text(max_size=5),
        )
    )
)
def test_casting_one_by_one_and_all_at_once_agree(kind: Any, texts: list[str | None]):
    values = pa.chunked_array([pa.array(texts, pa.string())])
    singly = [cast_tolerant(values.slice(at, 1), kind)[0].as_py() for at in range(len(texts))]
    together = cast_tolerant(values, kind)
    assert repr(together.to_pylist()) == repr(singly) and together.type == ARROW[kind]
