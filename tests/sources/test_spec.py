"""What may be written of a source, and what is refused before anything is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from mlray.sources import readers
from mlray.sources.spec import Column, CsvSource, OnBad, Secret, Source
from tests.sources.reading import declared

CSV: dict[str, Any] = {"uri": "f.csv", "format": "csv", "columns": {"a": "int"}}


def test_columns_have_types_and_names_there():
    source = declared(**CSV | {"columns": {"a": "int", "b": {"of": "user.id", "type": "text", "on_bad": "null"}}})
    assert isinstance(source, CsvSource)
    assert source.types == {"a": "int", "b": "text"} and source.renamed == {"a": "a", "user.id": "b"}
    assert source.wanted["a"] == Column(type="int")


@pytest.mark.parametrize(
    "changed, why",
    [
        ({"format": "excel"}, "'csv', 'jsonl'"),
        ({"columns": {}}, "at least 1"),
        ({"columns": {"a": "integer"}}, "'int', 'float'"),
        ({"columns": {"a": "int", "b": {"of": "a", "type": "text"}}}, "a is taken twice"),
        ({"delimiter": "::"}, "one ASCII character"),
        ({"delimiter": ""}, "stands between values"),
        ({"delimiter": "\n"}, "no line break"),
        ({"encoding": "ebcdic"}, "'latin-1'"),
        ({"sheet": 1}, "Extra inputs"),
        ({"uri": "https://ann:hunter2@host/f.csv"}, "secret: NAME"),
        ({"uri": "s3://AKIA:hunter2@bucket/f.csv"}, "secret: NAME"),
        ({"uri": "abfs://c@a.dfs.core.windows.net/f?sas_token=hunter2"}, "secret: NAME"),
        ({"uri": "https://host/f.csv?sig=hunter2"}, "secret: NAME"),
        ({"uri": "gs://b/f.csv", "credentials": {"access_key": {"secret": "a"}, "secret_key": {"secret": "b"}}}, "s3:// and abfs://"),
        ({"uri": "s3://b/f.csv", "credentials": {"access_key": "AKIA", "secret_key": "hunter2"}}, "dictionary"),
        ({"format": "text", "columns": {"line": "text"}}, "there is no line; there are text"),
        ({"format": "binary", "columns": {"width": "int"}}, "there is no width"),
        ({"format": "images", "columns": {"width": "float"}}, "width is int, not float"),
        ({"format": "delta", "version": -1}, "greater than or equal to 0"),
        ({"format": "parquet", "delimiter": ","}, "Extra inputs"),
    ],
)
def test_what_cannot_be_meant_is_refused(changed: dict[str, Any], why: str):
    with pytest.raises(ValidationError, match=why.replace("(", r"\(")):
        declared(**CSV | changed)


@pytest.mark.parametrize(
    "uri", ["a@b.csv", "s3://bucket/f?region=eu-west-1&scheme=http", "hdfs://ann@host/f", "package://x/f.csv", "C:/f.csv"]
)
def test_other_uris_are_fine(uri: str):
    assert declared(**CSV | {"uri": uri}).uri == uri


def test_null_may_be_written_without_quotes():
    source = declared(**CSV | {"columns": {"a": {"type": "int", "on_bad": None}}, "on_missing_column": None})
    assert (source.wanted["a"].on_bad, source.on_missing_column) == (OnBad.NULL, "null")
    assert declared(**CSV).on_missing_column == "refuse"


def test_every_format_has_a_reader_and_a_block_in_the_docs():
    formats = {member.model_fields["format"].annotation.__args__[0] for member in get_args(get_args(Source)[0])}
    assert formats == set(readers.READERS)
    page = (Path(__file__).parents[2] / "docs" / "sources.md").read_text()
    assert all(f"    format: {name}\n" in page and f"| `{name}` |" in page for name in formats)


def test_a_secret_is_a_name():
    assert Secret(secret="s3-key").secret == "s3-key"
    with pytest.raises(ValidationError):
        Secret(secret="hunter2 !")
