"""The report of a version: the same facts as plain values and as a page that loads and runs nothing."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from mlray.ingest import account, histogram, sketch, stats
from mlray.ingest.page import page
from mlray.ingest.plot import bars, spread, svg
from mlray.ingest.refine import refine, schema
from mlray.ingest.spec import IngestJob
from mlray.ingest.summary import summary
from mlray.ingest.verdict import Verdict, verdict
from mlray.vault.version import DatasetVersion, Manifest, Part
from tests.ingest.test_refine import KEYS, PLANES, ROWS, job

NASTY = "</td><script>alert('$x^2$')</script>"


def made(of: IngestJob, rows: pa.Table = ROWS) -> tuple[DatasetVersion, stats.Stats, Verdict]:
    done = refine(rows, of, (PLANES,), KEYS)
    parts = tuple(Part(f"{split}-00000", "", split, piece.num_rows, 100, "", ()) for split, piece in done.pieces.items())
    about: dict[str, Any] = {
        "job": of.name,
        "rows_read": rows.num_rows,
        "warned": {NASTY: 2},
        "positives": {"train": 1},
        "periods": {"train": ["2013-01-15", "2013-01-15"]},
        "classes": {column: kind.value for column, kind in of.classes.items()},
        "protection": {column: how.model_dump(mode="json") for column, how in of.protection.items()},
        "evolution": {"since": {"added": ["plane_year"], "dropped": []}},
    }
    columns = tuple((field.name, str(field.type)) for field in schema(of))
    manifest = Manifest(
        "dataset",
        "mini",
        "ab" * 32,
        datetime(2026, 1, 1, tzinfo=UTC),
        parts,
        columns,
        tuple(done.rejected.items()),
        (("code", "c" * 64),),
        about,
    )
    found = verdict(of, done.stats, sketch.total([done.sketch]), None, datetime(2026, 1, 1, tzinfo=UTC))
    return DatasetVersion("mini", manifest.digest, manifest), done.stats, found


COUNTED = {"rule": "row_count", "low": 9, "on_fail": "warn"}


def test_the_account_of_a_version_comes_back_from_its_table():
    _, merged, found = made(job(checks=[COUNTED]))
    kept = account.table(merged, found)
    assert kept.schema == account.SCHEMA
    assert (account.stats_of(kept), account.findings_of(kept)) == (merged, found.findings)


def test_the_summary_says_what_the_version_holds():
    version, merged, found = made(job(checks=[COUNTED], classes={"tailnum": "personal"}))
    told = summary(version, merged, found.findings)
    assert [(split["split"], split["rows"]) for split in told["splits"]] == [("train", 2), ("validation", 1), ("test", 1)]
    assert (told["rows_read"], told["rejected"]) == (5, {"no at": 1})
    assert told["checks"] == [{"rule": "row_count", "held": False, "on_fail": "warn", "said": "row_count: 4 rows, at least 9 are wanted"}]
    tail, year = (next(column for column in told["columns"] if column["column"] == name) for name in ("tailnum", "plane_year"))
    assert (tail["class"], tail["protection"], tail["all"]) == ("personal", "pseudonymise", {"rows": 4, "missing": 0})
    assert (year["all"]["min"], year["all"]["max"], year["all"]["missing"]) == (1999, 2004, 0.25)


EMPTY = {"meta", "br"}


class Reader(HTMLParser):
    """Every element that was opened is closed, and what is referred to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.referred: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.referred += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in EMPTY:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in EMPTY:
            assert self.open.pop() == tag


def test_the_page_stands_alone_and_escapes_what_it_shows():
    nasty = ROWS.append_column("note", pa.array([NASTY] * 5))
    columns = {"at": "timestamp", "tailnum": "text", "dep_time": "int", "arr_delay": "int", "note": "text"}
    sources = {
        name: {"uri": "x", "format": "csv", "columns": held}
        for name, held in (("flights", columns), ("planes", {"tailnum": "text", "year": "int"}))
    }
    version, merged, found = made(job(sources=sources, checks=[COUNTED]), nasty)
    text = page(version, merged, found.findings)
    read = Reader(text)
    assert "svg" in read.seen and not read.seen & {"script", "link", "iframe", "img", "object", "form"}
    assert all(target.startswith("#") for target in read.referred) and "@import" not in text
    assert not re.search(r"url\((?!#)", text) and "<script" not in text and "&lt;script&gt;" in text
    assert "default-src" in text and "row_count: 4 rows, at least 9 are wanted" in text


def test_no_value_of_a_protected_column_is_on_the_page():
    version, merged, found = made(job())
    plain = page(version, merged, found.findings)
    assert "1,999" in plain and "2,004" in plain
    version, merged, found = made(job(classes={"plane_year": "secret"}))
    text = page(version, merged, found.findings)
    assert "1,999" not in text and "2,004" not in text and KEYS["tailnum"].mac(b"N1")[:16].hex() not in text


def test_a_version_without_statistics_still_has_a_page():
    version, merged, found = made(job(report="none"))
    assert merged == {} and "no statistics were kept" in page(version, merged, found.findings)


def test_names_inside_one_plot_do_not_meet_those_of_another():
    one, two = (svg(name, {"train": histogram.of(np.arange(100.0))}) for name in ("a", "b"))
    ids = [set(re.findall(r'clipPath id="([^"]+)"', text)) for text in (one, two)]
    assert all(ids) and not ids[0] & ids[1]


@pytest.mark.parametrize(
    "numbers, whole",
    [
        (np.array([5.0]), True),
        (np.array([-3.0, 4e6]), False),
        (np.geomspace(1e-3, 1e9, 500), False),
        (np.arange(1.0, 32.0), True),
        (np.zeros(3), False),
    ],
)
def test_every_row_is_in_a_bar(numbers: Any, whole: bool):
    found = histogram.of(numbers)
    edges, _ = bars({"all": found}, whole)
    assert spread(found, edges).sum() == pytest.approx(len(numbers)) and (np.diff(edges) > 0).all()


def test_whole_numbers_have_a_bar_each():
    found = histogram.of(np.repeat(np.arange(5.0, 24.0), 3))
    edges, log = bars({"all": found}, whole=True)
    assert not log and set(spread(found, edges)[:19].tolist()) == {3.0}
