from __future__ import annotations

from datetime import UTC, datetime

from mlray.vault.diff import Column, Count, Moved, Parts, Source, Statistics, diff
from mlray.vault.version import Json, Manifest, Part

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def part(name: str, split: str, rows: int, file: str) -> Part:
    return Part(name, file, split, rows, rows * 10, "d" * 64)


def manifest(digest: str, *parts: Part, schema=(("distance", "int64"),), rejected=(), lineage=()) -> Manifest:
    return Manifest("dataset", "flights", digest * 64, NOON, parts, schema, rejected, lineage, {})


def test_two_versions_that_are_the_same_differ_in_nothing():
    held = manifest("a", part("train-0", "train", 5, "a/parts/0"))
    found = diff(held, held)
    assert (found.schema, found.rejected, found.statistics, found.made_from) == ((), (), (), ())
    assert found.rows == (Count("train", 5, 5),) and found.parts == Parts(1, 0, 0, 50, 0, 0)


def test_a_column_that_came_went_or_widened_is_told_with_its_types():
    before = manifest("a", schema=(("distance", "int64"), ("wind", "double"), ("carrier", "string")))
    after = manifest("b", schema=(("distance", "double"), ("carrier", "string"), ("gust", "double")))
    assert diff(before, after).schema == (
        Column("distance", "int64", "double"),
        Column("wind", "double", None),
        Column("gust", None, "double"),
    )


def test_rows_are_told_by_split_and_rejections_by_reason():
    before = manifest("a", part("t-0", "train", 5, "a/parts/0"), rejected=(("late", 3), ("range", 1)))
    after = manifest(
        "b", part("t-0", "train", 7, "b/parts/0"), part("v-0", "validation", 2, "b/parts/1"), rejected=(("late", 3), ("type", 2))
    )
    found = diff(before, after)
    assert found.rows == (Count("train", 5, 7), Count("validation", 0, 2))
    assert found.rejected == (Count("range", 1, 0), Count("type", 0, 2))


def test_parts_are_shared_by_their_file_new_or_gone():
    kept, old, new = part("t-0", "train", 5, "a/parts/0"), part("t-1", "train", 3, "a/parts/1"), part("t-1", "train", 4, "b/parts/1")
    assert diff(manifest("a", kept, old), manifest("b", kept, new)).parts == Parts(1, 1, 1, 50, 40, 30)


def test_sources_and_code_that_changed_are_told():
    before = manifest("a", lineage=(("code", "1" * 64), ("source:flights", "2" * 64)))
    after = manifest("b", lineage=(("code", "1" * 64), ("source:flights", "3" * 64), ("source:weather", "4" * 64)))
    assert diff(before, after).made_from == (Source("source:flights", "2" * 12, "3" * 12), Source("source:weather", None, "4" * 12))


def test_statistics_that_moved_are_told_and_noise_is_not():
    x: dict[str, Json] = {"rows": 100, "nulls": 2, "min": 0, "max": 10, "mean": 5.0, "deviation": 2.0}
    before: Statistics = {"x": x, "old": {"rows": 1, "nulls": 0}}
    noise: Statistics = {"x": x | {"rows": 200, "nulls": 5, "max": 12, "mean": 5.1}, "new": {"rows": 1, "nulls": 1}}
    held = manifest("a")
    assert diff(held, held, (before, noise)).statistics == (Moved("x", "max", 10, 12),)
    far: Statistics = {"x": x | {"nulls": 50, "mean": 6.0}}
    assert diff(held, held, (before, far)).statistics == (Moved("x", "share of nulls", 0.02, 0.5), Moved("x", "mean", 5.0, 6.0))


def test_a_protected_column_has_no_statistics_but_its_nulls():
    held = manifest("a")
    assert diff(held, held, ({"mail": {"rows": 10, "nulls": 0}}, {"mail": {"rows": 10, "nulls": 5}})).statistics == (
        Moved("mail", "share of nulls", 0.0, 0.5),
    )
