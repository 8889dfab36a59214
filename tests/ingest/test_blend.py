"""How sources become one table is refused while it is read, where it cannot be done."""

from __future__ import annotations

import pytest

from mlray.errors import SpecError
from mlray.files import parse, validate
from mlray.ingest.join import fits
from mlray.ingest.spec import IngestJob
from mlray.sources.piece import Found
from mlray.units import Memory

TEXT = """kind: ingest
name: trades
policy: none.yaml
dataset: trades
sources:
  a: {format: csv, uri: a.csv, columns: {id: int, at: timestamp, desk: text}}
  b: {format: csv, uri: b.csv, columns: {id: int, at: timestamp, desk: text}}
  quotes: {format: csv, uri: q.csv, columns: {when: timestamp, desk: text, price: float}}
main: [a, b]
joins:
  - {source: quotes, on: [desk], as_of: {here: at, there: when, within: 2h}, take: [price]}
duplicates: {key: [id]}
late: {column: at, behind: 1d}
split: {by: none}
"""


def test_the_job_is_read():
    job = validate(parse("job.yaml", TEXT), IngestJob)
    assert job.mains == ("a", "b") and job.joins[0].whole_key == {"desk": "desk", "when": "at"}
    assert job.columns == {"id": "int", "at": "timestamp", "desk": "text", "price": "float"}


@pytest.mark.parametrize(
    "old, new, why",
    [
        ("main: [a, b]", "main: [a, quotes]", "quotes and a are put together, so they must declare the same columns"),
        ("main: [a, b]", "main: [a, a]", "a source is named twice"),
        ("main: [a, b]", "main: [a, c]", "main 'c' is none of the sources"),
        ("main: [a, b]", "main: []", "main"),
        ("joins:\n  - {source: quotes", "joins:\n  - {source: b", "'b' is no other source"),
        ("there: when", "there: price", "quotes has another type of price"),
        ("there: when", "there: then", "quotes does not declare then"),
        ("here: at", "here: id", "quotes has another type of when"),
        ("here: at, there: when", "here: desk, there: desk", "has a column both in `on` and in `as_of`"),
        ("within: 2h", "direction: sideways", "direction"),
        ("within: 2h", "within: 2", "within"),
        ("key: [id]", "key: [price]", "duplicates: the main source does not declare price"),
        ("key: [id]", "key: []", "duplicates"),
        ("column: at, behind", "column: id, behind", "late.column 'id' is no timestamp column"),
    ],
)
def test_a_mistake_is_said(old: str, new: str, why: str):
    assert old in TEXT
    with pytest.raises(SpecError) as refused:
        validate(parse("job.yaml", TEXT.replace(old, new, 1)), IngestJob)
    assert why in str(refused.value)


def test_a_source_joined_by_time_must_fit_and_one_joined_by_key_is_shuffled():
    job = validate(parse("job.yaml", TEXT), IngestJob)
    quotes = Found("quotes", "source quotes", ("u",), "d", (), (), 1_000_000)
    types, join = job.sources["quotes"].types, job.joins[0]
    assert fits(join, quotes, types, Memory.parse("50MiB"))
    with pytest.raises(SpecError, match="quotes is joined as of a time, and its 1,000,000 rows need about"):
        fits(join, quotes, types, Memory.parse("1MiB"))
    assert not fits(join.model_copy(update={"as_of": None}), quotes, types, Memory.parse("1MiB"))
