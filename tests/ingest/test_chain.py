"""What one version of a stream hands to the next: places, counts, and which small parts are merged."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from mlray.errors import SpecError
from mlray.ingest import chain
from mlray.ingest.chain import Standing
from mlray.ingest.stream import Follow
from mlray.vault.version import Manifest, Part

NOW = datetime(2025, 1, 1, tzinfo=UTC)
SCHEMA = (("id", "int64"),)
FOLLOW = Follow.model_validate(
    {"watermark": {"column": "at", "delay": "5s"}, "windows": [{"name": "w", "size": "1m", "compute": {"n": "count"}}]}
)
STANDS = Standing({"0": "12", "shard-1": "4" * 56}, 3, 9, 1_735_689_600_000_001, {"0": -1, "1": 5_000_000}, 7, {"0": 2}, "topic-id")


def manifest(about: dict[str, Any]) -> Manifest:
    return Manifest("dataset", "clicks", "ab" * 32, NOW, (), SCHEMA, (), (), about)


def part(name: str, split: str, rows: int) -> Part:
    return Part(name, f"d/parts/{name}.parquet", split, rows, 100, "digest")


def test_a_standing_is_told_and_read_back_to_the_microsecond():
    assert chain.standing(manifest(chain.tell(STANDS, "clicks", FOLLOW)), "clicks", FOLLOW, SCHEMA) == STANDS


def test_without_a_version_everything_begins():
    assert chain.standing(None, "clicks", FOLLOW, SCHEMA) == Standing()


@pytest.mark.parametrize(
    "about, schema, follow, why",
    [
        ({}, SCHEMA, FOLLOW, "was not made by following a stream"),
        (chain.tell(STANDS, "other", FOLLOW), SCHEMA, FOLLOW, "follows other, not clicks"),
        (chain.tell(STANDS, "clicks", FOLLOW), (("id", "string"),), FOLLOW, "other columns"),
        (
            chain.tell(STANDS, "clicks", FOLLOW),
            SCHEMA,
            FOLLOW.model_copy(update={"windows": (FOLLOW.windows[0].model_copy(update={"by": ("who",)}),)}),
            "w is computed otherwise",
        ),
    ],
)
def test_what_cannot_be_gone_on_with_is_refused(about: dict[str, Any], schema: chain.Schema, follow: Follow, why: str):
    with pytest.raises(SpecError, match=why):
        chain.standing(manifest(about), "clicks", follow, schema)


def test_the_same_batch_behind_another_version_is_another_version():
    own = (("spec", "s"), ("code", "c"))
    assert len({chain.lineage(own, previous) for previous in ("", "a", "b")}) == 3


def test_a_stream_that_was_made_anew_is_not_gone_on_with():
    chain.same_stream(Standing(), "any", "topic t")
    chain.same_stream(STANDS, "topic-id", "topic t")
    with pytest.raises(SpecError, match="topic t was made anew"):
        chain.same_stream(STANDS, "other", "topic t")


def test_counts_add_up_and_periods_grow():
    first: dict[str, Any] = {"rows_read": 10, "warned": {"late": 1}, "positives": {}, "periods": {"train": ["2025-01-02", "2025-01-03"]}}
    then: dict[str, Any] = {
        "rows_read": 5,
        "warned": {"late": 2, "odd": 1},
        "positives": {"train": 3},
        "periods": {"train": ["2025-01-01", "2025-01-02"]},
    }
    assert chain.add(first, then) == {
        "rows_read": 15,
        "warned": {"late": 3, "odd": 1},
        "positives": {"train": 3},
        "periods": {"train": ["2025-01-01", "2025-01-03"]},
    }
    assert chain.counts((("bad", 2),), {"bad": 1, "late": 4}) == {"bad": 3, "late": 4}


def test_small_parts_of_a_split_are_merged_once_there_are_too_many():
    parts = [part(f"train-{n}", "train", 10) for n in range(5)] + [part("train-9", "train", 900), part("test-0", "test", 10)]
    assert [p.name for p in chain.small(parts, 1000, 4)["train"]] == [f"train-{n}" for n in range(5)]
    assert set(chain.small(parts, 1000, 4)) == {"train"} and not chain.small(parts, 1000, 5)
    assert not chain.small([replace(p, rows=500) for p in parts], 1000, 4)
