"""A job that follows a stream and cannot work is refused while it is read."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tests.ingest.streams import WINDOW, job

RULE = {"watermark": {"column": "at", "delay": "10s"}}


def window(**change: Any) -> dict[str, Any]:
    return {"follow": RULE | {"windows": [WINDOW | change]}}


@pytest.mark.parametrize(
    "change, why",
    [
        ({"follow": {"watermark": {"column": "id", "delay": "1s"}}}, "watermark.column 'id' is no timestamp column"),
        ({"follow": RULE, "outcome": ["at"]}, "watermark.column 'at' is no timestamp column"),
        ({"follow": RULE, "protect": {"at": {"how": "generalise", "to": "day"}}}, "watermark.column 'at' is no timestamp column"),
        (window(by=["nobody"]), "minutes: nobody is not sealed"),
        (window(compute={"s": {"sum": "who"}}), "s: who is text, not a number"),
        (window(compute={"s": {"sum": "at"}}), "s: at is timestamp, not a number"),
        (window() | {"protect": {"who": "mask"}}, "minutes: who is protected, and a window would show it"),
        (window() | {"protect": {"amount": "encrypt"}}, "minutes: amount is protected, and a window would show it"),
        ({"late": {"column": "at", "behind": "1h"}}, "write follow.watermark and checks of rows instead of late"),
        ({"duplicates": {"key": ["id"]}}, "instead of duplicates"),
        ({"checks": [{"rule": "row_count"}]}, "cannot be judged batch by batch: row_count"),
    ],
)
def test_what_a_stream_cannot_do_is_refused(change: dict[str, Any], why: str):
    given = {"follow": {}} | change
    with pytest.raises(ValidationError, match=why):
        job("b:9092", "clicks", given.pop("follow"), **given)


def test_windows_may_be_grouped_by_pseudonyms_and_reach_times():
    made = job("b:9092", "clicks", window(compute={"last": {"max": "at"}})["follow"], protect={"who": "pseudonymise"})
    assert made.follow and made.follow.windows[0].columns == {"at": "last"}


def test_only_a_stream_is_followed():
    files = {"clicks": {"format": "csv", "uri": "clicks.csv", "columns": {"id": "int"}}}
    with pytest.raises(ValidationError, match="main must be one source of format kafka or kinesis"):
        job("b:9092", "clicks", {}, sources=files)
