"""Sources that change: what a declared rule makes of it, and what the version says of it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mlray.errors import SpecError
from mlray.files import parse, validate
from mlray.ingest.evolve import evolution, settle
from mlray.ingest.spec import IngestJob
from mlray.sources.piece import Found
from mlray.vault.version import Manifest

TEXT = """kind: ingest
name: rows
policy: none.yaml
dataset: rows
sources:
  a: {format: csv, uri: a.csv, on_new_column: keep, on_wider_column: keep, columns: {x: int, y: text}}
  b: {format: csv, uri: b.csv, columns: {x: int, y: text}}
  c: {format: csv, uri: c.csv, columns: {y: text, z: int}}
main: [a, b]
joins: [{source: c, on: [y], take: [z]}]
split: {by: none}
"""


def job(text: str = TEXT) -> IngestJob:
    return validate(parse("job.yaml", text), IngestJob)


def founds(**columns: dict[str, str]) -> dict[str, Found]:
    there = {"a": {"x": "int", "y": "text"}, "b": {"x": "int", "y": "text"}, "c": {"y": "text", "z": "int"}} | columns
    return {name: Found(name, f"source {name}", ("u",), name, tuple(c.items()), (), 10) for name, c in there.items()}


def test_a_source_as_declared_changes_nothing():
    assert settle(job(), founds()).columns == {"x": "int", "y": "text", "z": "int"}
    assert evolution(job(), founds(), {"x": "int64"}, None) == {"declared": {}, "since": None}


def test_a_new_column_that_is_kept_is_there_in_every_source_that_is_put_together():
    new = founds(a={"x": "int", "y": "text", "w": "float"}, c={"y": "text", "z": "int", "more": "int"})
    settled = settle(job(), new)
    assert settled.columns == {"x": "int", "y": "text", "w": "float", "z": "int"}
    assert settled.sources["b"].types["w"] == "float" and settled.sources["b"].on_missing_column == "null"
    assert evolution(job(), new, {}, None)["declared"] == {"a": {"added": ["w"]}, "c": {"left_out": ["more"]}}


def test_a_wider_column_is_wide_in_every_source_that_is_put_together():
    wider = founds(a={"x": "float", "y": "text"})
    settled = settle(job(), wider)
    assert [settled.sources[name].types["x"] for name in "ab"] == ["float", "float"] and settled.columns["x"] == "float"
    assert evolution(job(), wider, {}, None)["declared"] == {"a": {"widened": ["x"]}}


@pytest.mark.parametrize(
    "changed, why",
    [
        ({"b": {"x": "float", "y": "text"}}, "column x: declared int, found float"),
        ({"b": {"y": "text"}}, "no column x"),
        ({"a": {"x": "int", "y": "text", "z": "int"}}, "the new column z has the name of one that is joined or made"),
    ],
)
def test_what_no_rule_allows_is_refused(changed: dict[str, dict[str, str]], why: str):
    with pytest.raises(SpecError, match=why):
        settle(job(), founds(**changed))


def test_the_version_says_what_changed_since_the_one_before():
    old = Manifest("dataset", "rows", "ab" * 32, datetime(2026, 1, 1, tzinfo=UTC), (), (("x", "int64"), ("gone", "string")), (), (), {})
    since = evolution(job(), founds(), {"x": "double", "y": "string"}, old)["since"]
    assert since == {"version": "rows@abababababab", "added": ["y"], "dropped": ["gone"], "changed": {"x": ["int64", "double"]}}
